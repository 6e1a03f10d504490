package main

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/fusewire/fusewire/sg/unix"
)

// A Go program cannot fork: to go into the background it starts itself again,
// in a session of its own, and waits at a pipe. The child keeps stderr until the
// mount answers, so its one line of complaint goes straight to the user; then it
// lets go of the terminal and writes a byte, and the parent exits 0. A pipe that
// closes without one means failure, and the parent exits as the child did.

// readyEnv holds the number of the pipe's descriptor in the child.
const readyEnv = "_PASSTHROUGH_READY"

// background runs the child and returns the exit status.
func background(o *options, argv []string) int {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		say("pipe: " + err.Error())
		return 1
	}
	files := []int{0, 1, 2}
	if n, ok := strings.CutPrefix(o.mnt, "/dev/fd/"); ok {
		// the child must find the descriptor under the same number
		if fd, ok := decimal(n); ok && fd > 2 && fd < 1<<16 {
			for len(files) < int(fd) {
				files = append(files, -1)
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				files = append(files, int(fd))
			}
		}
	}
	at := len(files)
	files = append(files, p[1])
	pid, err := unix.Spawn("/proc/self/exe", argv, append(syscall.Environ(), readyEnv+"="+strconv.Itoa(at)), files, true)
	unix.Close(p[1])
	if err != nil {
		say("cannot start /proc/self/exe: " + err.Error())
		return 1
	}
	var b [1]byte
	for {
		n, err := unix.Read(p[0], b[:])
		if err == unix.EINTR {
			continue
		}
		if n == 1 {
			return 0
		}
		break
	}
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && ws.Exited() && ws.ExitStatus() != 0:
			return ws.ExitStatus() // it has said why
		case err == nil && ws.Signaled():
			say("killed by signal " + strconv.Itoa(int(ws.Signal())) + " before the mount answered")
		case err == nil && ws.Exited():
			say("unmounted before it answered")
		}
		return 1
	}
}

// release lets go of the terminal and tells the parent. false: there is no
// parent any more.
func release(ready, logFD int) bool {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		say("/dev/null: " + err.Error())
		return false
	}
	out := null
	if logFD >= 0 {
		out = logFD
	}
	unix.Dup3(null, 0, 0)
	unix.Dup3(null, 1, 0)
	unix.Dup3(out, 2, 0)
	unix.Close(null)
	if ready < 0 {
		return true
	}
	n, _ := unix.Write(ready, []byte{0})
	unix.Close(ready)
	return n == 1
}
