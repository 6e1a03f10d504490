// Package unix is what this module needs of Linux's system calls, for programs
// that are to be small: package syscall, and what it lacks. (golang.org/x/sys/unix
// has all, but imports package time, whose initialisation alone links 100 KB.)
//
// Names and meanings are those of golang.org/x/sys/unix. An Errno and a Signal
// are the same types there, in package syscall and here; other types are
// syscall's where it has them, and so not those of golang.org/x/sys/unix.
//
// [syscall.Syscall] and the like are not here: that the pointers in their arguments
// stay valid is promised for a direct call only.
//
// The constants are generated: const_linux.go has those that are the same on all
// architectures, const_linux_GOARCH.go the others. To use one that is not there
// yet, write its name and run go generate.
package unix

//go:generate go run gen.go
