package mount

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/tests/harness"
)

// cycle mounts, serves, has the mount used and takes it down, in this process.
func cycle(t testing.TB, src, dir string, use func(m *conn.Mount) error) error {
	m, err := conn.NewMount(dir, &conn.MountOptions{Flags: conn.DefaultMountFlags, DefaultPermissions: true})
	if err != nil {
		return err
	}
	defer m.Close()
	fd, err := unix.Open(src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	fs, err := passfs.New(fd, nil)
	unix.Close(fd)
	if err != nil {
		return err
	}
	dev, err := conn.NewFuseDevice(m.FD())
	if err != nil {
		return err
	}
	c := conn.New(dev, &conn.Options{Want: fs.Want(), Transport: harness.Transport(t)})
	served := make(chan error, 1)
	go func() { served <- c.Serve(ops.New(fs)) }()
	select {
	case <-c.Ready():
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
	err = use(m)
	if uerr := m.Unmount(); uerr != nil {
		err = errors.Join(err, fmt.Errorf("unmount: %w", uerr), m.Detach())
	}
	select {
	case serr := <-served:
		if serr != nil && !errors.Is(serr, conn.ErrAborted) {
			err = errors.Join(err, fmt.Errorf("serve: %w", serr))
		}
	case <-time.After(20 * time.Second):
		err = errors.Join(err, errors.New("Serve goes on after the unmount"), m.Abort())
	}
	return err
}

// The ways in which the mount of a cycle ends. They use bare system calls: a
// file of package os is registered with epoll by a system call that the Go
// scheduler does not see, and if that asks this very process (POLL) while a
// garbage collection stops it, neither ends.

func plain(m *conn.Mount) error {
	fd, err := unix.Open(m.Dir()+"/file", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return readContents(fd)
}

func readContents(fd int) error {
	b := make([]byte, 16)
	n, err := unix.Pread(fd, b, 0)
	if err == nil && string(b[:n]) != "contents" {
		err = fmt.Errorf("read %q", b[:n])
	}
	return err
}

func unused(*conn.Mount) error { return nil }

func detached(m *conn.Mount) error {
	fd, err := unix.Open(m.Dir()+"/file", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := m.Unmount(); !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("unmount with a file open: %v, not EBUSY", err)
	}
	if err := m.Detach(); err != nil {
		return err
	}
	return readContents(fd)
}

func aborted(m *conn.Mount) error {
	fd, err := unix.Open(m.Dir()+"/file", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = m.Abort()
	// FLUSH fails like everything else, and the descriptor is gone all the same.
	if cerr := unix.Close(fd); cerr != nil && cerr != unix.ENOTCONN && cerr != unix.ECONNABORTED {
		err = errors.Join(err, cerr)
	}
	return err
}

// counts is what a cycle could leave behind.
type counts struct {
	goroutines, threads, fds, mounts, children, maps int
}

func count(t testing.TB) counts {
	t.Helper()
	entries := func(dir string) int {
		l, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(l)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return counts{
		goroutines: runtime.NumGoroutine(),
		threads:    entries("/proc/self/task"),
		fds:        entries("/proc/self/fd"),
		mounts:     len(mountinfo(t)),
		children:   children(t),
		maps:       strings.Count(string(maps), "\n"),
	}
}

// children counts this process's, zombies included.
func children(t testing.TB) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue // ended meanwhile
		}
		after := string(b[strings.LastIndexByte(string(b), ')')+1:])
		if f := strings.Fields(after); f[1] == fmt.Sprint(os.Getpid()) {
			n++
		}
	}
	return n
}

// nothingLeft compares with what was there before, after giving things that
// end by themselves (threads that exit, runtime goroutines) a moment.
func nothingLeft(t testing.TB, before counts) {
	t.Helper()
	var now counts
	ok := func() bool {
		now = count(t)
		return now.goroutines <= before.goroutines && now.fds <= before.fds && now.mounts == before.mounts &&
			now.children == before.children && now.threads <= before.threads+8 && now.maps <= before.maps+24
	}
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 64<<10)
			t.Fatalf("left behind: before %+v, now %+v\n%s", before, now, buf[:runtime.Stack(buf, true)])
		}
	}
	t.Logf("before %+v, after %+v", before, now)
}

// TestCycles mounts and unmounts a thousand times in this process.
func TestCycles(t *testing.T) {
	const cycles = 1000
	src, dir := harness.Disk(t), newDir(t)
	put(t, filepath.Join(src, "file"), "contents")
	ways := []struct {
		name string
		use  func(*conn.Mount) error
	}{{"plain", plain}, {"unused", unused}, {"detached", detached}, {"aborted", aborted}}
	for _, w := range ways { // what is started once and stays is no leak
		if err := cycle(t, src, dir, w.use); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
	}
	before := count(t)
	rss := procStatus(t, os.Getpid(), "VmRSS")
	start := time.Now()
	for i := range cycles {
		w := ways[0]
		if i%10 < len(ways) {
			w = ways[i%10]
		}
		if err := cycle(t, src, dir, w.use); err != nil {
			t.Fatalf("cycle %d (%s): %v", i, w.name, err)
		}
	}
	t.Logf("%d cycles in %.1fs", cycles, time.Since(start).Seconds())
	nothingLeft(t, before)
	if grown := procStatus(t, os.Getpid(), "VmRSS") - rss; grown > 32<<10 {
		t.Errorf("resident memory grew by %d kB", grown)
	}
}

// TestServeCycles is the same with the program, as many as fit in the time.
func TestServeCycles(t *testing.T) {
	const most, least, budget = 1000, 100, 20 * time.Second
	src, dir := harness.Disk(t), newDir(t)
	put(t, filepath.Join(src, "file"), "contents")
	bin := harness.Binary(t)
	before := count(t)
	start := time.Now()
	n := 0
	for ; n < most && (n < least || time.Since(start) < budget); n++ {
		var printed strings.Builder
		cmd := exec.Command(bin, "-f", src, dir)
		cmd.Stdout, cmd.Stderr = &printed, &printed
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		runtime.LockOSThread() // Pdeathsig is about this thread
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, "it mounts", func() bool { return mounted(t, dir) > 0 })
		b, err := os.ReadFile(filepath.Join(dir, "file"))
		if err != nil || string(b) != "contents" {
			t.Errorf("cycle %d: %q, %v", n, b, err)
		}
		if n%2 == 0 {
			err = unix.Unmount(dir, 0)
		} else {
			err = cmd.Process.Signal(unix.SIGTERM)
		}
		if err != nil {
			t.Errorf("cycle %d: %v", n, err)
		}
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			t.Errorf("cycle %d: the server ended with %v\n%s", n, err, printed.String())
		}
		kill.Stop()
		runtime.UnlockOSThread()
		if t.Failed() {
			break
		}
	}
	t.Logf("%d cycles in %.1fs", n, time.Since(start).Seconds())
	nothingLeft(t, before)
	noServers(t)
}
