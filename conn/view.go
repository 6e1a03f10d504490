package conn

import (
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// This file uses unsafe to see an iovec as a slice. Base and Len come from one
// slice, or from a caller of ReplyVec who vouches for the same thing to
// writev(2); the slice is copied from and dropped at once.

// iovBytes views the memory of v.
func iovBytes(v unix.Iovec) []byte { return unsafe.Slice(v.Base, int(v.Len)) }

// overlap reports whether any of iov but those that are in place already lies in
// to, as far as addresses tell.
func overlap(to []byte, iov []unix.Iovec) bool {
	a := uintptr(unsafe.Pointer(unsafe.SliceData(to)))
	for _, v := range iov {
		if b := uintptr(unsafe.Pointer(v.Base)); b < a+uintptr(len(to)) && a < b+uintptr(v.Len) {
			return true
		}
	}
	return false
}

// flatten returns the bytes of iov in one piece, for a Tap.
func flatten(iov []unix.Iovec) []byte {
	n := 0
	for i := range iov {
		n += int(iov[i].Len)
	}
	b := make([]byte, 0, n)
	for i := range iov {
		b = append(b, iovBytes(iov[i])...)
	}
	return b
}
