//go:build tiny

package passfs

const ownCache = false
