package passfs

import (
	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/ops"
)

// Zero copy: the data of READ and WRITE go from the page cache of the source to that
// of the mount, or to the caller's memory, without coming here (conn.ZeroCopy).

// takesPages reports whether fd is of a file system whose files are known to read
// into and write from any pages: of others some know user memory only, and what had
// no buffer could not be served otherwise.
func takesPages(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.F2FS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
		return true
	}
	return false
}

// move has the kernel carry out a READ or WRITE of n bytes, and answers with what
// came of it. f is given back then. part: part of it is an answer.
func (fs *FS) move(r *ops.Request, f *file, off int64, n, flags int, part bool) error {
	p := fs.pending(r)
	p.r, p.f, p.done, p.part = r, f, 0, part
	r.Detach()
	r.Transfer(f.fd, off, n, flags, p.moved)
	return ops.Detached
}

// transferred is move's end. READ: not even the part before an error, which would be
// the end of the file to the kernel.
func (p *pending) transferred(n int, e unix.Errno) {
	err := error(nil)
	if e != 0 && !(p.part && n > 0) {
		n, err = 0, e
	}
	p.end(n, err)
}

// killBits takes the set-id bits that a WRITE is to take, where the thread that will
// write may leave them.
func (fs *FS) killBits(f *file) {
	if fs.mayGo(f, true) {
		return
	}
	var st unix.Statx_t
	if statxFD(f.fd, &st) == nil {
		_ = unix.Fchmod(f.fd, uint32(st.Mode)&0o1777)
	}
}
