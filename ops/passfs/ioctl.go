package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// ioctl describes one command of the allow-list.
type ioctl struct {
	cmd  uint32 // as the caller's architecture has it
	do   uint   // as ours has it
	size int    // of the argument
	set  bool   // the argument goes in, not out
}

// The numbers are _IOC(dir, 'f' or 'X', n, size). FS_IOC_GETFLAGS says "long"
// in its number and moves an int; the 32-bit form says int. FS_IOC_FS*XATTR
// have no word-sized field, so one form. Direction bits differ between
// architectures, which is why they are derived from a number sg/unix knows.
const (
	fsxSize   = 28 // struct fsxattr
	dirGet    = unix.FS_IOC_GETFLAGS & 0xe0000000
	dirSet    = unix.FS_IOC_SETFLAGS & 0xe0000000
	getFlags  = unix.FS_IOC_GETFLAGS
	setFlags  = unix.FS_IOC_SETFLAGS
	getFlag32 = dirGet | 4<<16 | 'f'<<8 | 1
	setFlag32 = dirSet | 4<<16 | 'f'<<8 | 2
	getFsx    = dirGet | fsxSize<<16 | 'X'<<8 | 31
	setFsx    = dirSet | fsxSize<<16 | 'X'<<8 | 32
)

var ioctls = [...]ioctl{
	{getFlags, getFlags, 4, false},
	{getFlag32, getFlags, 4, false},
	{setFlags, setFlags, 4, true},
	{setFlag32, setFlags, 4, true},
	{getFsx, getFsx, fsxSize, false},
	{setFsx, setFsx, fsxSize, true},
}

// Inode flags only root may change (FS_IMMUTABLE_FL, FS_APPEND_FL and their
// FS_XFLAG_ forms).
const (
	flagsRoot = 0x10 | 0x20
	xflagRoot = 0x8 | 0x10
)

// Ioctl answers IOCTL for the commands above, which lsattr, chattr and project
// quotas use, on regular files and directories; everything else is ENOTTY.
// Nothing is forwarded that is not understood: an ioctl's argument may be
// anything, and what it does is done with the server's rights.
//
// Kernels with fileattr (5.13) have checked the caller: owner, and
// CAP_LINUX_IMMUTABLE where it takes that. Older ones have not, so it is
// checked here too, as far as ids go.
func (fs *FS) Ioctl(r *ops.Request, in *protocol.IoctlIn, data, dst []byte, out *protocol.IoctlOut) (int, error) {
	c := findIoctl(in.Cmd)
	if c == nil || in.Flags&protocol.IoctlUnrestricted != 0 {
		return 0, unix.ENOTTY
	}
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return 0, err
	}
	if c.set {
		if len(data) < c.size {
			return 0, unix.EINVAL
		}
	} else if len(dst) < c.size || uint32(len(dst)) < in.OutSize {
		return 0, unix.EINVAL
	}
	if c.set && fs.opt.ReadOnly {
		return 0, unix.EROFS
	}
	if c.set && !fs.owns(r, i) {
		return 0, unix.EPERM
	}
	// The handle may be a directory's, or of a kind these calls do not care
	// about (O_WRONLY): a descriptor of our own serves all.
	r.Block()
	if c.set {
		_ = written(i.back()) // before the file may not be written to any more
	}
	fd, err := fs.reopen(i, unix.O_RDONLY|unix.O_NONBLOCK)
	if err == unix.ELOOP || err == unix.ENXIO {
		err = unix.ENOTTY
	}
	if err != nil {
		return 0, err
	}
	defer fs.closeFD(fd)
	var arg ioctlBuf
	if !c.set {
		if err := ioctlFD(fd, c.do, &arg); err != nil {
			return 0, err
		}
		n := max(int(in.OutSize), c.size)
		clear(dst[:n])
		copy(dst, arg.bytes()[:c.size])
		return n, nil
	}
	copy(arg.bytes(), data[:c.size])
	if r.Uid() != 0 {
		if err := rootFlags(fd, c, &arg); err != nil {
			return 0, err
		}
	}
	return 0, ioctlFD(fd, c.do, &arg)
}

func findIoctl(cmd uint32) *ioctl {
	for n := range ioctls {
		if ioctls[n].cmd == cmd {
			return &ioctls[n]
		}
	}
	return nil
}

// rootFlags refuses a change of flags that are root's.
func rootFlags(fd int, c *ioctl, arg *ioctlBuf) error {
	get, mask := uint(getFlags), uint32(flagsRoot)
	if c.do == setFsx {
		get, mask = getFsx, xflagRoot
	}
	var now ioctlBuf
	if err := ioctlFD(fd, get, &now); err != nil {
		return err
	}
	if (now[0]^arg[0])&mask != 0 {
		return unix.EPERM
	}
	return nil
}
