package unix

import (
	"syscall"
	"unsafe"
)

// mmap is old_mmap(2), as arch/s390/kernel/syscall.c has it: the six arguments are
// in memory.
func mmap(addr, size, prot, flags, fd uintptr, off int64) (uintptr, Errno) {
	arg := [6]uintptr{addr, size, prot, flags, fd, uintptr(off)}
	p, _, e := syscall.Syscall(SYS_MMAP, uintptr(unsafe.Pointer(&arg)), 0, 0)
	return p, e
}
