package conformance

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The calls. Each notes its arguments and its outcome.

func (a actor) chmod(name string, mode uint32) bool {
	return a.call(func() error { return unix.Chmod(name, mode) }, "chmod(%s,%04o)", short(name), mode)
}

func (a actor) fchmod(fd int, mode uint32) bool {
	return a.call(func() error { return unix.Fchmod(fd, mode) }, "fchmod(%04o)", mode)
}

func (a actor) chown(name string, uid, gid int) bool {
	return a.call(func() error { return unix.Fchownat(unix.AT_FDCWD, name, uid, gid, 0) }, "chown(%s,%d,%d)", short(name), uid, gid)
}

func (a actor) lchown(name string, uid, gid int) bool {
	return a.call(func() error { return unix.Lchown(name, uid, gid) }, "lchown(%s,%d,%d)", short(name), uid, gid)
}

func (a actor) fchown(fd, uid, gid int) bool {
	return a.call(func() error { return unix.Fchown(fd, uid, gid) }, "fchown(%d,%d)", uid, gid)
}

func (a actor) link(old, name string, flags int) bool {
	return a.call(func() error { return unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, name, flags) }, "link(%s,%s,%#x)", short(old), short(name), flags)
}

func (a actor) mkdir(name string, mode uint32) bool {
	return a.call(func() error { return unix.Mkdir(name, mode) }, "mkdir(%s,%04o)", short(name), mode)
}

func (a actor) mknod(name string, mode uint32, dev uint64) bool {
	return a.call(func() error { return unix.Mknod(name, mode, int(dev)) }, "mknod(%s,%06o,%#x)", short(name), mode, dev)
}

func (a actor) symlink(target, name string) bool {
	return a.call(func() error { return unix.Symlink(target, name) }, "symlink(%s,%s)", short(target), short(name))
}

func (a actor) readlink(name string, size int) bool {
	return a.value(func() (string, error) {
		b := make([]byte, size)
		n, err := unix.Readlink(name, b)
		return short(string(b[:max(n, 0)])), err
	}, "readlink(%s,%d)", short(name), size)
}

func (a actor) rename(old, name string, flags uint) bool {
	return a.call(func() error { return unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, name, flags) }, "rename(%s,%s,%d)", short(old), short(name), flags)
}

func (a actor) unlink(name string) bool {
	return a.call(func() error { return unix.Unlink(name) }, "unlink(%s)", short(name))
}

func (a actor) rmdir(name string) bool {
	return a.call(func() error { return unix.Rmdir(name) }, "rmdir(%s)", short(name))
}

func (a actor) truncate(name string, size int64) bool {
	return a.call(func() error { return unix.Truncate(name, size) }, "truncate(%s,%d)", short(name), size)
}

func (a actor) ftruncate(fd int, size int64) bool {
	return a.call(func() error { return unix.Ftruncate(fd, size) }, "ftruncate(%d)", size)
}

func (a actor) fallocate(fd int, mode uint32, off, size int64) bool {
	return a.call(func() error { return unix.Fallocate(fd, mode, off, size) }, "fallocate(%#x,%d,%d)", mode, off, size)
}

func (a actor) access(name string, mode uint32) bool {
	return a.call(func() error { return unix.Faccessat(unix.AT_FDCWD, name, mode, 0) }, "access(%s,%d)", short(name), mode)
}

func (a actor) stat(name string, flags int) bool {
	return a.value(func() (string, error) {
		var st unix.Stat_t
		err := unix.Fstatat(unix.AT_FDCWD, name, &st, flags)
		return fmt.Sprintf("%06o %d:%d n=%d", st.Mode, st.Uid, st.Gid, st.Nlink), err
	}, "stat(%s,%#x)", short(name), flags)
}

func (a actor) utimens(name string, at, mt unix.Timespec, flags int) bool {
	return a.call(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, mt}, flags) },
		"utimens(%s,%s,%s,%#x)", short(name), specName(at), specName(mt), flags)
}

func (a actor) setxattr(name, attr string, value []byte, flags int) bool {
	return a.call(func() error { return unix.Lsetxattr(name, attr, value, flags) }, "setxattr(%s,%s,[%d],%d)", short(name), short(attr), len(value), flags)
}

