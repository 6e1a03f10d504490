package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls calls f for n file names in dir. What is measured are system calls from
// one thread, not Go's packages around them: bare, since another goroutine never
// waits for this processor.
func calls(dir string, n int, f func(name *byte) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	names := make([]*byte, n)
	for i := range names {
		p, err := unix.BytePtrFromString(fmt.Sprintf("%s/f%06d", dir, i))
		if err != nil {
			return err
		}
		names[i] = p
	}
	for i, p := range names {
		if err := f(p); err != nil {
			return fmt.Errorf("%s/f%06d: %w", dir, i, err)
		}
	}
	return nil
}

// open, read, write and close are the system calls. Names and buffers are kept
// alive, and not moved, by the conversions being in the calls' own arguments.

const cwd = ^uintptr(99) // AT_FDCWD, -100

func open(name *byte, flags, mode int) (uintptr, error) {
	fd, _, e := unix.RawSyscall6(unix.SYS_OPENAT, cwd, uintptr(unsafe.Pointer(name)), uintptr(flags), uintptr(mode), 0, 0)
	return fd, orNil(e)
}

func closeFD(fd uintptr) error {
	_, _, e := unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return orNil(e)
}

func orNil(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

func makeFile(name *byte, data []byte) error {
	fd, err := open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	if len(data) > 0 {
		n, _, e := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
		if e != 0 || int(n) != len(data) {
			return fmt.Errorf("wrote %d: %w", n, e)
		}
	}
	return closeFD(fd)
}

func readFile(name *byte) error {
	fd, err := open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var buf [8192]byte
	n, _, e := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	if e != 0 || n != 4096 {
		return fmt.Errorf("read %d: %w", int(n), e)
	}
	return closeFD(fd)
}

func statFile(name *byte) error {
	var st unix.Statx_t
	_, _, e := unix.RawSyscall6(unix.SYS_STATX, cwd, uintptr(unsafe.Pointer(name)), 0, unix.STATX_BASIC_STATS, uintptr(unsafe.Pointer(&st)), 0)
	return orNil(e)
}

func unlinkFile(name *byte) error {
	_, _, e := unix.RawSyscall(unix.SYS_UNLINKAT, cwd, uintptr(unsafe.Pointer(name)), 0)
	return orNil(e)
}
