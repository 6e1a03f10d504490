package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// What is asked of an inode (fs/namei.c: MAY_*); the first three are those of
// access(2).
const (
	mayExec  = unix.X_OK
	mayWrite = unix.W_OK
	mayRead  = unix.R_OK
	mayAsk   = 0x10 // access(2) or chdir(2) itself
)

// checks reports whether the kernel checks modes: the mount option
// default_permissions, which POSIX_ACL implies.
func (k *Kernel) checks() bool {
	return k.o.DefaultPermissions || k.has(protocol.InitPosixACL)
}

// allowed is fs/fuse/dir.c: fuse_permission. Without default_permissions it asks
// the server for access(2) and chdir(2) only, and looks at the execute bits of
// regular files.
func (k *Kernel) allowed(c *Client, i *inode, mask uint32, more uint32) unix.Errno {
	if i.bad {
		return unix.EIO
	}
	exec := mask&mayExec != 0 && i.reg()
	refreshed := false
	if (k.checks() || exec) && (k.now >= i.until || i.inval&invalPerm != 0) {
		refreshed = true
		if e := k.getattr(c, i, nil); e != 0 {
			return e
		}
	}
	switch {
	case k.checks():
		e := c.generic(i, mask)
		if e == unix.EACCES && !refreshed {
			if e = k.getattr(c, i, nil); e == 0 {
				e = c.generic(i, mask)
			}
		}
		return e
	case more&mayAsk != 0:
		return k.access(c, i, mask)
	case exec && i.attr.Mode&0o111 == 0:
		if !refreshed {
			if e := k.getattr(c, i, nil); e != 0 {
				return e
			}
		}
		if i.attr.Mode&0o111 == 0 {
			return unix.EACCES
		}
	}
	return 0
}

// access is fuse_access.
func (k *Kernel) access(c *Client, i *inode, mask uint32) unix.Errno {
	if k.no[protocol.OpAccess] {
		return 0
	}
	in := protocol.AccessIn{Mask: mask & (mayRead | mayWrite | mayExec)}
	_, e := k.call(c, &body{op: protocol.OpAccess, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
	if e == unix.ENOSYS {
		k.no[protocol.OpAccess] = true
		return 0
	}
	return e
}

// generic is fs/namei.c: generic_permission, without access control lists. User
// 0 may do all but execute what nobody may.
func (c *Client) generic(i *inode, mask uint32) unix.Errno {
	mode := i.attr.Mode
	switch {
	case c.Uid == i.attr.Uid:
		mode >>= 6
	case c.member(i.attr.Gid):
		mode >>= 3
	}
	if mask&^mode&7 == 0 {
		return 0
	}
	if c.Uid == 0 && (i.dir() || mask&mayExec == 0 || i.attr.Mode&0o111 != 0) {
		return 0
	}
	return unix.EACCES
}

// Access is access(2), with the process's ids: mode is of unix.R_OK, W_OK and
// X_OK, or F_OK, which is a mask of 0 on the wire.
func (c *Client) Access(path string, mode uint32) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if mode&^7 != 0 {
		return unix.EINVAL
	}
	d, e := k.find(c, path, true)
	if e != 0 {
		return e
	}
	defer k.dput(d)
	return errno(k.allowed(c, d.ino, mode, mayAsk))
}

// Chdir is chdir(2) as far as the server sees it: paths stay absolute.
func (c *Client) Chdir(path string) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, true)
	if e != 0 {
		return e
	}
	defer k.dput(d)
	if !d.ino.dir() {
		return unix.ENOTDIR
	}
	return errno(k.allowed(c, d.ino, mayExec, mayAsk))
}

// may is allowed where only default_permissions matters.
func (k *Kernel) may(c *Client, i *inode, mask uint32) unix.Errno {
	if !k.checks() {
		return 0
	}
	return k.allowed(c, i, mask, 0)
}

// accessMask is what open(2) with these flags asks for (ACC_MODE).
func accessMask(flags uint32) uint32 {
	mask := uint32(mayRead)
	switch flags & unix.O_ACCMODE {
	case unix.O_WRONLY:
		mask = mayWrite
	case unix.O_RDWR:
		mask |= mayWrite
	}
	if flags&unix.O_TRUNC != 0 {
		mask |= mayWrite
	}
	return mask
}

// mayDelete is fs/namei.c: may_delete, with check_sticky: i, if there is one,
// loses its name in dir, or gives it to another.
func (k *Kernel) mayDelete(c *Client, dir, i *inode) unix.Errno {
	if e := k.may(c, dir, mayWrite|mayExec); e != 0 || !k.checks() || i == nil {
		return e
	}
	if dir.attr.Mode&unix.S_ISVTX != 0 && c.Uid != 0 && c.Uid != i.attr.Uid && c.Uid != dir.attr.Uid {
		return unix.EPERM
	}
	return 0
}

// mayChange is fs/attr.c: setattr_prepare.
func (c *Client) mayChange(i *inode, in *protocol.SetattrIn) bool {
	owner := c.Uid == i.attr.Uid
	switch {
	case c.Uid == 0:
		return true
	case in.Valid&protocol.FattrUid != 0 && !(owner && in.Uid == i.attr.Uid):
		return false
	case in.Valid&protocol.FattrGid != 0 && !(owner && (c.member(in.Gid) || in.Gid == i.attr.Gid)):
		return false
	case in.Valid&(protocol.FattrMode|protocol.FattrAtime|protocol.FattrMtime) != 0 && !owner:
		return false
	}
	if in.Valid&protocol.FattrMode != 0 && !c.member(i.attr.Gid) {
		in.Mode &^= unix.S_ISGID
	}
	return true
}
