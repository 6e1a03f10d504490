//go:build 386 || arm || mips || mipsle

package unix

import "syscall"

// mmap is mmap2(2), which counts the offset in units of 4096 whatever the page.
func mmap(addr, size, prot, flags, fd uintptr, off int64) (uintptr, Errno) {
	if off&0xfff != 0 || off>>12 != int64(uintptr(off>>12)) {
		return 0, EINVAL
	}
	p, _, e := syscall.Syscall6(SYS_MMAP2, addr, size, prot, flags, fd, uintptr(off>>12))
	return p, e
}
