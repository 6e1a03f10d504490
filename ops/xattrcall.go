package ops

import (
	"math"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// xattrCalls: extended attributes.
func (t *Table) xattrCalls(fs any) {
	if h, ok := fs.(Setxattrer); ok {
		t.set(protocol.OpSetxattr, 0, 0, func(r *Request) (int, error) {
			return 0, h.Setxattr(r, r.SetxattrIn(), r.Name, r.Data)
		})
	}
	if h, ok := fs.(Getxattrer); ok {
		t.set(protocol.OpGetxattr, 0, 0, func(r *Request) (int, error) {
			return h.Getxattr(r, r.Name, r.xattrRoom())
		})
	}
	if h, ok := fs.(Listxattrer); ok {
		t.set(protocol.OpListxattr, 0, 0, func(r *Request) (int, error) {
			return h.Listxattr(r, r.xattrRoom())
		})
	}
	if h, ok := fs.(Removexattrer); ok {
		t.set(protocol.OpRemovexattr, 0, 0, func(r *Request) (int, error) { return 0, h.Removexattr(r, r.Name) })
	}
}

// xattrRoom returns the room for a value or list. Size 0 asks how much there
// would be: a getxattr_out is the answer, and there is no room.
func (r *Request) xattrRoom() []byte {
	size := r.GetxattrIn().Size
	r.over = unix.ERANGE
	if size == 0 {
		r.gives, r.limit = givesU32, math.MaxInt32
		return nil
	}
	return r.room(size)
}
