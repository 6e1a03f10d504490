package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

const modeBits = 0o7777

// node is what makeNode makes.
type node struct {
	mode, rdev, umask uint32
	target            *byte // S_IFLNK
}

// Mknod answers MKNOD: files, FIFOs, sockets, devices. Whether the caller may
// make a device is checked in the source with the caller's ids.
func (fs *FS) Mknod(r *ops.Request, in *protocol.MknodIn, name []byte, out *protocol.EntryOut) error {
	return fs.makeNode(r, name, &node{mode: in.Mode & (unix.S_IFMT | modeBits), rdev: in.Rdev, umask: in.Umask}, out)
}

// Mkdir answers MKDIR.
func (fs *FS) Mkdir(r *ops.Request, in *protocol.MkdirIn, name []byte, out *protocol.EntryOut) error {
	return fs.makeNode(r, name, &node{mode: unix.S_IFDIR | in.Mode&modeBits, umask: in.Umask}, out)
}

// Symlink answers SYMLINK.
func (fs *FS) Symlink(r *ops.Request, name, target []byte, out *protocol.EntryOut) error {
	switch {
	case len(target) == 0:
		return unix.ENOENT
	case len(target) >= unix.PathMax:
		return unix.ENAMETOOLONG
	}
	t := make([]byte, len(target)+1)
	copy(t, target)
	return fs.makeNode(r, name, &node{mode: unix.S_IFLNK, umask: noUmask, target: &t[0]}, out)
}

func (n *node) make(dirfd int, c *byte) error {
	switch n.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return mkdirAt(dirfd, c, n.mode&modeBits)
	case unix.S_IFLNK:
		return symlinkAt(n.target, dirfd, c)
	}
	return mknodAt(dirfd, c, n.mode, n.rdev)
}

func (fs *FS) makeNode(r *ops.Request, name []byte, n *node, out *protocol.EntryOut) error {
	var buf nameBuf
	dir, dirfd, c, err := fs.dirToChange(r.Nodeid(), name, &buf)
	if err != nil {
		return err
	}
	defer fs.unpin(dir)
	who, err := fs.assume(r, n.umask, &n.mode)
	if err == nil {
		err = n.make(dirfd, c)
		if err == unix.EACCES && who.override(true) {
			err = n.make(dirfd, c)
		}
	}
	who.drop()
	if err != nil {
		return err
	}
	var st unix.Statx_t
	i, err := fs.lookupAt(dir, dirfd, c, name, &st)
	if err != nil {
		fs.undo(dirfd, c, n.mode)
		return err
	}
	fs.entry(i, &st, out)
	return nil
}

// undo removes what a failing request has just made. It may have been
// replaced by others meanwhile, so only something of the same type is taken
// that holds nothing yet.
func (fs *FS) undo(dirfd int, c *byte, mode uint32) {
	var st unix.Statx_t
	if statxAt(dirfd, c, &st) != nil || uint32(st.Mode)&unix.S_IFMT != mode&unix.S_IFMT {
		return
	}
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		unlinkAt(dirfd, c, unix.AT_REMOVEDIR) // only if empty
	case unix.S_IFREG:
		if st.Size == 0 && st.Nlink == 1 {
			unlinkAt(dirfd, c, 0)
		}
	default:
		if st.Nlink == 1 {
			unlinkAt(dirfd, c, 0)
		}
	}
}

