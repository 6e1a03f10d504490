package uring

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// mounted reports whether something is mounted on dir.
func mounted(t testing.TB, dir string) bool {
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return strings.Contains(string(b), " "+dir+" ")
}

// holding is a handler that keeps each STATFS until release is called.
type holding struct {
	handler
	mu   sync.Mutex
	held []*conn.Request
}

func hold() *holding {
	h := new(holding)
	h.serve = func(r *conn.Request) bool {
		if r.Op() != protocol.OpStatfs {
			return false
		}
		r.Detach()
		h.mu.Lock()
		h.held = append(h.held, r)
		h.mu.Unlock()
		return true
	}
	return h
}

func (h *holding) n() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

// release answers them and returns the errors.
func (h *holding) release() (errs []error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.held {
		errs = append(errs, r.Reply(80, 0))
	}
	h.held = nil
	return errs
}

// asking has n threads ask dir, spread over the CPUs.
func asking(dir string, n int) <-chan error {
	c := make(chan error, n)
	for i := range n {
		go on(i%runtime.NumCPU(), func() {
			var st unix.Statfs_t
			c <- again(func() error { return unix.Statfs(dir, &st) })
		})
	}
	return c
}

// TestRingBusyUnmount: callers in flight keep a mount busy; after umount -l they are
// answered, and then it ends.
func TestRingBusyUnmount(t *testing.T) {
	h := hold()
	s := onRing(t, &h.handler, conn.Options{})
	got := asking(s.dir, 12)
	eventually(t, "they are held", func() bool { return h.n() == 12 })
	if err := s.m.Unmount(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("unmount: %v", err)
	}
	must(t, s.m.Detach())
	for _, err := range h.release() {
		if err != nil {
			t.Errorf("reply: %v", err)
		}
	}
	for range 12 {
		if err := <-got; err != nil {
			t.Errorf("statfs: %v", err)
		}
	}
	s.wait()
	if s.err != nil {
		t.Error(s.err)
	}
}

// TestRingAbort: callers get an error at once, answers are refused with ENOENT from
// then on, and Serve waits for them.
func TestRingAbort(t *testing.T) {
	h := hold()
	s := onRing(t, &h.handler, conn.Options{})
	got := asking(s.dir, 12)
	eventually(t, "they are held", func() bool { return h.n() == 12 })
	must(t, s.m.Abort())
	for range 12 {
		if err := <-got; err != unix.ECONNABORTED && err != unix.ENOTCONN {
			t.Errorf("statfs: %v", err)
		}
	}
	eventually(t, "the server knows", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.held[0].Interrupted()
	})
	select {
	case <-s.done:
		t.Error("Serve returns with requests in service")
	default:
	}
	for _, err := range h.release() {
		if err != unix.ENOENT {
			t.Errorf("reply: %v", err)
		}
	}
	_ = s.m.Detach()
	s.wait()
	if s.err != nil && !errors.Is(s.err, conn.ErrAborted) {
		t.Error(s.err)
	}
}

// TestRingKilled: a server that is killed takes its callers along with an error.
func TestRingKilled(t *testing.T) {
	if !child() {
		offered(t)
		cmd, dir, out := runSelf(t, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
		runtime.LockOSThread() // Pdeathsig follows the thread
		defer runtime.UnlockOSThread()
		must(t, cmd.Start())
		defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
		eventually(t, "it is mounted", func() bool { return mounted(t, dir) })
		got := asking(dir, 12)
		time.Sleep(100 * time.Millisecond) // all or some of them are in flight
		must(t, cmd.Process.Kill())
		for range 12 {
			select {
			case err := <-got:
				// ECANCELED: it was on its way to the thread that died.
				if err != unix.ECONNABORTED && err != unix.ENOTCONN && err != unix.ECANCELED {
					t.Errorf("statfs: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("a caller of a dead server waits")
			}
		}
		_ = cmd.Wait() // killed
		if strings.Contains(out.String(), "FAIL") {
			t.Error(out)
		}
		return
	}
	h := hold()
	onRing(t, &h.handler, conn.Options{})
	time.Sleep(time.Minute)
}

// TestRingCycles mounts and unmounts, and leaves nothing behind.
func TestRingCycles(t *testing.T) {
	cycles := 400 // or as many as fit
	if v, err := strconv.Atoi(os.Getenv("FUSEWIRE_LONG")); err == nil && v > 0 {
		cycles = 10000
	}
	offered(t)
	once := func(i int) {
		h := hold()
		s := serve(t, &h.handler, conn.Options{RingDepth: 1 + i%4}, nil)
		if n := s.c.Stats().Queues; n != possible(t) {
			t.Fatalf("cycle %d: %d queues: %q", i, n, s.logged())
		}
		switch i % 4 {
		case 0: // unused
		case 1:
			if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil {
				t.Fatal(err)
			}
		case 2, 3: // busy
			got := asking(s.dir, 3)
			eventually(t, "they are held", func() bool { return h.n() == 3 })
			if i%4 == 3 {
				must(t, s.m.Abort())
			}
			h.release()
			for range 3 {
				if err := <-got; err != nil && i%4 == 2 {
					t.Fatal(err)
				}
			}
			if i%4 == 3 {
				_ = s.m.Detach()
				s.wait()
				return
			}
		}
		s.end()
		if s.err != nil {
			t.Fatalf("cycle %d: %v", i, s.err)
		}
	}
	for i := range 8 {
		once(i)
	}
	count := func() (fds, threads, maps int) {
		entries := func(dir string) int {
			l, err := os.ReadDir(dir)
			must(t, err)
			return len(l)
		}
		b, err := os.ReadFile("/proc/self/maps")
		must(t, err)
		return entries("/proc/self/fd"), entries("/proc/self/task"), strings.Count(string(b), "\n")
	}
	fds, threads, maps := count()
	end := time.Now().Add(5 * time.Second)
	n := 0
	for ; n < cycles && (cycles > 400 || time.Now().Before(end)); n++ {
		once(n)
	}
	t.Logf("%d cycles", n)
	eventually(t, "nothing is left", func() bool {
		f, th, m := count()
		return f <= fds && th <= threads+8 && m <= maps+24
	})
}
