package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/wb"
)

// Unlink answers UNLINK.
func (fs *FS) Unlink(r *ops.Request, name []byte) error { return fs.remove(r, name, 0) }

// Rmdir answers RMDIR.
func (fs *FS) Rmdir(r *ops.Request, name []byte) error {
	return fs.remove(r, name, unix.AT_REMOVEDIR)
}

func (fs *FS) remove(r *ops.Request, name []byte, flags int) error {
	var buf nameBuf
	dir, dirfd, c, err := fs.dirToChange(r.Nodeid(), name, &buf)
	if err != nil {
		return err
	}
	defer fs.unpin(dir)
	v := fs.victim(dir, dirfd, c)
	err = unlinkAt(dirfd, c, flags)
	if v != nil {
		if err == nil {
			v.removed(dir, name)
		}
		fs.unpin(v)
	}
	return err
}

// victim returns the inode that is about to lose the name c, pinned: with its
// last name it may become impossible to open again, and the kernel may still
// use it (as a working directory, say). nil if it is not known, or if nothing
// can go wrong since all inodes are held.
func (fs *FS) victim(dir *inode, dirfd int, c *byte) *inode {
	if dir.mnt.openable && fs.budget.evicted.Load() <= 0 {
		return nil
	}
	var st unix.Statx_t
	if statxAt(dirfd, c, &st) != nil {
		return nil
	}
	k := keyOf(&st)
	i := fs.peek(&k)
	if i == nil {
		return nil
	}
	if _, err := fs.pin(i); err != nil {
		return nil
	}
	return i
}

// Rename answers RENAME and RENAME2. The kernel has checked permissions and
// the sticky bit.
//
// What is held back of the file is written first, so that nobody finds less behind
// the new name, after a crash, than was behind the old one (fs/ext4/namei.c does so
// with auto_da_alloc). If that fails, who wrote it is told, and it is moved all the
// same. Not where a whiteout is made, for overlayfs.
func (fs *FS) Rename(r *ops.Request, newnode uint64, oldname, newname []byte, flags uint32) error {
	if fs.writeCache() != nil && flags&unix.RENAME_WHITEOUT == 0 {
		if w := fs.heldBack(r.Nodeid(), oldname); w != nil {
			_, err := fs.later(r, w, func(bool, error) (int, error) {
				return 0, fs.rename(r, newnode, oldname, newname, flags)
			})
			return err
		}
	}
	return fs.rename(r, newnode, oldname, newname, flags)
}

// heldBack returns the file with a name if something is held back of it.
func (fs *FS) heldBack(nodeid uint64, name []byte) *wb.File {
	var buf nameBuf
	dir, fd, c, err := fs.dirOf(nodeid, name, &buf)
	if err != nil {
		return nil
	}
	defer fs.unpin(dir)
	var st unix.Statx_t
	if statxAt(fd, c, &st) != nil {
		return nil
	}
	k := keyOf(&st)
	i := fs.peek(&k)
	if i == nil {
		return nil
	}
	w := i.back()
	if w == nil || !w.Busy() {
		return nil
	}
	return w
}

func (fs *FS) rename(r *ops.Request, newnode uint64, oldname, newname []byte, flags uint32) error {
	if fs.opt.ReadOnly {
		return unix.EROFS
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT) != 0 {
		return unix.EINVAL
	}
	var obuf, nbuf nameBuf
	from, fromfd, oc, err := fs.dirOf(r.Nodeid(), oldname, &obuf)
	if err != nil {
		return err
	}
	defer fs.unpin(from)
	to, tofd, nc, err := fs.dirOf(newnode, newname, &nbuf)
	if err != nil {
		return err
	}
	defer fs.unpin(to)

	// Who moves, and who is in the way.
	var i *inode
	if from != to || !from.mnt.openable {
		var st unix.Statx_t
		if statxAt(fromfd, oc, &st) == nil {
			k := keyOf(&st)
			i = fs.peek(&k)
		}
	}
	v := fs.victim(to, tofd, nc)
	if v == nil && flags&unix.RENAME_EXCHANGE != 0 && from != to {
		var st unix.Statx_t
		if statxAt(tofd, nc, &st) == nil {
			k := keyOf(&st)
			v = fs.peek(&k)
		}
		if v != nil {
			if _, err := fs.pin(v); err != nil {
				v = nil
			}
		}
	}
	if flags&unix.RENAME_WHITEOUT != 0 {
		// The whiteout is a new file, and the caller's.
		var who creds
		if who, err = fs.assume(r, noUmask, nil); err == nil {
			err = renameAt(fromfd, oc, tofd, nc, flags)
		}
		who.drop()
	} else {
		err = renameAt(fromfd, oc, tofd, nc, flags)
	}
	if err == nil {
		switch {
		case v == nil:
		case flags&unix.RENAME_EXCHANGE != 0:
			v.moved(to, newname, from, oldname)
		default:
			v.removed(to, newname)
		}
		if i != nil {
			i.moved(from, oldname, to, newname)
		}
	}
	if v != nil {
		fs.unpin(v)
	}
	return err
}
