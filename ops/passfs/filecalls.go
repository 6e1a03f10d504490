package passfs

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// This is the package's file of system calls on open files, next to cstr.go,
// whose soundness argument holds here too: pointers become uintptr in the
// argument list only, buffers go with their own length, strings hold a NUL.
// Structures the kernel reads through another structure (iovec, xattr_args)
// point into request slots and other memory that does not move: the callers'
// buffers are mapped or on the heap, never on a stack.

// preadv reads once at off, EINTR retried. flags: RWF_*.
func preadv(fd int, b []byte, off int64, flags int) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	nr := unix.SYS_PREADV2
	if flags == 0 { // for systems that do not have the other
		nr = unix.SYS_PREADV
	}
	for {
		// The offset goes as two words, of which 64-bit machines ignore the
		// second (fs/read_write.c: pos_from_hilo).
		n, _, e := syscall.Syscall6(uintptr(nr), uintptr(fd), uintptr(unsafe.Pointer(&v)), 1,
			uintptr(off), uintptr(off>>32), uintptr(flags))
		if e == 0 {
			return int(n), nil
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// pwritev writes once at off, EINTR retried. flags: RWF_*.
func pwritev(fd int, b []byte, off int64, flags int) (int, error) {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	nr := unix.SYS_PWRITEV2
	if flags == 0 {
		nr = unix.SYS_PWRITEV
	}
	for {
		n, _, e := syscall.Syscall6(uintptr(nr), uintptr(fd), uintptr(unsafe.Pointer(&v)), 1,
			uintptr(off), uintptr(off>>32), uintptr(flags))
		switch {
		case e == 0:
			return int(n), nil
		case e == unix.ENOSYS && flags&^(unix.RWF_SYNC|unix.RWF_DSYNC) == 0 && flags != 0:
			// Written first and made durable then is the same to the caller.
			return pwriteSync(fd, b, off)
		case e != unix.EINTR:
			return 0, e
		}
	}
}

// pwriteSync is pwritev with RWF_SYNC where there is no pwritev2(2).
func pwriteSync(fd int, b []byte, off int64) (int, error) {
	n, err := pwritev(fd, b, off, 0)
	if err != nil {
		return 0, err
	}
	for err = unix.Fsync(fd); err == unix.EINTR; err = unix.Fsync(fd) {
	}
	return n, err
}

// statxSync is statxFD with AT_STATX_FORCE_SYNC or AT_STATX_DONT_SYNC.
func statxSync(fd int, sync int, st *unix.Statx_t) error {
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW|sync), statxMask, uintptr(unsafe.Pointer(st)), 0)
	return errno(e)
}

// chownFD changes the owner through a descriptor, O_PATH or not; ^0 keeps.
func chownFD(fd int, uid, gid uint32) error {
	_, _, e := syscall.Syscall6(unix.SYS_FCHOWNAT, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(uid), uintptr(gid), unix.AT_EMPTY_PATH, 0)
	return errno(e)
}

// timespec64 is struct __kernel_timespec, the same on every architecture.
type timespec64 struct{ sec, nsec int64 }

const (
	utimeNow  = 1<<30 - 1
	utimeOmit = 1<<30 - 2
)

// utimesFD sets atime and mtime through a descriptor, O_PATH or not (5.8).
func utimesFD(fd int, ts *[2]timespec64) error {
	_, _, e := syscall.Syscall6(sysUtimensat, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(unsafe.Pointer(ts)), unix.AT_EMPTY_PATH, 0, 0)
	return errno(e)
}

// noChmodat2: the kernel is older than fchmodat2(2), 6.6.
var noChmodat2 atomic.Bool

// chmodFD changes the mode through an O_PATH descriptor.
func (fs *FS) chmodFD(fd int, mode uint32) error {
	if !noChmodat2.Load() {
		_, _, e := syscall.Syscall6(unix.SYS_FCHMODAT2, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
			uintptr(mode), unix.AT_EMPTY_PATH, 0, 0)
		// seccomp filters that do not know it say EPERM, like the file system.
		if e != unix.ENOSYS && e != unix.EPERM {
			return errno(e)
		}
		if e == unix.ENOSYS {
			noChmodat2.Store(true)
		}
	}
	var b [12]byte
	_, _, e := syscall.Syscall(unix.SYS_FCHMODAT, uintptr(fs.procFD), uintptr(unsafe.Pointer(fdName(fd, &b))), uintptr(mode))
	return errno(e)
}

// accessFD is faccessat2(2) with the thread's effective ids.
func accessFD(fd int, mask uint32) error {
	_, _, e := syscall.Syscall6(unix.SYS_FACCESSAT2, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(mask), unix.AT_EMPTY_PATH|unix.AT_EACCESS, 0, 0)
	return errno(e)
}

