package passfs

import (
	"syscall"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// This is the package's file of system calls on names that lie in a request,
// without the copy that the string-taking wrappers of sg/unix make.
//
// Soundness: every pointer is converted to uintptr inside the argument list
// of the call (rule 4 of package unsafe), so the object stays alive and in
// place until the call returns. A *byte name always comes from cstr, which
// (or fdName) and points to bytes that hold a NUL inside their own allocation,
// so the kernel never reads past it; the bytes belong to the request (or a
// directory buffer) the handler is serving and nobody writes them meanwhile.
// Buffers are passed with their own length.

// nameBuf holds a name and its NUL; on the caller's stack.
type nameBuf [nameMax + 1]byte

// cstr returns name, at most nameMax bytes without NUL, as a C string: in
// place if its NUL is within its capacity, else copied to buf.
func cstr(name []byte, buf *nameBuf) *byte {
	n := len(name)
	if cap(name) > n && name[: n+1 : n+1][n] == 0 {
		return unsafe.SliceData(name)
	}
	buf[copy(buf[:nameMax], name)] = 0
	return &buf[0]
}

// emptyPath is the path of an *at call that means its descriptor.
var emptyPath [1]byte

// errno returns e as an error, nil for 0.
//
//go:noinline
func errno(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

// statxMask is what every statx of the package asks for.
const statxMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

// statxAt stats name in dirfd, not following it.
func statxAt(dirfd int, name *byte, st *unix.Statx_t) error {
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(name)),
		unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statxMask, uintptr(unsafe.Pointer(st)), 0)
	return errno(e)
}

// statxFD stats an open descriptor, O_PATH or not.
func statxFD(fd int, st *unix.Statx_t) error {
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, statxMask, uintptr(unsafe.Pointer(st)), 0)
	return errno(e)
}

// openAt is openat(2) with O_CLOEXEC, repeated when a signal gets in between.
func openAt(dirfd int, name *byte, flags int, mode uint32) (int, error) {
	for {
		fd, _, e := syscall.Syscall6(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)),
			uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), uintptr(mode), 0, 0)
		if e == 0 {
			return int(fd), nil
		}
		if e != unix.EINTR {
			return -1, e
		}
	}
}

func mknodAt(dirfd int, name *byte, mode, rdev uint32) error {
	_, _, e := syscall.Syscall6(unix.SYS_MKNODAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)), uintptr(mode), uintptr(rdev), 0, 0)
	return errno(e)
}

func mkdirAt(dirfd int, name *byte, mode uint32) error {
	_, _, e := syscall.Syscall(unix.SYS_MKDIRAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)), uintptr(mode))
	return errno(e)
}

func symlinkAt(target *byte, dirfd int, name *byte) error {
	_, _, e := syscall.Syscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(target)), uintptr(dirfd), uintptr(unsafe.Pointer(name)))
	return errno(e)
}

func unlinkAt(dirfd int, name *byte, flags int) error {
	_, _, e := syscall.Syscall(unix.SYS_UNLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)), uintptr(flags))
	return errno(e)
}

// renameAt is renameat2(2); flags 0 is the plain rename.
func renameAt(olddir int, oldname *byte, newdir int, newname *byte, flags uint32) error {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(olddir), uintptr(unsafe.Pointer(oldname)),
		uintptr(newdir), uintptr(unsafe.Pointer(newname)), uintptr(flags), 0)
	return errno(e)
}

func linkAt(olddir int, oldname *byte, newdir int, newname *byte, flags int) error {
	_, _, e := syscall.Syscall6(unix.SYS_LINKAT, uintptr(olddir), uintptr(unsafe.Pointer(oldname)),
		uintptr(newdir), uintptr(unsafe.Pointer(newname)), uintptr(flags), 0)
	return errno(e)
}

// readlinkFD reads the link an O_PATH descriptor stands for.
func readlinkFD(fd int, dst []byte) (int, error) {
	n, _, e := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(len(dst)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// fdName writes fd in decimal as a C string into b: its name below
// /proc/self/fd.
//
//go:noinline
func fdName(fd int, b *[12]byte) *byte {
	i := len(b) - 1
	b[i] = 0
	for {
		i--
		b[i] = byte('0' + fd%10)
		fd /= 10
		if fd == 0 {
			return &b[i]
		}
	}
}

// Entries of struct linux_dirent64: d_ino at 0, d_off at 8, d_reclen at 16,
// d_type at 18, then the name with its NUL. They start at multiples of 8 of
// a buffer that does, so the loads, in the machine's byte order, are aligned;
// slicing checks the bounds.
const direntName = 19

func load64(b []byte) uint64 { return *(*uint64)(unsafe.Pointer(&b[:8][0])) }
func load16(b []byte) uint16 { return *(*uint16)(unsafe.Pointer(&b[:2][0])) }

// setgroups1 sets the calling thread's supplementary groups to gid, or to
// none.
func setgroups1(nr uintptr, gid uint32, some bool) unix.Errno {
	n := uintptr(0)
	if some {
		n = 1
	}
	_, _, e := syscall.RawSyscall(nr, n, uintptr(unsafe.Pointer(&gid)), 0)
	return e
}

// rawHandle is struct file_handle with room for MAX_HANDLE_SZ bytes.
type rawHandle struct {
	n   uint32
	typ int32
	b   [128]byte
}

// nameToHandle returns the file handle behind fd as its type (4 bytes) and
// its bytes, "" if it has none.
func nameToHandle(fd int) string {
	h := rawHandle{n: 128}
	var mnt int32
	_, _, e := syscall.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath)),
		uintptr(unsafe.Pointer(&h)), uintptr(unsafe.Pointer(&mnt)), unix.AT_EMPTY_PATH, 0)
	if e != 0 || h.n > 128 {
		return ""
	}
	return string((*[132]byte)(unsafe.Pointer(&h.typ))[:4+h.n])
}

// openByHandle opens what nameToHandle named; mfd is any real descriptor on
// the same mount.
func openByHandle(mfd int, handle string, flags int) (int, error) {
	h := rawHandle{n: uint32(len(handle) - 4)}
	copy((*[132]byte)(unsafe.Pointer(&h.typ))[:], handle)
	for {
		fd, _, e := syscall.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mfd), uintptr(unsafe.Pointer(&h)),
			uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE))
		if e == 0 {
			return int(fd), nil
		}
		if e != unix.EINTR {
			return -1, e
		}
	}
}
