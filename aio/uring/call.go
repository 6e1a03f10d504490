package uring

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// The three system calls. Soundness: a pointer is turned into a uintptr in the
// expression that calls, as package unsafe demands, so what it points to is kept
// and stays. Addresses inside structures (r.arg.ts, r.upd.data ...) are of the
// Ring itself, which is on the heap, or of what r.keep refers to meanwhile:
// storing there makes it escape to the heap too.

func errno(err error) unix.Errno {
	if e, ok := err.(unix.Errno); ok {
		return e
	}
	return unix.EINVAL
}

func sysSetup(entries uint32, p *params) (int, unix.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	return int(fd), e
}

// sysEnter lets Go's scheduler know, also when there is nothing to wait for: a
// submission may block in a file system, and must not hold up the collector.
func (r *Ring) sysEnter(submit, wait uint32, flags uint32, arg *eventsArg) (int, unix.Errno) {
	var size uintptr
	if arg != nil {
		flags |= enterExtArg
		size = unsafe.Sizeof(*arg)
	}
	n, _, e := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(submit), uintptr(wait),
		uintptr(flags|r.enterOr), uintptr(unsafe.Pointer(arg)), size)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

func (r *Ring) sysRegister(op uintptr, arg unsafe.Pointer, n int) (int, unix.Errno) {
	res, _, e := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), uintptr(n), 0, 0)
	return int(res), e
}

// timeout puts ns into the Ring and returns the argument that refers to it.
func (r *Ring) timeout(ns int64) *eventsArg {
	r.ts = timespec{ns / 1e9, ns % 1e9}
	r.arg = eventsArg{ts: uint64(uintptr(unsafe.Pointer(&r.ts)))}
	return &r.arg
}

// hold makes p what addresses in structures refer to, until the next hold.
func (r *Ring) hold(p unsafe.Pointer) uint64 {
	r.keep = p
	return uint64(uintptr(p))
}
