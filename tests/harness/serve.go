package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Deadlines. They are generous: a loaded machine with one processor and the
// race detector must meet them.
const (
	upWithin   = 20 * time.Second
	downWithin = 20 * time.Second
)

// Options says how a server is run. The zero value: as root, as it comes.
type Options struct {
	User   *Cred             // who runs it; nil is root
	Limits map[string]uint64 // ulimit letters ("n" is descriptors) and values, hard and soft
	Env    []string          // added to the environment
	Dir    string            // where to mount; "" is a new directory
	Status int               // the exit status expected at the end
	Killed bool              // the test kills the server itself: no status is expected
}

// Mount is a served directory.
type Mount struct {
	Dir     string      // the mount point
	Source  string      // what is served
	Process *os.Process // the server

	t      testing.TB
	o      Options
	stderr output
	done   chan struct{} // closed when the server has ended
	state  *os.ProcessState
	stop   sync.Once
	err    error
}

// output collects what a process prints, the last 64 KiB of it.
type output struct {
	mu sync.Mutex
	b  []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	if n := len(o.b) - 64<<10; n > 0 {
		o.b = append(o.b[:0], o.b[n:]...)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(bytes.Clone(o.b))
}

// Serve serves src on a new directory until the test ends. args are options
// of cmd/passthrough.
func Serve(t testing.TB, src string, args ...string) *Mount {
	t.Helper()
	return ServeWith(t, &Options{}, src, args...)
}

// ServeWith is Serve with a say in how the server runs.
func ServeWith(t testing.TB, o *Options, src string, args ...string) *Mount {
	t.Helper()
	m := &Mount{Dir: o.Dir, Source: src, t: t, o: *o, done: make(chan struct{})}
	if m.Dir == "" {
		m.Dir = mountPoint(t)
	}
	if o.User != nil {
		if err := os.Chown(m.Dir, int(o.User.Uid), int(o.User.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	argv := append([]string{Binary(t), "-f"}, transportArgs(args)...)
	argv = append(argv, src, m.Dir)
	if len(o.Limits) > 0 {
		var sh strings.Builder
		for k, v := range o.Limits {
			fmt.Fprintf(&sh, "ulimit -%s %d && ", k, v)
		}
		argv = append([]string{"/bin/sh", "-c", sh.String() + `exec "$0" "$@"`}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Stdout, cmd.Stderr = &m.stderr, &m.stderr
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if u := o.User; u != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.Uid, Gid: u.Gid, Groups: u.Groups}
	}
	if err := m.start(cmd); err != nil {
		t.Fatalf("starting %s: %v", strings.Join(argv, " "), err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Errorf("%s: %v%s", m.Dir, err, m.printed())
		} else if t.Failed() {
			t.Logf("%s: ended well%s", m.Dir, m.printed())
		}
	})
	if err := m.await(); err != nil {
		t.Fatalf("%s: %v%s", strings.Join(argv, " "), err, m.printed())
	}
	return m
}

// start starts cmd on a thread that lives as long as the process: Pdeathsig is
// sent when the forking thread ends.
func (m *Mount) start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			m.Process = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // the state says it all
		m.state = cmd.ProcessState
		close(m.done)
		runtime.UnlockOSThread()
	}()
	return <-started
}

// await returns once the mount answers.
func (m *Mount) await() error {
	deadline := time.Now().Add(upWithin)
	for {
		if at, err := mountsUnder(m.Dir); err != nil {
			return err
		} else if len(at) > 0 {
			break
		}
		select {
		case <-m.done:
			return fmt.Errorf("the server ended before it had mounted: %v", m.state)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not mounted within %v", upWithin)
		}
	}
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t // asks the server even when this user may not enter
		answer <- ignoringEINTR(func() error { return unix.Statfs(m.Dir, &st) })
	}()
	select {
	case err := <-answer:
		if err != nil && !errors.Is(err, unix.EACCES) {
			return fmt.Errorf("mounted, but statfs: %w", err)
		}
		return nil
	case <-m.done:
		return fmt.Errorf("the server ended right after it had mounted: %v", m.state)
	case <-time.After(time.Until(deadline)):
		return fmt.Errorf("mounted, but no answer within %v", upWithin)
	}
}

// Stop unmounts, waits for the server to end and checks how it did. A second
// call returns the same. Tests need it only to see the server gone before
// they end.
func (m *Mount) Stop() error {
	m.stop.Do(func() { m.err = m.takeDown() })
	return m.err
}

// Done is closed when the server has ended.
func (m *Mount) Done() <-chan struct{} { return m.done }

// Output returns what the server has printed so far.
func (m *Mount) Output() string { return m.stderr.String() }

func (m *Mount) printed() string {
	out := m.stderr.String()
	if out == "" {
		return "\n(the server printed nothing)"
	}
	return "\nthe server printed:\n" + out
}

func (m *Mount) takeDown() error {
	var errs []error
	if err := m.unmount(); err != nil {
		errs = append(errs, err)
	}
	select {
	case <-m.done:
		if got := m.state.ExitCode(); got != m.o.Status && !m.o.Killed {
			errs = append(errs, fmt.Errorf("the server ended with %v, not with status %d", m.state, m.o.Status))
		}
	case <-time.After(downWithin):
		errs = append(errs, fmt.Errorf("the server (pid %d) runs %v after its mount went away", m.Process.Pid, downWithin))
		_ = m.Process.Kill() // by its pid; ended or not
		<-m.done
	}
	left, err := mountsUnder(m.Dir)
	if err != nil {
		errs = append(errs, err)
	}
	for range left {
		errs = append(errs, errors.New("the mount is still there"))
		_ = unix.Unmount(m.Dir, unix.MNT_DETACH) // already reported
	}
	return errors.Join(errs...)
}

// unmount takes the mount away: properly, or at the deadline by detaching it.
func (m *Mount) unmount() error {
	deadline := time.Now().Add(downWithin)
	for {
		at, err := mountsUnder(m.Dir)
		if err != nil || len(at) == 0 {
			return err
		}
		err = m.umount(deadline)
		switch {
		case err == nil || err == unix.EINVAL: // EINVAL: the server was faster
			return nil
		case err != unix.EBUSY:
			_ = unix.Unmount(m.Dir, unix.MNT_DETACH) // the first error counts
			return fmt.Errorf("unmount: %w", err)
		case time.Now().After(deadline):
			_ = unix.Unmount(m.Dir, unix.MNT_DETACH) // the first error counts
			return errors.New("unmount: busy until the deadline: a descriptor or a working directory is left on it")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// umount is umount(2) with a deadline: it waits for FLUSH and DESTROY.
func (m *Mount) umount(deadline time.Time) error {
	c := make(chan error, 1)
	go func() { c <- unix.Unmount(m.Dir, unix.UMOUNT_NOFOLLOW) }()
	select {
	case err := <-c:
		return err
	case <-time.After(time.Until(deadline)):
		_ = m.Process.Kill() // frees the blocked umount; reported by the caller
		return unix.ETIMEDOUT
	}
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