func (a actor) getxattr(name, attr string, size int) bool {
	return a.value(func() (string, error) {
		b := make([]byte, size)
		n, err := unix.Lgetxattr(name, attr, b)
		if n > 32 || size == 0 {
			return strconv.Itoa(n), err
		}
		return fmt.Sprintf("%q", b[:max(n, 0)]), err
	}, "getxattr(%s,%s,%d)", short(name), short(attr), size)
}

func (a actor) removexattr(name, attr string) bool {
	return a.call(func() error { return unix.Lremovexattr(name, attr) }, "removexattr(%s,%s)", short(name), short(attr))
}

func (a actor) listxattr(name string, size int) bool {
	return a.value(func() (string, error) {
		b := make([]byte, size)
		n, err := unix.Llistxattr(name, b)
		if size == 0 {
			return strconv.Itoa(n), err
		}
		return fmt.Sprintf("%q", b[:max(n, 0)]), err
	}, "listxattr(%s,%d)", short(name), size)
}

// open notes the outcome and, for an open file, its flags as the kernel tells
// them. It returns -1 if it failed. The case need not close.
func (a actor) open(name string, flags int, mode uint32) int {
	fd := -1
	a.value(func() (string, error) {
		var err error
		fd, err = unix.Open(name, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, mode)
		if err != nil {
			fd = -1
			return "", err
		}
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		return flagNames(fl), err
	}, "open(%s,%s,%04o)", short(name), flagNames(flags), mode)
	if fd >= 0 {
		a.r.fds = append(a.r.fds, fd)
	}
	return fd
}

func (a actor) write(fd int, text string) bool {
	return a.value(func() (string, error) {
		n, err := unix.Write(fd, []byte(text))
		return strconv.Itoa(n), err
	}, "write(%q)", short(text))
}

func (a actor) pwrite(fd int, text string, off int64) bool {
	return a.value(func() (string, error) {
		n, err := unix.Pwrite(fd, []byte(text), off)
		return strconv.Itoa(n), err
	}, "pwrite(%q,%d)", short(text), off)
}

func (a actor) pread(fd, size int, off int64) bool {
	return a.value(func() (string, error) {
		b := make([]byte, size)
		n, err := unix.Pread(fd, b, off)
		return fmt.Sprintf("%q", b[:max(n, 0)]), err
	}, "pread(%d,%d)", size, off)
}

func (a actor) seek(fd int, off int64, whence int) bool {
	return a.value(func() (string, error) {
		n, err := unix.Seek(fd, off, whence)
		return strconv.FormatInt(n, 10), err
	}, "seek(%d,%d)", off, whence)
}

// umask holds until the case ends or sets another. Opening is how a thread
// enters a case, so this may come first.
func (a actor) umask(m int) {
	_ = a.on(func() error { unix.Umask(m); return nil }) // cannot fail but for a lost directory, seen next
}

func specName(t unix.Timespec) string {
	switch int64(t.Nsec) {
	case unix.UTIME_NOW:
		return "now"
	case unix.UTIME_OMIT:
		return "omit"
	}
	return fmt.Sprintf("%d.%d", t.Sec, t.Nsec)
}

var openFlags = []struct {
	bit  int
	name string
}{
	{unix.O_TMPFILE, "TMPFILE"}, {unix.O_SYNC, "SYNC"}, {unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"}, {unix.O_TRUNC, "TRUNC"},
	{unix.O_APPEND, "APPEND"}, {unix.O_DSYNC, "DSYNC"}, {unix.O_NOFOLLOW, "NOFOLLOW"}, {unix.O_DIRECTORY, "DIRECTORY"},
	{unix.O_DIRECT, "DIRECT"}, {unix.O_NOATIME, "NOATIME"}, {unix.O_PATH, "PATH"},
}

func flagNames(f int) string {
	out := []string{[]string{"RDONLY", "WRONLY", "RDWR", "ACC3"}[f&unix.O_ACCMODE]}
	for _, o := range openFlags {
		if f&o.bit == o.bit {
			out = append(out, o.name)
			f &^= o.bit
		}
	}
	return strings.Join(out, "|")
}

// exec notes what execve says about a file that is no program: ENOEXEC when
// it may be executed.
func (a actor) exec(name string) bool {
	return a.call(func() error { return execveat(name) }, "exec(%s)", short(name))
}
