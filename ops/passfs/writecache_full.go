//go:build !tiny

package passfs

// ownCache says that Options.WriteCache may be used. With -tags tiny it may not,
// which makes a program 100 KB smaller.
const ownCache = true
