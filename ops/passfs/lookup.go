package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// dirOf returns the directory a request is about, pinned, and name as a C
// string. The caller unpins.
func (fs *FS) dirOf(nodeid uint64, name []byte, buf *nameBuf) (dir *inode, fd int, c *byte, err error) {
	if err = checkName(name); err != nil {
		return nil, -1, nil, err
	}
	if dir, fd, err = fs.pinned(nodeid); err != nil {
		return nil, -1, nil, err
	}
	return dir, fd, cstr(name, buf), nil
}

// dirToChange is dirOf for a request that makes or removes name.
func (fs *FS) dirToChange(nodeid uint64, name []byte, buf *nameBuf) (dir *inode, fd int, c *byte, err error) {
	if fs.opt.ReadOnly {
		return nil, -1, nil, unix.EROFS
	}
	return fs.dirOf(nodeid, name, buf)
}

// lookupAt finds name in dir and counts one lookup. One statx when the file
// is known and held; else it is opened, and what counts is what the
// descriptor says: between the two calls the name may have become another's.
// Which of the two it is is guessed; a wrong guess costs a call more.
func (fs *FS) lookupAt(dir *inode, dirfd int, c *byte, name []byte, st *unix.Statx_t) (*inode, error) {
	slot := nameSlot(dir.nodeid, name)
	if fs.names.has(slot) {
		if err := statxAt(dirfd, c, st); err != nil {
			return nil, err
		}
		k := keyOf(st)
		if i := fs.find(&k); i != nil {
			i.seen(dir, name)
			return i, nil
		}
	}
	fd, err := fs.openPath(dirfd, c)
	if err != nil {
		return nil, err
	}
	if err := statxFD(fd, st); err != nil {
		fs.closeFD(fd)
		return nil, err
	}
	i, err := fs.intern(dir, name, fd, true, st)
	if err == nil {
		fs.names.set(slot)
		i.hint.Store(slot) // of several names the last counts
	}
	return i, err
}

// openPath opens a counted O_PATH descriptor on name.
func (fs *FS) openPath(dirfd int, c *byte) (int, error) {
	fs.takeFD(1)
	for {
		fd, err := openAt(dirfd, c, unix.O_PATH|unix.O_NOFOLLOW, 0)
		if err == nil {
			return fd, nil
		}
		if !fs.full(err) {
			fs.giveFD(1)
			return -1, err
		}
	}
}

// Lookup answers LOOKUP.
func (fs *FS) Lookup(r *ops.Request, name []byte, out *protocol.EntryOut) error {
	if len(name) > 0 && len(name) <= 2 && name[0] == '.' && name[len(name)-1] == '.' {
		return fs.lookupDots(r.Nodeid(), len(name) == 2, out)
	}
	var buf nameBuf
	dir, dirfd, c, err := fs.dirOf(r.Nodeid(), name, &buf)
	if err != nil {
		return err
	}
	var st unix.Statx_t
	i, err := fs.lookupAt(dir, dirfd, c, name, &st)
	fs.unpin(dir)
	if err != nil {
		if err == unix.ENOENT && fs.negativeTimeout > 0 {
			out.EntryValid, out.EntryValidNsec = split(fs.negativeTimeout)
			return nil
		}
		return err
	}
	fs.entry(i, &st, out)
	return nil
}

// lookupDots answers "." and "..", which the kernel asks with EXPORT_SUPPORT
// to make sense of an NFS-style file handle (fs/fuse/inode.c: fuse_get_dentry,
// fuse_get_parent). ".." is never resolved in the source, where the directory
// may have been moved out of the tree: the answer is where it was seen last.
// ".." of the root is the root.
func (fs *FS) lookupDots(nodeid uint64, up bool, out *protocol.EntryOut) error {
	i, err := fs.inode(nodeid)
	if err != nil {
		return err
	}
	if up && i != fs.root {
		i.mu.Lock()
		p := i.parent
		i.mu.Unlock()
		if p == nil || !i.isDir() {
			return unix.ESTALE
		}
		i = p
	}
	fd, err := fs.pin(i)
	if err != nil {
		return err
	}
	defer fs.unpin(i)
	var st unix.Statx_t
	if err := statxFD(fd, &st); err != nil {
		return err
	}
	if i != fs.root && !fs.nodes.Ref(i.nodeid) {
		// The parent was forgotten: it comes back under a new nodeid.
		if !i.isDir() {
			return unix.ESTALE
		}
		again, err := fs.openPath(fd, cstr([]byte("."), new(nameBuf)))
		if err != nil {
			return err
		}
		i.mu.Lock()
		parent, name := i.parent, i.name
		i.mu.Unlock()
		if i, err = fs.intern(parent, []byte(name), again, true, &st); err != nil {
			return err
		}
	}
	fs.entry(i, &st, out)
	return nil
}

// Readlink answers READLINK.
func (fs *FS) Readlink(r *ops.Request, dst []byte) (int, error) {
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return 0, err
	}
	if i.mode != unix.S_IFLNK {
		return 0, unix.EINVAL
	}
	fd, err := fs.pin(i)
	if err != nil {
		return 0, err
	}
	n, err := readlinkFD(fd, dst)
	fs.unpin(i)
	return n, err
}
