package passfs

import (
	"bytes"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// dir is an open directory. Its cookies are the source's d_off, so they mean
// something without it and survive it; what it keeps is read ahead only.
type dir struct {
	i  *inode
	fd int

	mu     mutex // one READDIR at a time; the position is the handle's
	closed bool
	pos    uint64 // cookie of the entry at buf[lo]
	buf    []byte // entries read from the source; nil: none
	lo, hi int
}

// dirBufSize is what is read from a directory at once.
const dirBufSize = 32 << 10

// dirBufs keeps a few buffers for the next directory.
type dirBufs struct {
	mu   mutex
	free [][]byte
}

func (p *dirBufs) get() []byte {
	defer p.mu.hold()()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, dirBufSize)
}

func (p *dirBufs) put(b []byte) {
	defer p.mu.hold()()
	if len(p.free) < 8 {
		p.free = append(p.free, b)
	}
}

// Opendir answers OPENDIR.
func (fs *FS) Opendir(r *ops.Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return err
	}
	if !i.isDir() {
		return unix.ENOTDIR
	}
	fd, err := fs.reopen(i, unix.O_RDONLY|unix.O_DIRECTORY|int(in.Flags&unix.O_NOATIME))
	if err == unix.EPERM && in.Flags&unix.O_NOATIME != 0 {
		// The kernel has checked that the caller may; we are not the owner.
		fd, err = fs.reopen(i, unix.O_RDONLY|unix.O_DIRECTORY)
	}
	if err != nil {
		return err
	}
	fh, err := fs.dirs.Add(&dir{i: i, fd: fd}, 1)
	if err != nil {
		fs.closeFD(fd)
		return err
	}
	i.opened(fd)
	out.Fh = fh
	if fs.opt.Cache == CacheAlways {
		out.OpenFlags = protocol.FopenKeepCache | protocol.FopenCacheDir
	}
	return nil
}

// Releasedir answers RELEASEDIR.
func (fs *FS) Releasedir(r *ops.Request, in *protocol.ReleaseIn) error {
	fs.closeDir(in.Fh)
	return nil
}

func (fs *FS) closeDir(fh uint64) {
	d, gone := fs.dirs.Forget(fh, 1)
	if !gone || d == nil {
		return
	}
	defer d.mu.hold()()
	d.closed = true
	fs.dropDirBuf(d)
	fs.closing(d.i, d.fd)
	fs.closeFD(d.fd)
}

func (fs *FS) dropDirBuf(d *dir) {
	if d.buf != nil {
		fs.dirBufs.put(d.buf)
		d.buf = nil
	}
	d.lo, d.hi = 0, 0
}

// doneDirs closes all of them; nothing runs any more.
func (fs *FS) doneDirs() {
	fs.dirs.Each(func(_ uint64, d *dir) bool {
		if !d.closed {
			d.closed = true
			fs.closeFD(d.fd)
		}
		return true
	})
}

// openDir returns the open directory fh, locked.
func (fs *FS) openDir(fh uint64) (*dir, error) {
	d := fs.dirs.Get(fh)
	if d == nil {
		return nil, unix.EBADF
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, unix.EBADF
	}
	return d, nil
}

// Fsyncdir answers FSYNCDIR.
func (fs *FS) Fsyncdir(r *ops.Request, in *protocol.FsyncIn) error {
	d, err := fs.openDir(in.Fh)
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	if r.Elsewhere() {
		return ops.Elsewhere
	}
	if in.FsyncFlags&protocol.FsyncFdatasync != 0 {
		return unix.Fdatasync(d.fd)
	}
	return unix.Fsync(d.fd)
}

// Readdir answers READDIR.
func (fs *FS) Readdir(r *ops.Request, in *protocol.ReadIn, b *ops.DirBuf) error {
	return fs.readdir(in, b, false)
}

// Readdirplus answers READDIRPLUS: each entry is looked up as well. One that
// is gone by then is listed without attributes, as READDIR would list it.
func (fs *FS) Readdirplus(r *ops.Request, in *protocol.ReadIn, b *ops.DirBuf) error {
	return fs.readdir(in, b, true)
}

func (fs *FS) readdir(in *protocol.ReadIn, b *ops.DirBuf, plus bool) error {
	d, err := fs.openDir(in.Fh)
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	// Offset 0 is rewinddir: what is there now counts.
	if in.Offset == 0 || in.Offset != d.pos {
		d.lo, d.hi = 0, 0
		if _, err := unix.Seek(d.fd, int64(in.Offset), unix.SEEK_SET); err != nil {
			return err
		}
		d.pos = in.Offset
	}
	for some := false; ; some = true {
		if d.lo == d.hi {
			n, err := fs.fillDir(d)
			if n == 0 {
				fs.dropDirBuf(d)
				if some {
					return nil // the error comes again with the next
				}
				return err
			}
		}
		ent := d.buf[d.lo:d.hi]
		ino, off, size, typ := load64(ent), load64(ent[8:]), int(load16(ent[16:])), ent[18]
		name := ent[direntName:size]
		if n := bytes.IndexByte(name, 0); n >= 0 {
			name = name[:n]
		}
		ok := false
		if plus {
			ok = fs.addPlus(d, b, ino, off, uint32(typ), name)
		} else {
			ok = b.Add(d.dotIno(fs, ino, name), off, uint32(typ), name)
		}
		if !ok {
			return nil
		}
		d.lo += size
		d.pos = off
	}
}

// dotIno hides the number of the directory above the source.
func (d *dir) dotIno(fs *FS, ino uint64, name []byte) uint64 {
	if d.i == fs.root && string(name) == ".." {
		return fs.root.key.ino
	}
	return ino
}

// fillDir reads more entries, 0 at the end.
func (fs *FS) fillDir(d *dir) (int, error) {
	if d.buf == nil {
		d.buf = fs.dirBufs.get()
	}
	d.lo, d.hi = 0, 0
	for again := false; ; {
		n, err := unix.Getdents(d.fd, d.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n > 0 || d.pos != 0 || again {
			d.hi = n
			return n, nil
		}
		// Nothing, not even ".", at the start: either the directory was
		// removed, or this is ext4 after a first read at the end: it
		// remembers the position it was set up for as that of the start
		// (fs/ext4/dir.c: ext4_dx_readdir). The read just done has made it
		// forget.
		if _, err := unix.Seek(d.fd, 0, unix.SEEK_SET); err != nil {
			return 0, err
		}
		again = true
	}
}

func (fs *FS) addPlus(d *dir, b *ops.DirBuf, ino, off uint64, typ uint32, name []byte) bool {
	// Ask first: an entry that does not fit must not have been counted.
	if b.Room() < protocol.DirentplusSize(len(name)) {
		return false
	}
	var e protocol.EntryOut
	if checkName(name) == nil {
		var st unix.Statx_t
		var nb nameBuf
		if i, err := fs.lookupAt(d.i, d.fd, cstr(name, &nb), name, &st); err == nil {
			fs.entry(i, &st, &e)
			if b.AddPlus(&e, off, typ, name) {
				return true
			}
			fs.Forget(i.nodeid, 1)
			return false
		}
	}
	e.Attr.Ino = d.dotIno(fs, ino, name)
	return b.AddPlus(&e, off, typ, name)
}
