package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// The parts of an ioctl number differ by architecture; protocol has some of each.
const (
	iocBits  = 1<<29 - 1
	iocRead  = uint32(protocol.DevIocClone &^ iocBits)
	iocWrite = uint32(protocol.DevIocBackingOpen &^ iocBits)
	iocNone  = uint32(protocol.DevIocSyncInit &^ iocBits)
)

// iocSize is _IOC_SIZE: 13 bits where the direction has 3, else 14.
func iocSize(cmd uint32) int {
	if iocNone != 0 {
		return int(cmd >> 16 & (1<<13 - 1))
	}
	return int(cmd >> 16 & (1<<14 - 1))
}

func ioctlFlags(f *File) uint32 {
	var flags uint32
	if f.ino.dir() {
		flags |= protocol.IoctlDir
	}
	if ^uintptr(0)>>32 == 0 && f.c.k.o.Minor >= 16 {
		flags |= protocol.Ioctl32bit
	}
	return flags
}

// Ioctl is ioctl(2) in restricted mode, the only one there is for a mount: the
// number says what is moved. arg is the caller's memory, and gets what the
// server returns. The flags of inodes have methods of their own.
func (f *File) Ioctl(cmd uint32, arg []byte) (result int, err error) {
	return f.ioctl(cmd, arg, 0)
}

// IoctlCompat is Ioctl by a process of 32 bits on a kernel of 64.
func (f *File) IoctlCompat(cmd uint32, arg []byte) (result int, err error) {
	flags := uint32(protocol.IoctlCompat)
	if f.c.k.o.Minor >= 16 {
		flags |= protocol.Ioctl32bit
	}
	return f.ioctl(cmd, arg, flags)
}

func (f *File) ioctl(cmd uint32, arg []byte, flags uint32) (int, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case f.closed:
		return 0, unix.EBADF
	case f.ino.dir() && k.o.Minor < 18:
		return 0, unix.ENOTTY
	case f.ino.bad:
		return 0, unix.EIO
	}
	size := iocSize(cmd)
	if cmd == unix.FS_IOC_GETFLAGS || cmd == unix.FS_IOC_SETFLAGS {
		size = 4 // whatever the number says
	}
	n, e := k.sendIoctl(f, cmd, arg, size, ioctlFlags(f)|flags)
	if e == 0 && n < 0 {
		return 0, unix.Errno(-n)
	}
	return n, errno(e)
}

// sendIoctl is fs/fuse/ioctl.c: fuse_do_ioctl.
func (k *Kernel) sendIoctl(f *File, cmd uint32, arg []byte, size int, flags uint32) (int, unix.Errno) {
	in := protocol.IoctlIn{Fh: f.fh, Flags: flags, Cmd: cmd, Arg: 0x7ffc0000}
	b := body{op: protocol.OpIoctl, nodeid: f.ino.nodeid}
	if cmd&iocWrite != 0 {
		if len(arg) < size {
			return 0, unix.EFAULT
		}
		in.InSize, b.data = uint32(size), arg[:size]
	}
	if cmd&iocRead != 0 {
		if len(arg) < size {
			return 0, unix.EFAULT
		}
		in.OutSize = uint32(size)
	}
	b.arg = protocol.BytesOf(&in)
	b.size = max(int(in.OutSize), k.page) // there might be a retry
	if max(size, b.size) > k.maxPages*k.page {
		return 0, unix.ENOMEM
	}
	out, data, e := k.ioctlReply(f, &b)
	if e != 0 {
		return 0, e
	}
	if len(data) > int(in.OutSize) {
		k.report(&request{op: b.op, nodeid: b.nodeid}, 0,
			fmt.Sprintf("%d bytes of data, room for %d", len(data), in.OutSize), "EIO to the caller")
		return 0, unix.EIO
	}
	copy(arg, data)
	return int(out.Result), 0
}

// ioctlReply is fuse_send_ioctl, and the refusal of a retry.
func (k *Kernel) ioctlReply(f *File, b *body) (*protocol.IoctlOut, []byte, unix.Errno) {
	reply, e := k.call(f.c, b)
	if e == unix.ENOSYS {
		e = unix.ENOTTY
	}
	if e != 0 {
		return nil, nil, e
	}
	out := view[protocol.IoctlOut](reply)
	if out.Result == -int32(unix.ENOSYS) {
		out.Result = -int32(unix.ENOTTY)
	}
	if out.Flags&protocol.IoctlRetry != 0 {
		k.report(&request{op: b.op, nodeid: b.nodeid}, 0, "IOCTL_RETRY, which only a character device may ask for", "EIO to the caller")
		return nil, nil, unix.EIO
	}
	return out, reply[16:], 0
}
