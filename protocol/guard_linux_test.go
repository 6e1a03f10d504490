package protocol

import (
	"syscall"
	"testing"
)

// guarded returns a function that copies b to memory that ends, within 7 bytes,
// at a page that cannot be read, and begins at a multiple of 8. The copy lives
// until the next call.
func guarded(t testing.TB) func(b []byte) []byte {
	page := syscall.Getpagesize()
	const room = 1 << 20
	m, err := syscall.Mmap(-1, 0, room+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(m[room:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	return func(b []byte) []byte {
		if len(b) > room {
			b = b[:room]
		}
		at := (room - len(b)) &^ 7
		return m[at : at+copy(m[at:room], b) : at+len(b)]
	}
}
