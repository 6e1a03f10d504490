package sg

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// This is the only file of the package that uses unsafe. Soundness:
//
// The bytes of a mapping are memory of the kernel's, which the collector neither
// moves nor frees; a slice over exactly those bytes is valid from mmap to munmap,
// and Arena hands no part of it out beyond that. (unix.Mmap keeps a map of all
// its mappings so that any slice may be unmapped, which costs 3 KB of a program.)
//
// A pointer becomes a number only in the argument list of a system call, which
// keeps what it points to alive and in place until the call returns; what the
// descriptions there point to, they keep alive themselves, for their Base is a
// pointer the collector knows. Each was taken from a slice, with a length within
// it. address gives a number that is never made a pointer again.

// mapAnon maps n bytes of anonymous memory.
func mapAnon(n int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

// unmap undoes mapAnon.
func unmap(b []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

// address returns where b, which is not empty, begins.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// vectored is one of preadv(2), pwritev(2), readv(2), writev(2) on iov, which is not empty,
// repeated if a signal came before the first byte.
func vectored(w way, fd int, iov []unix.Iovec, off int64, flags int) (int, unix.Errno) {
	low, high := offsetWords(off)
	for {
		var n uintptr
		var e unix.Errno
		switch w {
		case pread, pwrite:
			n, _, e = syscall.Syscall6(positioned(w, flags), uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)), low, high, uintptr(flags))
		case read:
			n, _, e = syscall.Syscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		case write:
			n, _, e = syscall.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		}
		if e == 0 {
			return int(n), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}
