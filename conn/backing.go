package conn

import (
	"unsafe"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// This file uses unsafe, to pass the address of a struct to ioctl(2). The
// conversions are in the call's argument list or kept alive by a local variable
// of pointer type for the duration of the call; the kernel keeps no reference.

// BackingOpen registers fd, an open regular file, as a file that I/O may be
// passed through to (FUSE_DEV_IOC_BACKING_OPEN, 7.40), and returns its id, which
// is above 0. It needs CAP_SYS_ADMIN in the initial user namespace and
// InitPassthrough. fd may be closed afterwards. The error is an *Error.
func (c *Conn) BackingOpen(fd int) (int32, error) {
	m := protocol.BackingMap{Fd: int32(fd)}
	n, err := c.ioctl("backing open", protocol.DevIocBackingOpen, unsafe.Pointer(&m))
	return int32(n), err
}

// BackingClose gives an id of BackingOpen back. Files opened with it keep it.
func (c *Conn) BackingClose(id int32) error {
	v := uint32(id)
	_, err := c.ioctl("backing close", protocol.DevIocBackingClose, unsafe.Pointer(&v))
	return err
}

func (c *Conn) ioctl(op string, req uint, arg unsafe.Pointer) (n int, err error) {
	if !c.enter() {
		return 0, ErrUnmounted
	}
	err = unix.ENOTTY
	if d, ok := c.port.(ioctler); ok {
		n, err = d.ioctl(req, arg)
	}
	c.exit()
	if err != nil {
		return 0, &Error{Op: op, Err: err}
	}
	return n, nil
}

// CloneDevice opens the device once more and joins it to this connection. A
// reply must be written to the descriptor that the request was read from
// (fs/fuse/dev.c: every fuse_dev has its own processing table).
func (d *FuseDevice) CloneDevice() (Device, error) {
	if d.sock {
		return nil, &Error{Op: "clone", Err: unix.ENOTTY}
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Op: "clone", Path: "/dev/fuse", Err: err}
	}
	n := &FuseDevice{fd: fd}
	old := uint32(d.fd)
	if _, err := n.ioctl(protocol.DevIocClone, unsafe.Pointer(&old)); err != nil {
		_ = n.Close()
		return nil, &Error{Op: "clone", Path: "/dev/fuse", Err: err}
	}
	return n, nil
}