// xattrArgs is struct xattr_args of setxattrat(2) and getxattrat(2).
type xattrArgs struct {
	value       uint64
	size, flags uint32
}

// noXattrat: the kernel is older than the *xattrat calls, 6.13.
var noXattrat atomic.Bool

// procPath is /proc/self/fd/N with its NUL.
type procPath [32]byte

// xattrPath names an O_PATH descriptor for the calls of old. They follow the
// link in /proc, and that alone: it leads to the file itself, also to a
// symbolic link.
func xattrPath(fd int, p *procPath) *byte {
	n := copy(p[:], "/proc/self/fd/")
	var b [12]byte
	copy(p[n:], unsafe.Slice(fdName(fd, &b), fdLen(fd)+1))
	return &p[0]
}

func fdLen(fd int) int {
	n := 1
	for ; fd > 9; fd /= 10 {
		n++
	}
	return n
}

// The four take an O_PATH descriptor, which AT_EMPTY_PATH refuses (EBADF), so
// they go through /proc/self/fd; with the newer calls without a path to /proc.

func (fs *FS) getxattr(fd int, name *byte, dst []byte) (int, error) {
	if !noXattrat.Load() {
		var b [12]byte
		a := xattrArgs{value: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(dst)))), size: uint32(len(dst))}
		n, _, e := syscall.Syscall6(unix.SYS_GETXATTRAT, uintptr(fs.procFD), uintptr(unsafe.Pointer(fdName(fd, &b))), 0,
			uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
		runtime.KeepAlive(dst)
		if e != unix.ENOSYS {
			return int(n), errno(e)
		}
		noXattrat.Store(true)
	}
	var p procPath
	n, _, e := syscall.Syscall6(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(xattrPath(fd, &p))), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst)), 0, 0)
	return int(n), errno(e)
}

func (fs *FS) setxattr(fd int, name *byte, value []byte, flags uint32) error {
	if !noXattrat.Load() {
		var b [12]byte
		a := xattrArgs{value: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(value)))), size: uint32(len(value)), flags: flags}
		_, _, e := syscall.Syscall6(unix.SYS_SETXATTRAT, uintptr(fs.procFD), uintptr(unsafe.Pointer(fdName(fd, &b))), 0,
			uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
		runtime.KeepAlive(value)
		if e != unix.ENOSYS {
			return errno(e)
		}
		noXattrat.Store(true)
	}
	var p procPath
	_, _, e := syscall.Syscall6(unix.SYS_SETXATTR, uintptr(unsafe.Pointer(xattrPath(fd, &p))), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), uintptr(flags), 0)
	return errno(e)
}

func (fs *FS) listxattr(fd int, dst []byte) (int, error) {
	if !noXattrat.Load() {
		var b [12]byte
		n, _, e := syscall.Syscall6(unix.SYS_LISTXATTRAT, uintptr(fs.procFD), uintptr(unsafe.Pointer(fdName(fd, &b))), 0,
			uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst)), 0)
		if e != unix.ENOSYS {
			return int(n), errno(e)
		}
		noXattrat.Store(true)
	}
	var p procPath
	n, _, e := syscall.Syscall(unix.SYS_LISTXATTR, uintptr(unsafe.Pointer(xattrPath(fd, &p))),
		uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst)))
	return int(n), errno(e)
}

func (fs *FS) removexattr(fd int, name *byte) error {
	if !noXattrat.Load() {
		var b [12]byte
		_, _, e := syscall.Syscall6(unix.SYS_REMOVEXATTRAT, uintptr(fs.procFD), uintptr(unsafe.Pointer(fdName(fd, &b))), 0,
			uintptr(unsafe.Pointer(name)), 0, 0)
		if e != unix.ENOSYS {
			return errno(e)
		}
		noXattrat.Store(true)
	}
	var p procPath
	_, _, e := syscall.Syscall(unix.SYS_REMOVEXATTR, uintptr(unsafe.Pointer(xattrPath(fd, &p))), uintptr(unsafe.Pointer(name)), 0)
	return errno(e)
}

// ioctlBuf is room for the argument of every ioctl of the allow-list, aligned
// for its words.
type ioctlBuf [8]uint32

func ioctlFD(fd int, cmd uint, arg *ioctlBuf) error {
	_, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(cmd), uintptr(unsafe.Pointer(arg)))
	return errno(e)
}

// bytes views the argument as the bytes a request carries.
func (b *ioctlBuf) bytes() []byte { return (*[32]byte)(unsafe.Pointer(b))[:] }
