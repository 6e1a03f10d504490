package conn

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// Device is one end of a FUSE channel: /dev/fuse, or anything that keeps message
// boundaries. Errors are unix.Errno. ReadRequest is called by several readers at
// once, and so are the others.
type Device interface {
	// ReadRequest waits for one message and stores it in b, like read(2) on
	// /dev/fuse. 0 bytes without an error is the end of the connection.
	ReadRequest(b []byte) (int, error)
	// WriteReply sends one message in one piece. It must not block for long.
	WriteReply(iov []unix.Iovec) (int, error)
	// WriteNotify is WriteReply for messages that the kernel may take its time
	// over: notifications wait for inode locks and write-back.
	WriteNotify(iov []unix.Iovec) (int, error)
	// WaitRequest waits up to ms milliseconds (-1: without end) until there may
	// be something to read, and reports whether there may.
	WaitRequest(ms int) bool
	// Wake makes ReadRequest return wherever that is possible. After the end of
	// a mount the kernel does it by itself.
	Wake()
	// Close is called once, when no other call is in progress or will come.
	Close() error
}

// Cloner is a Device that can open further channels to the same connection, one
// per reader (FUSE_DEV_IOC_CLONE). See Options.Clone.
type Cloner interface {
	CloneDevice() (Device, error)
}

// ioctler is a Device that takes ioctls: the backing ids need one.
type ioctler interface {
	ioctl(req uint, arg unsafe.Pointer) (int, error)
}

// FuseDevice is a descriptor of /dev/fuse, or of a SOCK_SEQPACKET socket that
// speaks its protocol. It has a descriptor of its own, so the one it was made
// from may be closed at any time.
type FuseDevice struct {
	_    [0]func() // not comparable: no code for it
	fd   int
	sock bool
}

// NewFuseDevice makes a Device from a descriptor, which it duplicates
// (close-on-exec) and leaves alone otherwise. The error is an *Error.
func NewFuseDevice(fd int) (*FuseDevice, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &Error{Op: "device", Err: err}
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &Error{Op: "device", Err: err}
	}
	return &FuseDevice{fd: own, sock: st.Mode&unix.S_IFMT == unix.S_IFSOCK}, nil
}

// ReadRequest is a blocking read(2). It goes through the Go scheduler, because a
// thread that waits in the kernel unannounced would hold up garbage collection,
// but not through the netpoller, which costs a third of the throughput.
func (d *FuseDevice) ReadRequest(b []byte) (int, error) {
	n, _, e := syscall.Syscall(unix.SYS_READ, uintptr(d.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// rawMax is the length up to which a reply is copied by the kernel in less time
// than telling the scheduler about it would be worth.
const rawMax = 16 << 10

// WriteReply is one writev(2). fs/fuse/dev.c: fuse_dev_do_write copies and wakes
// the caller, it waits for nothing, so a short reply does not tell the scheduler.
func (d *FuseDevice) WriteReply(iov []unix.Iovec) (int, error) {
	if d.sock {
		return d.WriteNotify(iov)
	}
	total := uint64(0)
	for i := range iov {
		total += uint64(iov[i].Len)
	}
	if total > rawMax {
		return d.WriteNotify(iov)
	}
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_WRITEV, uintptr(d.fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

// WriteNotify is one writev(2) that may block.
func (d *FuseDevice) WriteNotify(iov []unix.Iovec) (int, error) {
	for {
		n, _, e := syscall.Syscall(unix.SYS_WRITEV, uintptr(d.fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		switch {
		case e == 0:
			return int(n), nil
		case e == unix.EINTR:
		case e == unix.EAGAIN && d.sock: // a non-blocking socket that is full
			d.poll(unix.POLLOUT, -1)
		default:
			return 0, e
		}
	}
}

// WaitRequest is poll(2).
func (d *FuseDevice) WaitRequest(ms int) bool { return d.poll(unix.POLLIN, ms) }

func (d *FuseDevice) poll(events int16, ms int) bool {
	p := [1]unix.PollFd{{Fd: int32(d.fd), Events: events}}
	n, err := unix.Poll(p[:], ms)
	return n > 0 || err != nil // an error is for read(2) to tell
}

// Wake shuts a socket down. Readers of /dev/fuse are woken by the kernel alone.
func (d *FuseDevice) Wake() {
	if d.sock {
		_ = unix.Shutdown(d.fd, unix.SHUT_RDWR)
	}
}

// Close closes the descriptor. The last one of a connection aborts it.
func (d *FuseDevice) Close() error {
	if err := unix.Close(d.fd); err != nil {
		return &Error{Op: "close", Err: err}
	}
	return nil
}

func (d *FuseDevice) ioctl(req uint, arg unsafe.Pointer) (int, error) {
	n, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(req), uintptr(arg))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
