package unix

import "syscall"

// Functions of package syscall, see there. (Calls, not variables: those would be
// linked whether used or not.)

// CloseOnExec is syscall.CloseOnExec.
func CloseOnExec(fd int) { syscall.CloseOnExec(fd) }

// Sync is syscall.Sync.
func Sync() { syscall.Sync() }

// Chdir is syscall.Chdir.
func Chdir(path string) error { return syscall.Chdir(path) }

// Close is syscall.Close.
func Close(fd int) error { return syscall.Close(fd) }

// CmsgLen is syscall.CmsgLen.
func CmsgLen(n int) int { return syscall.CmsgLen(n) }

// Dup3 is syscall.Dup3.
func Dup3(old, new, flags int) error { return syscall.Dup3(old, new, flags) }

// Fallocate is syscall.Fallocate.
func Fallocate(fd int, mode uint32, off, size int64) error {
	return syscall.Fallocate(fd, mode, off, size)
}

// Fchmod is syscall.Fchmod.
func Fchmod(fd int, mode uint32) error { return syscall.Fchmod(fd, mode) }

// FcntlFlock is syscall.FcntlFlock.
func FcntlFlock(fd uintptr, cmd int, lk *Flock_t) error { return syscall.FcntlFlock(fd, cmd, lk) }

// Fdatasync is syscall.Fdatasync.
func Fdatasync(fd int) error { return syscall.Fdatasync(fd) }

// Flock is syscall.Flock.
func Flock(fd, how int) error { return syscall.Flock(fd, how) }

// Fstat is syscall.Fstat.
func Fstat(fd int, st *Stat_t) error { return syscall.Fstat(fd, st) }

// Fstatfs is syscall.Fstatfs.
func Fstatfs(fd int, st *Statfs_t) error { return syscall.Fstatfs(fd, st) }

// Fsync is syscall.Fsync.
func Fsync(fd int) error { return syscall.Fsync(fd) }

// Ftruncate is syscall.Ftruncate.
func Ftruncate(fd int, size int64) error { return syscall.Ftruncate(fd, size) }

// Getdents is syscall.Getdents.
func Getdents(fd int, buf []byte) (int, error) { return syscall.Getdents(fd, buf) }

// Getegid is syscall.Getegid.
func Getegid() int { return syscall.Getegid() }

// Geteuid is syscall.Geteuid.
func Geteuid() int { return syscall.Geteuid() }

// Getgid is syscall.Getgid.
func Getgid() int { return syscall.Getgid() }

// Getpagesize is syscall.Getpagesize.
func Getpagesize() int { return syscall.Getpagesize() }

// Getpid is syscall.Getpid.
func Getpid() int { return syscall.Getpid() }

// Getrlimit is syscall.Getrlimit.
func Getrlimit(which int, rl *Rlimit) error { return syscall.Getrlimit(which, rl) }

// Gettid is syscall.Gettid.
func Gettid() int { return syscall.Gettid() }

// Getuid is syscall.Getuid.
func Getuid() int { return syscall.Getuid() }

// Madvise is syscall.Madvise.
func Madvise(b []byte, advice int) error { return syscall.Madvise(b, advice) }

// Mount is syscall.Mount.
func Mount(source, target, fstype string, flags uintptr, data string) error {
	return syscall.Mount(source, target, fstype, flags, data)
}

// Nanosleep is syscall.Nanosleep.
func Nanosleep(d, left *Timespec) error { return syscall.Nanosleep(d, left) }

// NsecToTimespec is syscall.NsecToTimespec.
func NsecToTimespec(ns int64) Timespec { return syscall.NsecToTimespec(ns) }

// Open is syscall.Open.
func Open(path string, mode int, perm uint32) (int, error) { return syscall.Open(path, mode, perm) }

// Openat is syscall.Openat.
func Openat(dirfd int, path string, flags int, perm uint32) (int, error) {
	return syscall.Openat(dirfd, path, flags, perm)
}

// Pipe2 is syscall.Pipe2.
func Pipe2(p []int, flags int) error { return syscall.Pipe2(p, flags) }

// Read is syscall.Read.
func Read(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// Readlink is syscall.Readlink.
func Readlink(path string, buf []byte) (int, error) { return syscall.Readlink(path, buf) }

// Seek is syscall.Seek.
func Seek(fd int, off int64, whence int) (int64, error) { return syscall.Seek(fd, off, whence) }

// Sendfile is syscall.Sendfile.
func Sendfile(out, in int, off *int64, count int) (int, error) {
	return syscall.Sendfile(out, in, off, count)
}

// SendmsgN is syscall.SendmsgN.
func SendmsgN(fd int, p, oob []byte, to Sockaddr, flags int) (int, error) {
	return syscall.SendmsgN(fd, p, oob, to, flags)
}

// Setrlimit is syscall.Setrlimit.
func Setrlimit(which int, rl *Rlimit) error { return syscall.Setrlimit(which, rl) }

// SetsockoptInt is syscall.SetsockoptInt.
func SetsockoptInt(fd, level, opt, value int) error {
	return syscall.SetsockoptInt(fd, level, opt, value)
}

// Shutdown is syscall.Shutdown.
func Shutdown(fd, how int) error { return syscall.Shutdown(fd, how) }

// Socketpair is syscall.Socketpair.
func Socketpair(domain, typ, proto int) ([2]int, error) {
	return syscall.Socketpair(domain, typ, proto)
}

// Stat is syscall.Stat.
func Stat(path string, st *Stat_t) error { return syscall.Stat(path, st) }

// Umask is syscall.Umask.
func Umask(mask int) int { return syscall.Umask(mask) }

// Unmount is syscall.Unmount.
func Unmount(target string, flags int) error { return syscall.Unmount(target, flags) }

// Wait4 is syscall.Wait4.
func Wait4(pid int, ws *WaitStatus, options int, ru *syscall.Rusage) (int, error) {
	return syscall.Wait4(pid, ws, options, ru)
}

// Write is syscall.Write.
func Write(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }

// ByteSliceToString returns b up to its first NUL.
func ByteSliceToString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
