package passfs

import (
	"bytes"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// Extended attributes are handed through under their own names and as the
// server: the kernel above has checked the caller (trusted.* and
// security.capability need capabilities, user.* a regular file or directory).
// ACLs are the attributes system.posix_acl_*; the source's file system keeps
// the mode in step with them.

// xattr returns the inode of a request about attribute name, pinned.
func (fs *FS) xattr(r *ops.Request, write bool) (*inode, int, error) {
	switch {
	case fs.opt.Xattr == XattrNoSys:
		return nil, -1, unix.ENOSYS
	case fs.opt.Xattr == XattrNoAttr:
		return nil, -1, unix.EOPNOTSUPP
	case write && fs.opt.ReadOnly:
		return nil, -1, unix.EROFS
	}
	return fs.pinned(r.Nodeid())
}

// xattrName returns name as a C string; ERANGE as setxattr(2) has it.
func xattrName(name []byte, buf *nameBuf) (*byte, error) {
	if len(name) == 0 || len(name) > nameMax || bytes.IndexByte(name, 0) >= 0 {
		return nil, unix.ERANGE
	}
	return cstr(name, buf), nil
}

// maxXattr is XATTR_SIZE_MAX and XATTR_LIST_MAX.
const maxXattr = 65536

// Getxattr answers GETXATTR.
func (fs *FS) Getxattr(r *ops.Request, name, dst []byte) (int, error) {
	var buf nameBuf
	i, fd, err := fs.xattr(r, false)
	if err != nil {
		return 0, err
	}
	defer fs.unpin(i)
	c, err := xattrName(name, &buf)
	if err != nil {
		return 0, err
	}
	return fs.getxattr(fd, c, dst[:min(len(dst), maxXattr)])
}

// Setxattr answers SETXATTR.
func (fs *FS) Setxattr(r *ops.Request, in *protocol.SetxattrIn, name, value []byte) error {
	var buf nameBuf
	i, fd, err := fs.xattr(r, true)
	if err != nil {
		return err
	}
	defer fs.unpin(i)
	c, err := xattrName(name, &buf)
	if err != nil {
		return err
	}
	kill := in.SetxattrFlags&protocol.SetxattrACLKillSgid != 0
	fs.fsetid(r, !kill)
	if err := fs.setxattr(fd, c, value, in.Flags); err != nil || !kill {
		return err
	}
	// The source takes sgid from a thread without CAP_FSETID, but not if the
	// server happens to be in the file's group.
	var st unix.Statx_t
	if err := statxFD(fd, &st); err == nil && st.Mode&unix.S_ISGID != 0 && i.mode != unix.S_IFLNK {
		return fs.chmodFD(fd, uint32(st.Mode)&modeBits&^unix.S_ISGID)
	}
	return nil
}

// Listxattr answers LISTXATTR. As on any file system, trusted.* is shown to
// root only; the kernel does not filter what we say.
func (fs *FS) Listxattr(r *ops.Request, dst []byte) (int, error) {
	i, fd, err := fs.xattr(r, false)
	if err != nil {
		return 0, err
	}
	defer fs.unpin(i)
	list := dst[:min(len(dst), maxXattr)]
	n, err := fs.listxattr(fd, list)
	if r.Uid() == 0 || err != nil && err != unix.ERANGE {
		return n, err
	}
	if err == nil && len(dst) > 0 {
		return dropTrusted(list[:n]), nil
	}
	// Only the size is asked for, and it must be that of the filtered list; or
	// only the filtered list has room.
	if err == nil && n == 0 {
		return 0, nil
	}
	list = make([]byte, maxXattr)
	if n, err = fs.listxattr(fd, list); err != nil {
		return 0, err
	}
	n = dropTrusted(list[:n])
	if len(dst) > 0 {
		if n > len(dst) {
			return 0, unix.ERANGE
		}
		copy(dst, list[:n])
	}
	return n, nil
}

var trusted = []byte("trusted.")

// dropTrusted takes the trusted.* names out of a list and returns what is left.
func dropTrusted(list []byte) int {
	n := 0
	for rest := list; len(rest) > 0; {
		end := bytes.IndexByte(rest, 0) + 1
		if end == 0 {
			end = len(rest)
		}
		if !bytes.HasPrefix(rest, trusted) {
			n += copy(list[n:], rest[:end])
		}
		rest = rest[end:]
	}
	return n
}

// Removexattr answers REMOVEXATTR.
func (fs *FS) Removexattr(r *ops.Request, name []byte) error {
	var buf nameBuf
	i, fd, err := fs.xattr(r, true)
	if err != nil {
		return err
	}
	defer fs.unpin(i)
	c, err := xattrName(name, &buf)
	if err != nil {
		return err
	}
	return fs.removexattr(fd, c)
}
