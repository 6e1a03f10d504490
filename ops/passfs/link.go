package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// Link answers LINK: another name for an inode, be it one without any left
// that was made by O_TMPFILE. The kernel has checked the caller's rights,
// protected_hardlinks included (fs/namei.c: may_linkat).
func (fs *FS) Link(r *ops.Request, oldnodeid uint64, name []byte, out *protocol.EntryOut) error {
	if fs.opt.ReadOnly {
		return unix.EROFS
	}
	i, err := fs.inode(oldnodeid)
	if err != nil {
		return err
	}
	var buf nameBuf
	dir, dirfd, c, err := fs.dirOf(r.Nodeid(), name, &buf)
	if err != nil {
		return err
	}
	defer fs.unpin(dir)
	fd, err := fs.pin(i)
	if err != nil {
		return err
	}
	defer fs.unpin(i)
	err = linkAt(fd, &emptyPath[0], dirfd, c, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT || err == unix.EINVAL || err == unix.EPERM {
		// AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH (before 6.10). The magic
		// link leads to the descriptor's file itself, a symlink too.
		var b [12]byte
		err = linkAt(fs.procFD, fdName(fd, &b), dirfd, c, unix.AT_SYMLINK_FOLLOW)
	}
	if err != nil {
		return err
	}
	var st unix.Statx_t
	if err := statxFD(fd, &st); err != nil {
		return err
	}
	if !fs.nodes.Ref(i.nodeid) {
		return unix.ESTALE
	}
	i.seen(dir, name)
	fs.entry(i, &st, out)
	return nil
}
