//go:build !go1.27 && !stdfork

package unix

import (
	"syscall"
	"unsafe"
)

// Spawn starts the program at path with these arguments and environment, and
// returns its process id. Its descriptor i is a duplicate of files[i], or none if
// that is negative; others that are not close-on-exec it inherits too. With
// session it leads a session of its own, which has no terminal.
//
// syscall.ForkExec can do much else, which makes it 20 KB of a program. As there,
// the calls to the runtime block signals around the fork, and give the child back
// the handling of signals that it is to begin with; they have promised to stay
// (runtime/proc.go). A Go newer than those this was tried with, or -tags stdfork,
// takes syscall.ForkExec.
func Spawn(path string, argv, env []string, files []int, session bool) (pid int, err error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	args, err := vector(argv)
	if err != nil {
		return -1, err
	}
	vars, err := vector(env)
	if err != nil {
		return -1, err
	}
	files = append([]int(nil), files...) // the child writes there
	var failed [2]int                    // a pipe that tells why the program could not be executed
	if err := syscall.Pipe2(failed[:], O_CLOEXEC); err != nil {
		return -1, err
	}
	syscall.ForkLock.Lock()
	child, e := fork(p, &args[0], &vars[0], files, failed[1], session)
	syscall.ForkLock.Unlock()
	syscall.Close(failed[1])
	if e == 0 {
		e = childErrno(failed[0])
		if e != 0 {
			for {
				if _, err := syscall.Wait4(int(child), nil, 0, nil); err != EINTR {
					break
				}
			}
		}
	}
	syscall.Close(failed[0])
	if e != 0 {
		return -1, e
	}
	return int(child), nil
}

// childErrno returns what the child wrote before it ended, 0 if the pipe closed
// when the program began.
func childErrno(fd int) Errno {
	var b [1]byte
	for {
		switch n, err := syscall.Read(fd, b[:]); {
		case err == EINTR:
		case n == 1:
			return Errno(b[0]) // all that execve(2) and the calls before it return are below 256
		default:
			return 0
		}
	}
}

// vector returns what execve(2) takes.
func vector(list []string) ([]*byte, error) {
	v := make([]*byte, len(list)+1)
	for i, s := range list {
		var err error
		if v[i], err = syscall.BytePtrFromString(s); err != nil {
			return nil, err
		}
	}
	return v, nil
}

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// fork does what is between beforeFork and execve(2). The child is a copy with one
// thread, in which no other part of the runtime works: no stack may grow there,
// nothing may be allocated or be preempted. Soundness: the pointers are the
// caller's, which keeps what they point to, and the child has copies.
//
//go:noinline
//go:norace
//go:nosplit
//go:nocheckptr
func fork(path *byte, args, env **byte, files []int, failed int, session bool) (uintptr, Errno) {
	flags, stack := uintptr(SIGCHLD), uintptr(0)
	if cloneBackwards {
		flags, stack = stack, flags
	}
	beforeFork()
	pid, _, e := syscall.RawSyscall6(SYS_CLONE, flags, stack, 0, 0, 0, 0)
	if pid != 0 || e != 0 {
		afterFork()
		return pid, e
	}
	afterForkInChild()
	if session {
		syscall.RawSyscall(SYS_SETSID, 0, 0, 0)
	}
	// First out of the way of each other, the pipe too, then to where they belong.
	to := uintptr(0)
	pipe, _, e := syscall.RawSyscall(SYS_FCNTL, uintptr(failed), F_DUPFD_CLOEXEC, uintptr(len(files)))
	if e != 0 {
		pipe = uintptr(failed)
		goto end
	}
	for i := range files {
		if files[i] >= 0 {
			var fd uintptr
			if fd, _, e = syscall.RawSyscall(SYS_FCNTL, uintptr(files[i]), F_DUPFD_CLOEXEC, uintptr(len(files))); e != 0 {
				goto end
			}
			files[i] = int(fd)
		}
	}
	for i := range files {
		if files[i] < 0 {
			syscall.RawSyscall(SYS_CLOSE, to, 0, 0)
		} else if _, _, e = syscall.RawSyscall(SYS_DUP3, uintptr(files[i]), to, 0); e != 0 {
			goto end
		}
		to++
	}
	_, _, e = syscall.RawSyscall(SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(args)), uintptr(unsafe.Pointer(env)))
end:
	why := byte(e)
	syscall.RawSyscall(SYS_WRITE, pipe, uintptr(unsafe.Pointer(&why)), 1)
	for {
		syscall.RawSyscall(SYS_EXIT_GROUP, 127, 0, 0)
	}
}
