package harness

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Cred is who somebody is to the kernel. Ids are below 65535.
type Cred struct {
	Uid, Gid uint32
	Groups   []uint32 // supplementary
}

// Thread is an OS thread with credentials, a working directory and a umask of
// its own. To the kernel credentials belong to threads, so a thread is as good
// as a process here and costs microseconds to talk to.
type Thread struct {
	work chan func()
	done chan any // what the function panicked with, or nil
}

// As starts a thread that is c; it ends with the test. Its capabilities are
// what setresuid leaves: all for uid 0, none for others.
func As(t testing.TB, c Cred) *Thread {
	t.Helper()
	th := &Thread{work: make(chan func()), done: make(chan any)}
	ready := make(chan error)
	go th.run(c, ready)
	if err := <-ready; err != nil {
		t.Fatalf("becoming %+v: %v", c, err)
	}
	t.Cleanup(func() { close(th.work) })
	return th
}

func (th *Thread) run(c Cred, ready chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	if err := c.become(); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for f := range th.work {
		th.call(f)
	}
}

func (th *Thread) call(f func()) {
	defer func() { th.done <- recover() }()
	f()
}

// Do runs f on the thread and waits. f may be called from any goroutine, one
// at a time; what it must not do is start goroutines and expect them to be
// this user too. A panic in f is passed on.
func (th *Thread) Do(f func()) {
	th.work <- f
	if p := <-th.done; p != nil {
		panic(p)
	}
}

// become changes the calling thread alone. Hence the bare system calls:
// unix.Setresuid changes all threads. (On 386 and arm these numbers are the
// calls with 16-bit ids; the ids of tests fit.)
func (c *Cred) become() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("a umask of its own: %w", err)
	}
	groups := make([]int, len(c.Groups))
	for i, g := range c.Groups {
		groups[i] = int(g)
	}
	if err := unix.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(c.Gid), uintptr(c.Gid), uintptr(c.Gid)); e != 0 {
		return fmt.Errorf("setresgid: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(c.Uid), uintptr(c.Uid), uintptr(c.Uid)); e != 0 {
		return fmt.Errorf("setresuid: %w", e)
	}
	unix.Umask(0)
	return nil
}
