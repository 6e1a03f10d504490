package sg

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This is the only file of the package that uses unsafe. Soundness: the bytes
// of a mapping are memory of the kernel's, which the collector neither moves nor
// frees; a slice over exactly those bytes is valid from mmap to munmap, and
// Arena hands no part of it out beyond that. (unix.Mmap keeps a map of all its
// mappings so that any slice may be unmapped, which costs 3 KB of a program.)

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
