// Package channel holds the tests of package conn that take a real kernel, and
// root: all ways to mount, to unmount and to abort, the mount that is another
// by now, and a channel for each reader. What conn does with the bytes that
// come is tested in conn itself, where anybody may run it.
package channel
