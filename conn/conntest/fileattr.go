package conntest

import (
	"encoding/binary"
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// fsGetXattr is FS_IOC_FSGETXATTR, _IOR('X', 31, struct fsxattr).
const fsGetXattr = iocRead | 28<<16 | 'X'<<8 | 31

// Getflags is FS_IOC_GETFLAGS: the flags of chattr(1).
func (f *File) Getflags() (uint32, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	var b [4]byte
	e := f.fileattr(unix.FS_IOC_GETFLAGS, b[:])
	return binary.NativeEndian.Uint32(b[:]), errno(e)
}

// Setflags is FS_IOC_SETFLAGS. fs/file_attr.c: vfs_fileattr_set asks for what
// there is first, by FS_IOC_FSGETXATTR.
func (f *File) Setflags(flags uint32) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if !f.closed && f.c.Uid != 0 && f.c.Uid != f.ino.attr.Uid {
		return unix.EPERM
	}
	if k.fileattrs() {
		if e := f.fileattr(fsGetXattr, make([]byte, 28)); e != 0 {
			return e
		}
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], flags)
	return errno(f.fileattr(unix.FS_IOC_SETFLAGS, b[:]))
}

// fileattrs reports whether the VFS handles the flags (Linux 5.13).
func (k *Kernel) fileattrs() bool { return k.o.Minor >= 33 }

// fileattr is fs/fuse/ioctl.c: fuse_priv_ioctl: the file is opened O_RDONLY for
// it, whatever the caller has, and the reply must be whole.
func (f *File) fileattr(cmd uint32, arg []byte) unix.Errno {
	k := f.c.k
	switch {
	case f.closed:
		return unix.EBADF
	case f.ino.bad:
		return unix.EIO
	case !f.ino.reg() && !f.ino.dir():
		return unix.ENOTTY
	}
	if !k.fileattrs() {
		if f.ino.dir() && k.o.Minor < 18 {
			return unix.ENOTTY
		}
		n, e := k.sendIoctl(f, cmd, arg, len(arg), ioctlFlags(f))
		if e == 0 && n < 0 {
			e = unix.Errno(-n)
		}
		return e
	}
	priv := &File{c: f.c, ino: f.ino, flags: unix.O_RDONLY}
	if e := k.sendOpen(priv, unix.O_RDONLY); e != 0 {
		return e
	}
	in := protocol.IoctlIn{Fh: priv.fh, Flags: ioctlFlags(f), Cmd: cmd}
	b := body{op: protocol.OpIoctl, nodeid: f.ino.nodeid, exact: true}
	if cmd&iocRead != 0 {
		in.OutSize, b.size = uint32(len(arg)), len(arg)
	} else {
		in.InSize, b.data = uint32(len(arg)), arg
	}
	b.arg = protocol.BytesOf(&in)
	out, data, e := k.ioctlReply(f, &b)
	k.sendRelease(priv)
	if e == 0 && out.Result < 0 {
		e = unix.Errno(-out.Result)
	} else if e == 0 && out.Result > 0 {
		k.report(&request{op: b.op, nodeid: b.nodeid}, 0, fmt.Sprintf("a result of %d for flags of an inode", out.Result), "it is taken for success")
	}
	if e == unix.EOPNOTSUPP && k.o.Minor >= 45 {
		e = unix.ENOTTY // what file_getattr(2) calls EOPNOTSUPP
	}
	copy(arg, data)
	return e
}
