package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file uses unsafe to see an iovec as a slice. Base and Len come from one
// slice, or from a caller of ReplyVec who vouches for the same thing to
// writev(2); the slice is copied from and dropped at once.

// flatten returns the bytes of iov in one piece, for a Tap.
func flatten(iov []unix.Iovec) []byte {
	n := 0
	for i := range iov {
		n += int(iov[i].Len)
	}
	b := make([]byte, 0, n)
	for i := range iov {
		b = append(b, unsafe.Slice(iov[i].Base, int(iov[i].Len))...)
	}
	return b
}
