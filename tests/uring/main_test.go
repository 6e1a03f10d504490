package uring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

const (
	childVar  = "FUSEWIRE_TEST_CHILD" // in a child: where it is to mount
	paramFile = "/sys/module/fuse/parameters/enable_uring"
	sysctl    = "/proc/sys/kernel/io_uring_disabled"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		os.Exit(m.Run())
	}
	harness.Main(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// setting sets a file of /sys or /proc until the test ends.
func setting(t testing.TB, file, val string) {
	t.Helper()
	old, err := os.ReadFile(file)
	must(t, err)
	if strings.TrimSpace(string(old)) == val {
		return
	}
	must(t, os.WriteFile(file, []byte(val), 0o644))
	t.Cleanup(func() {
		if err := os.WriteFile(file, old, 0o644); err != nil {
			t.Errorf("%s stays %s: %v", file, val, err)
		}
	})
}

// offered sees to it that the kernel offers rings.
func offered(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(paramFile); err != nil {
		t.Skipf("this kernel has no FUSE over io_uring: %v", err)
	}
	setting(t, paramFile, "Y")
	setting(t, sysctl, "0")
}

// possible counts the possible CPUs.
func possible(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	must(t, err)
	n := 0
	for _, part := range strings.Split(strings.TrimSpace(string(b)), ",") {
		var from, to int
		if k, _ := fmt.Sscanf(part, "%d-%d", &from, &to); k == 1 {
			to = from
		}
		n += to - from + 1
	}
	return n
}

// handler answers what a test does not.
type handler struct {
	serve  func(*conn.Request) bool // false: the rest is for base
	forget func(nodeid, n uint64)
}

func (h *handler) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error { return nil }
func (h *handler) Done()                                                      {}

func (h *handler) Forget(nodeid, n uint64) {
	if h.forget != nil {
		h.forget(nodeid, n)
	}
}

// fileSize is the size of the file "f", node 2.
const fileSize = 8 << 20

// pattern is byte i of it.
func pattern(i int64) byte { return byte(i ^ i>>8 ^ i>>16*5) }

func attrOf(nodeid uint64) protocol.Attr {
	a := protocol.Attr{Ino: nodeid, Mode: unix.S_IFDIR | 0o755, Nlink: 2, Blksize: 4096}
	if nodeid != 1 {
		a.Mode, a.Nlink, a.Size = unix.S_IFREG|0o644, 1, fileSize
	}
	return a
}

func (h *handler) Serve(r *conn.Request) {
	if h.serve != nil && h.serve(r) {
		return
	}
	switch r.Op() {
	case protocol.OpLookup:
		if string(r.Name) != "f" || r.Header.Nodeid != 1 {
			_ = r.ReplyError(unix.ENOENT)
			return
		}
		*protocol.ViewOf[protocol.EntryOut](r.Out()) = protocol.EntryOut{Nodeid: 2, Attr: attrOf(2)}
		_ = r.Reply(128, 0)
	case protocol.OpGetattr:
		protocol.ViewOf[protocol.AttrOut](r.Out()).Attr = attrOf(r.Header.Nodeid)
		_ = r.Reply(104, 0)
	case protocol.OpStatfs:
		protocol.ViewOf[protocol.StatfsOut](r.Out()).St.Bsize = 4096
		_ = r.Reply(80, 0)
	case protocol.OpOpen, protocol.OpOpendir:
		_ = r.Reply(16, 0)
	case protocol.OpRead:
		in := r.ReadIn()
		n := int(max(min(int64(in.Size), fileSize-int64(in.Offset)), 0))
		b := r.Payload()[:n]
		for i := range b {
			b[i] = pattern(int64(in.Offset) + int64(i))
		}
		_ = r.Reply(0, n)
	case protocol.OpRelease, protocol.OpReleasedir, protocol.OpFlush:
		_ = r.ReplyError(0)
	case protocol.OpNotifyReply:
		r.NoReply()
	default:
		_ = r.ReplyError(unix.ENOSYS)
	}
}

// mount is one that this process serves.
type mount struct {
	t    testing.TB
	dir  string
	m    *conn.Mount
	c    *conn.Conn
	done chan struct{}
	err  error

	mu   sync.Mutex
	logs []string
}

// device lets a test choose the descriptors of queues.
type device struct {
	*conn.FuseDevice
	fd func(qid, fd int) int
}

func (d *device) RingFD(qid int) int { return d.fd(qid, d.FuseDevice.RingFD(qid)) }

// serve mounts, and serves with h until the test ends. It returns once INIT has
// been answered. fd may be nil.
func serve(t testing.TB, h *handler, o conn.Options, fd func(qid, fd int) int) *mount {
	t.Helper()
	dir := os.Getenv(childVar)
	if dir == "" {
		dir = filepath.Join(harness.Disk(t), "mnt")
		must(t, os.Mkdir(dir, 0o755))
	}
	s := &mount{t: t, dir: dir, done: make(chan struct{})}
	var err error
	s.m, err = conn.NewMount(dir, &conn.MountOptions{FSName: "uring", Flags: conn.DefaultMountFlags, AllowOther: os.Getuid() == 0})
	must(t, err)
	dev, err := conn.NewFuseDevice(s.m.FD())
	must(t, err)
	if o.Transport == conn.TransportDev {
		o.Transport = conn.TransportURing
	}
	o.Log = s.log
	if o.MaxWrite == 0 {
		o.MaxWrite = 128 << 10
	}
	if fd != nil {
		s.c = conn.New(&device{dev, fd}, &o)
	} else {
		s.c = conn.New(dev, &o)
	}
	go func() {
		s.err = s.c.Serve(h)
		close(s.done)
	}()
	t.Cleanup(func() { s.end() })
	select {
	case <-s.c.Ready():
	case <-s.done:
		t.Fatalf("INIT: %v", s.err)
	case <-time.After(20 * time.Second):
		t.Fatal("INIT is not answered")
	}
	return s
}

// onRing is serve, with all requests on rings.
func onRing(t testing.TB, h *handler, o conn.Options) *mount {
	t.Helper()
	offered(t)
	s := serve(t, h, o, nil)
	if n := s.c.Stats().Queues; n != possible(t) {
		t.Fatalf("%d queues, for %d possible CPUs: %q", n, possible(t), s.logged())
	}
	return s
}

func (s *mount) log(line string) {
	s.mu.Lock()
	s.logs = append(s.logs, line)
	s.mu.Unlock()
}

func (s *mount) logged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.logs...)
}