// Create answers CREATE: the file is made if need be, and opened.
//
// It costs one descriptor, the open file's: the inode is held by that and
// gets a reference of its own when one is needed (fs.closing). So a CREATE
// does not fail for want of descriptors after the file was made.
func (fs *FS) Create(r *ops.Request, in *protocol.CreateIn, name []byte, e *protocol.EntryOut, o *protocol.OpenOut) error {
	var buf nameBuf
	dir, dirfd, c, err := fs.dirToChange(r.Nodeid(), name, &buf)
	if err != nil {
		return err
	}
	defer fs.unpin(dir)
	mode := in.Mode & modeBits
	flags := fs.openFlags(in.Flags &^ (unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_DIRECTORY))
	fs.takeFD(1)
	fd, made, trunc := -1, false, 0
	who, err := fs.assume(r, in.Umask, &mode)
	for try := 0; err == nil && fd < 0; try++ {
		// O_EXCL first: an existing FIFO or device must not be opened.
		fd, err = openAt(dirfd, c, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
		if err == unix.EACCES && who.override(true) {
			fd, err = openAt(dirfd, c, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
			if !who.override(false) && err == unix.EEXIST {
				err = unix.EACCES // its mode counts
			}
		}
		made = err == nil
		if err == unix.EEXIST && in.Flags&unix.O_EXCL == 0 {
			if in.Flags&unix.O_TRUNC != 0 && !who.uid {
				fs.fsetid(r, true) // root's truncation takes no bits
			}
			trunc = int(in.Flags & unix.O_TRUNC)
			if fs.writeCache() != nil {
				fd, err = fs.openExisting(dirfd, c, flags)
			} else {
				fd, err = fs.openExisting(dirfd, c, flags|trunc)
			}
			if err == unix.EACCES && fs.raised(in.Flags) {
				err = unix.ESTALE // as the caller asked for it, by OPEN
			}
			if err == unix.ENOENT && try < 8 {
				err = nil // removed in between: again
			}
		}
		if err != nil && fs.full(err) {
			err = nil
		}
	}
	who.drop()
	if err != nil {
		fs.giveFD(1)
		return err
	}
	err = fs.register(r, dir, name, fd, in.Flags, e, o)
	if err == nil && !made && trunc != 0 && fs.writeCache() != nil {
		// With the cache's consent, if it has something of the file.
		if err = fs.truncNow(r, fs.nodes.Get(e.Nodeid)); err != nil {
			fs.closeFile(o.Fh)
			fs.Forget(e.Nodeid, 1)
			return err
		}
		e.Attr.Size, e.Attr.Blocks = 0, 0
	}
	if err != nil && made {
		fs.undo(dirfd, c, unix.S_IFREG)
	}
	return err
}

// openExisting opens a file that the kernel did not know to be there. Links
// and special files are the kernel's to handle: ESTALE makes it look the name
// up again (fs/namei.c: do_filp_open).
func (fs *FS) openExisting(dirfd int, c *byte, flags int) (int, error) {
	p, err := openAt(dirfd, c, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(p)
	var st unix.Statx_t
	if err := statxFD(p, &st); err != nil {
		return -1, err
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return -1, unix.EISDIR
	default:
		return -1, unix.ESTALE
	}
	var b [12]byte
	return openAt(fs.procFD, fdName(p, &b), flags&^unix.O_NOFOLLOW, 0)
}

// register turns the new open file fd into an inode and a file handle, and
// closes it when that fails.
func (fs *FS) register(r *ops.Request, dir *inode, name []byte, fd int, flags uint32, e *protocol.EntryOut, o *protocol.OpenOut) error {
	var st unix.Statx_t
	if err := statxFD(fd, &st); err != nil {
		fs.closeFD(fd)
		return err
	}
	i, err := fs.intern(dir, name, fd, false, &st)
	if err != nil {
		fs.closeFD(fd)
		return err
	}
	if err := fs.newFile(r, i, fd, flags, o, &st); err != nil {
		fs.closing(i, fd)
		fs.closeFD(fd)
		fs.Forget(i.nodeid, 1)
		return err
	}
	fs.entry(i, &st, e)
	return nil
}

// Tmpfile answers TMPFILE: an open file without a name.
func (fs *FS) Tmpfile(r *ops.Request, in *protocol.CreateIn, e *protocol.EntryOut, o *protocol.OpenOut) error {
	if fs.opt.ReadOnly {
		return unix.EROFS
	}
	dir, dirfd, err := fs.pinned(r.Nodeid())
	if err != nil {
		return err
	}
	defer fs.unpin(dir)
	mode := in.Mode & modeBits
	flags := fs.openFlags(in.Flags &^ (unix.O_CREAT | unix.O_EXCL | unix.O_TRUNC | unix.O_TMPFILE))
	// With O_TMPFILE, O_EXCL says that it will never get a name.
	flags |= int(in.Flags & unix.O_EXCL)
	dot := [2]byte{'.'}
	fs.takeFD(1)
	fd := -1
	who, err := fs.assume(r, in.Umask, &mode)
	for err == nil && fd < 0 {
		fd, err = openAt(dirfd, &dot[0], flags|unix.O_TMPFILE, mode)
		if err == unix.EACCES && who.override(true) {
			fd, err = openAt(dirfd, &dot[0], flags|unix.O_TMPFILE, mode)
		}
		if err != nil && fs.full(err) {
			err = nil
		}
	}
	who.drop()
	if err != nil {
		fs.giveFD(1)
		return err
	}
	return fs.register(r, dir, nil, fd, in.Flags, e, o)
}
