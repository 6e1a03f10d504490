package wb

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
)

// This is the only file of the package that uses unsafe. Soundness: a pointer
// becomes a number in the argument list of a system call only, which keeps the
// vector alive; what that describes is kept alive by the op.

// do is aio.Do for the ops of a cache: without the kinds that there are not, and
// without file ranges, it is 8 KB less of a program. It uses up op.Vec.
func do(op *aio.Op) {
	var iov [264]unix.Iovec // the usual MaxWrite, in chunks
	for {
		var n uintptr
		var e unix.Errno
		fd := uintptr(op.FD)
		// The offset goes as two words, of which 64-bit machines ignore the second
		// (fs/read_write.c: pos_from_hilo).
		off := op.Off + int64(op.N)
		switch op.Kind {
		case aio.Fsync:
			_, _, e = syscall.Syscall(syscall.SYS_FSYNC, fd, 0, 0)
		case aio.Fdatasync:
			_, _, e = syscall.Syscall(syscall.SYS_FDATASYNC, fd, 0, 0)
		default:
			nr := uintptr(unix.SYS_PWRITEV)
			if op.Kind == aio.Read {
				nr = unix.SYS_PREADV
			}
			k := op.Vec.Iovecs(iov[:], 0)
			n, _, e = syscall.Syscall6(nr, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(k), uintptr(off), uintptr(off>>32), 0)
		}
		if e == unix.EINTR {
			continue
		}
		if op.Err = e; e != 0 || n == 0 {
			return // done, the end of the file, or no progress, which flights see
		}
		op.N += int(n)
		if _ = op.Vec.Advance(int(n)); op.Vec.Len() == 0 { // within it
			return
		}
	}
}
