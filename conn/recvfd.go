package conn

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// receiveFD takes one descriptor off the socket; -1 when the other end closed it
// without sending one.
//
// recvmsg(2) is called directly: the wrapper in package unix can return the
// address of any protocol family, and the types of all of them, 30 KB, would be
// linked for a socket that has no address.
//
// This is sound: the kernel writes at most the given lengths to data and oob,
// which are alive to the end of the function, and oob is aligned for the
// cmsghdr read from it.
func receiveFD(sock int) (int, error) {
	var (
		data [1]byte
		oob  struct {
			head   unix.Cmsghdr
			rights [4]int32 // the descriptor; room so that a second one is seen, not cut off
		}
		iov unix.Iovec
		msg unix.Msghdr
	)
	iov.Base = &data[0]
	iov.SetLen(len(data))
	for {
		msg = unix.Msghdr{Iov: &iov, Control: (*byte)(unsafe.Pointer(&oob))}
		msg.SetIovlen(1)
		msg.SetControllen(int(unsafe.Sizeof(oob)))
		n, _, errno := syscall.Syscall(unix.SYS_RECVMSG, uintptr(sock), uintptr(unsafe.Pointer(&msg)), unix.MSG_CMSG_CLOEXEC)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return -1, errno
		case n == 0:
			return -1, nil
		}
		one := unix.CmsgLen(4)
		if int(msg.Controllen) < one || oob.head.Level != unix.SOL_SOCKET || oob.head.Type != unix.SCM_RIGHTS {
			return -1, unix.EPROTO
		}
		if int(oob.head.Len) != one {
			for i := range (int(oob.head.Len) - unix.CmsgLen(0)) / 4 {
				unix.Close(int(oob.rights[i]))
			}
			return -1, unix.EPROTO
		}
		return int(oob.rights[0]), nil
	}
}
