//go:build !386 && !arm && !mips && !mipsle && !s390x

package unix

import "syscall"

func mmap(addr, size, prot, flags, fd uintptr, off int64) (uintptr, Errno) {
	p, _, e := syscall.Syscall6(SYS_MMAP, addr, size, prot, flags, fd, uintptr(off))
	return p, e
}
