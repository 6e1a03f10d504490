package unix

import (
	"syscall"
	"unsafe"
)

// System calls that package syscall has no function for. Soundness: a pointer is
// made a number only in the argument list of the call, as package unsafe demands;
// the kernel reads and writes what is behind it until the call returns, and no
// more than its type or the length given.

// failed is e as an error, nil for 0.
func failed(e Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

// Statx is statx(2).
func Statx(dirfd int, path string, flags, mask int, st *Statx_t) error {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall6(SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(p)), uintptr(flags), uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return failed(e)
}

// CopyFileRange is copy_file_range(2).
func CopyFileRange(in int, inOff *int64, out int, outOff *int64, size, flags int) (int, error) {
	n, _, e := syscall.Syscall6(SYS_COPY_FILE_RANGE, uintptr(in), uintptr(unsafe.Pointer(inOff)), uintptr(out), uintptr(unsafe.Pointer(outOff)), uintptr(size), uintptr(flags))
	return int(n), failed(e)
}

// Splice is splice(2).
func Splice(in int, inOff *int64, out int, outOff *int64, size, flags int) (int64, error) {
	n, _, e := syscall.Syscall6(SYS_SPLICE, uintptr(in), uintptr(unsafe.Pointer(inOff)), uintptr(out), uintptr(unsafe.Pointer(outOff)), uintptr(size), uintptr(flags))
	return int64(int(n)), failed(e)
}

// FcntlInt is fcntl(2) with a number as its argument.
func FcntlInt(fd uintptr, cmd, arg int) (int, error) {
	n, _, e := syscall.Syscall(SYS_FCNTL, fd, uintptr(cmd), uintptr(arg))
	return int(n), failed(e)
}

// Eventfd is eventfd2(2).
func Eventfd(initial uint, flags int) (int, error) {
	fd, _, e := syscall.Syscall(SYS_EVENTFD2, uintptr(initial), uintptr(flags), 0)
	return int(fd), failed(e)
}

// Syncfs is syncfs(2).
func Syncfs(fd int) error {
	_, _, e := syscall.Syscall(SYS_SYNCFS, uintptr(fd), 0, 0)
	return failed(e)
}

// Poll is poll(2): a negative timeout is for ever, others are milliseconds. (Some
// architectures have ppoll(2) only.)
func Poll(fds []PollFd, timeout int) (int, error) {
	var limit *Timespec
	if timeout >= 0 {
		ts := syscall.NsecToTimespec(int64(timeout) * 1e6)
		limit = &ts
	}
	n, _, e := syscall.Syscall6(SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)), uintptr(unsafe.Pointer(limit)), 0, 0, 0)
	return int(n), failed(e)
}

// Capget is capget(2); two CapUserData follow each other at data.
func Capget(head *CapUserHeader, data *CapUserData) error {
	_, _, e := syscall.RawSyscall(SYS_CAPGET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)), 0)
	return failed(e)
}

// Capset is capset(2), of the calling thread; data as for Capget.
func Capset(head *CapUserHeader, data *CapUserData) error {
	_, _, e := syscall.RawSyscall(SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)), 0)
	return failed(e)
}

// MmapPtr is mmap(2). What it returns is no memory of Go's.
func MmapPtr(fd int, off int64, addr unsafe.Pointer, size uintptr, prot, flags int) (unsafe.Pointer, error) {
	p, e := mmap(uintptr(addr), size, uintptr(prot), uintptr(flags), uintptr(fd), off)
	if e != 0 {
		return nil, e
	}
	// The address of a mapping, which the collector takes for none of its own. Not
	// unsafe.Pointer(p): vet cannot know that p is no address that may have moved.
	return *(*unsafe.Pointer)(unsafe.Pointer(&p)), nil
}

// MunmapPtr is munmap(2).
func MunmapPtr(addr unsafe.Pointer, size uintptr) error {
	_, _, e := syscall.Syscall(SYS_MUNMAP, uintptr(addr), size, 0)
	return failed(e)
}

// Uname is uname(2).
func Uname(u *Utsname) error {
	_, _, e := syscall.RawSyscall(SYS_UNAME, uintptr(unsafe.Pointer(u)), 0, 0)
	return failed(e)
}

// SchedGetaffinity is sched_getaffinity(2), pid 0 the calling thread. A set is 128
// bytes, of which the kernel writes no more than there may be CPUs.
func SchedGetaffinity(pid int, s *CPUSet) error {
	_, _, e := syscall.RawSyscall(SYS_SCHED_GETAFFINITY, uintptr(pid), unsafe.Sizeof(*s), uintptr(unsafe.Pointer(s)))
	return failed(e)
}

// SchedSetaffinity is sched_setaffinity(2), pid 0 the calling thread.
func SchedSetaffinity(pid int, s *CPUSet) error {
	_, _, e := syscall.RawSyscall(SYS_SCHED_SETAFFINITY, uintptr(pid), unsafe.Sizeof(*s), uintptr(unsafe.Pointer(s)))
	return failed(e)
}

// ClockGettime is clock_gettime(2). On 32-bit systems it ends in 2038, as Timespec does.
func ClockGettime(clock int32, ts *Timespec) error {
	_, _, e := syscall.RawSyscall(SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(ts)), 0)
	return failed(e)
}
