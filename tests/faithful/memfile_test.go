package faithful

import (
	"strings"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

func (fs *memfs) Getattr(r *ops.Request, _ *protocol.GetattrIn, out *protocol.AttrOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	fs.attrOut(n, out)
	return nil
}

func (fs *memfs) Setattr(r *ops.Request, in *protocol.SetattrIn, out *protocol.AttrOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	if in.Valid&^(protocol.FattrMtime|protocol.FattrCtime|protocol.FattrFh) != 0 {
		fs.changed(n) // else the kernel's own times, which may come or not
	}
	a := &n.attr
	if in.Valid&protocol.FattrMode != 0 {
		a.Mode = in.Mode
	}
	if in.Valid&protocol.FattrUid != 0 {
		a.Uid = in.Uid
	}
	if in.Valid&protocol.FattrGid != 0 {
		a.Gid = in.Gid
	}
	if in.Valid&protocol.FattrSize != 0 {
		n.resize(in.Size)
		fs.touch(n)
	}
	if in.Valid&protocol.FattrAtime != 0 {
		a.Atime, a.Atimensec = in.Atime, in.Atimensec
		if in.Valid&protocol.FattrAtimeNow != 0 {
			a.Atime, a.Atimensec = fs.clock, 0
		}
	}
	if in.Valid&protocol.FattrMtime != 0 {
		a.Mtime, a.Mtimensec = in.Mtime, in.Mtimensec
		if in.Valid&protocol.FattrMtimeNow != 0 {
			a.Mtime, a.Mtimensec = fs.clock, 0
		}
	}
	fs.attrOut(n, out)
	return nil
}

func (n *node) resize(size uint64) {
	if size < uint64(len(n.data)) {
		n.data = n.data[:size:size]
		return
	}
	n.data = append(n.data, make([]byte, size-uint64(len(n.data)))...)
}

func (fs *memfs) opened(n *node, flags uint32, out *protocol.OpenOut) {
	fs.fh++
	out.Fh = fs.fh
	if n.dir() {
		return
	}
	out.OpenFlags = fs.mode.open
	if flags&unix.O_TRUNC != 0 {
		n.resize(0)
		fs.touch(n)
	}
}

func (fs *memfs) Open(r *ops.Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err == nil {
		fs.opened(n, in.Flags, out)
	}
	return err
}

func (fs *memfs) Opendir(r *ops.Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	return fs.Open(r, &protocol.OpenIn{}, out)
}

func (fs *memfs) Create(r *ops.Request, in *protocol.CreateIn, name []byte, e *protocol.EntryOut, o *protocol.OpenOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	n := d.find(string(name))
	switch {
	case n == nil:
		if n, err = fs.make(r, name, in.Mode, e); err != nil {
			return err
		}
	case in.Flags&unix.O_EXCL != 0:
		return unix.EEXIST
	default:
		fs.entry(n, e)
	}
	fs.opened(n, in.Flags, o)
	return nil
}

func (fs *memfs) Release(*ops.Request, *protocol.ReleaseIn) error    { return nil }
func (fs *memfs) Releasedir(*ops.Request, *protocol.ReleaseIn) error { return nil }
func (fs *memfs) Flush(*ops.Request, *protocol.FlushIn) error        { return nil }
func (fs *memfs) Fsync(*ops.Request, *protocol.FsyncIn) error        { return nil }
func (fs *memfs) Fsyncdir(*ops.Request, *protocol.FsyncIn) error     { return nil }

func (fs *memfs) Read(r *ops.Request, in *protocol.ReadIn, dst []byte) (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil || in.Offset >= uint64(len(n.data)) {
		return 0, err
	}
	return copy(dst, n.data[in.Offset:]), nil
}

func (fs *memfs) Write(r *ops.Request, in *protocol.WriteIn, data []byte) (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return 0, err
	}
	if end := in.Offset + uint64(len(data)); end > uint64(len(n.data)) {
		n.resize(end)
	}
	copy(n.data[in.Offset:], data)
	fs.touch(n)
	return len(data), nil
}

func (fs *memfs) Readdir(r *ops.Request, in *protocol.ReadIn, d *ops.DirBuf) error {
	return fs.list(r, in, d)
}

func (fs *memfs) Readdirplus(r *ops.Request, in *protocol.ReadIn, d *ops.DirBuf) error {
	return fs.list(r, in, d)
}

func (fs *memfs) list(r *ops.Request, in *protocol.ReadIn, d *ops.DirBuf) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	for i, dot := range []string{".", ".."} {
		if in.Offset <= uint64(i) && !d.Add(n.attr.Ino, uint64(i)+1, unix.DT_DIR, []byte(dot)) {
			return nil
		}
	}
	for i := range n.entries {
		e := &n.entries[i]
		if e.cookie <= in.Offset {
			continue
		}
		typ := e.n.attr.Mode & unix.S_IFMT >> 12
		if !d.Plus() {
			if !d.Add(e.n.attr.Ino, e.cookie, typ, []byte(e.name)) {
				return nil
			}
			continue
		}
		var out protocol.EntryOut
		fs.entry(e.n, &out)
		if !d.AddPlus(&out, e.cookie, typ, []byte(e.name)) {
			e.n.nlookup--
			return nil
		}
	}
	return nil
}

func (fs *memfs) Getxattr(r *ops.Request, name, dst []byte) (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return 0, err
	}
	for _, x := range n.xattr {
		if x.name == string(name) {
			copy(dst, x.value)
			return len(x.value), nil
		}
	}
	return 0, unix.ENODATA
}

func (fs *memfs) Listxattr(r *ops.Request, dst []byte) (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return 0, err
	}
	var b strings.Builder
	for _, x := range n.xattr {
		b.WriteString(x.name + "\x00")
	}
	copy(dst, b.String())
	return b.Len(), nil
}

func (fs *memfs) Setxattr(r *ops.Request, in *protocol.SetxattrIn, name, value []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	for i := range n.xattr {
		if x := &n.xattr[i]; x.name == string(name) {
			if in.Flags&unix.XATTR_CREATE != 0 {
				return unix.EEXIST
			}
			x.value = string(value)
			fs.changed(n)
			return nil
		}
	}
	if in.Flags&unix.XATTR_REPLACE != 0 {
		return unix.ENODATA
	}
	n.xattr = append(n.xattr, xattr{string(name), string(value)})
	fs.changed(n)
	return nil
}

func (fs *memfs) Removexattr(r *ops.Request, name []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	for i, x := range n.xattr {
		if x.name == string(name) {
			n.xattr = append(n.xattr[:i:i], n.xattr[i+1:]...)
			fs.changed(n)
			return nil
		}
	}
	return unix.ENODATA
}
