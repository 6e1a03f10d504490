package ops

import (
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// attrCalls: attributes, targets of symbolic links, the file system as a whole.
func (t *Table) attrCalls(fs any) {
	if h, ok := fs.(Getattrer); ok {
		t.set(protocol.OpGetattr, sizeAttr, 0, func(r *Request) (int, error) {
			return 0, h.Getattr(r, r.GetattrIn(), out[protocol.AttrOut](r))
		})
	}
	if h, ok := fs.(Setattrer); ok {
		t.set(protocol.OpSetattr, sizeAttr, 0, func(r *Request) (int, error) {
			return 0, h.Setattr(r, r.SetattrIn(), out[protocol.AttrOut](r))
		})
	}
	if h, ok := fs.(Statxer); ok {
		t.set(protocol.OpStatx, sizeStatx, 0, func(r *Request) (int, error) {
			return 0, h.Statx(r, r.StatxIn(), out[protocol.StatxOut](r))
		})
	}
	if h, ok := fs.(Readlinker); ok {
		t.set(protocol.OpReadlink, 0, 0, func(r *Request) (int, error) {
			// fs/fuse/dir.c: fuse_readlink_folio takes a page less the NUL.
			r.over = unix.ENAMETOOLONG
			return h.Readlink(r, r.room(maxTarget))
		})
	}
	if h, ok := fs.(Accesser); ok {
		t.set(protocol.OpAccess, 0, 0, func(r *Request) (int, error) { return 0, h.Access(r, r.AccessIn()) })
	}
	if h, ok := fs.(Statfser); ok {
		t.set(protocol.OpStatfs, sizeStatfs, 0, func(r *Request) (int, error) {
			return 0, h.Statfs(r, out[protocol.Kstatfs](r))
		})
	} else {
		t.set(protocol.OpStatfs, sizeStatfs, 0, func(r *Request) (int, error) {
			st := out[protocol.Kstatfs](r)
			st.Bsize, st.Frsize, st.Namelen = 4096, 4096, 255
			return 0, nil
		})
	}
	if h, ok := fs.(Syncfser); ok {
		t.set(protocol.OpSyncfs, 0, 0, func(r *Request) (int, error) { return 0, h.Syncfs(r) })
	}
}

const maxTarget = 4095
