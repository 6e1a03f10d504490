//go:build !s390x

package unix

const cloneBackwards = false
