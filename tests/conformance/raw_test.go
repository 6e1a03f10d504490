package conformance

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execveat asks for the execution of a file, which never succeeds: the
// fixtures hold no programs, and should one be empty or readable as a script
// the kernel says ENOEXEC. A bad argument pointer could not stop it; a file
// without a program does.
func execveat(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	argv := [2]*byte{p, nil}
	cwd := unix.AT_FDCWD
	// The pointers stay alive: p and argv are used until the call returns.
	_, _, e := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(cwd), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&argv)), 0, 0, 0)
	if e == 0 {
		panic("execve returned without an error")
	}
	return e
}

// mmapWrite changes the first byte through a shared mapping.
func (a actor) mmapWrite(fd int) bool {
	return a.call(func() error {
		b, err := unix.Mmap(fd, 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		b[0] = 'M'
		if err := unix.Msync(b, unix.MS_SYNC); err != nil {
			return err
		}
		return unix.Munmap(b)
	}, "mmap-write")
}

func (a actor) copyRange(from, to, n int) bool {
	return a.value(func() (string, error) {
		n, err := unix.CopyFileRange(from, nil, to, nil, n, 0)
		return strconv.Itoa(n), err
	}, "copy_file_range(%d)", n)
}