// end takes the mount down and waits for Serve. A second call does nothing.
func (s *mount) end() {
	s.t.Helper()
	if s.m == nil {
		return
	}
	if err := s.m.Unmount(); err != nil {
		s.t.Errorf("unmount: %v", err)
		_ = s.m.Detach()
		_ = s.m.Abort()
	}
	s.wait()
}

// wait waits for Serve, and gives up what is the mount's.
func (s *mount) wait() {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		b := make([]byte, 1<<16)
		s.t.Errorf("Serve does not return: %s\n%s", s.c.AppendInflight(nil), b[:runtime.Stack(b, true)])
	}
	s.m.Close()
	s.m = nil
}

// statfs asks the server. It is answered within a time that no test misses.
func (s *mount) statfs() error {
	done := make(chan error, 1)
	go func() {
		var st unix.Statfs_t
		done <- again(func() error { return unix.Statfs(s.dir, &st) })
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		_ = s.m.Abort()
		return errors.New("no answer")
	}
}

// again calls f until no signal of Go's interrupts it.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// on runs f on a thread that stays on one CPU.
func on(cpu int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: it ends with the goroutine
		var set unix.CPUSet
		set.Set(cpu)
		_ = unix.SchedSetaffinity(0, &set) // where it cannot be, it is anywhere
		f()
	}()
	<-done
}

// eventually waits a while for cond to become true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// runSelf runs the calling test once more in a child, which mounts on a directory
// that is returned.
func runSelf(t *testing.T, attr *syscall.SysProcAttr) (*exec.Cmd, string, *strings.Builder) {
	t.Helper()
	dir := filepath.Join(harness.Disk(t), "mnt")
	must(t, os.Mkdir(dir, 0o755))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childVar+"="+dir)
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, dir, out
}

// child reports whether this is the process that runSelf made.
func child() bool { return os.Getenv(childVar) != "" }
