package uring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// onDevice serves, and checks that it is done by /dev/fuse, within a second, and
// said so in one line with what in it.
func onDevice(t *testing.T, what string, o conn.Options, fd func(qid, fd int) int) {
	t.Helper()
	start := time.Now()
	s := serve(t, &handler{}, o, fd)
	for range 20 {
		must(t, s.statfs())
	}
	if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil {
		t.Error(err)
	}
	// Idle machines take 10 ms. What must not be is a time-out of somebody's.
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v", d)
	}
	if st := s.c.Stats(); st.Queues != 0 || st.Requests < 21 {
		t.Errorf("%s", st.AppendText(nil))
	}
	if l := s.logged(); len(l) != 1 || !strings.Contains(l[0], what) || !strings.Contains(l[0], "/dev/fuse") {
		t.Errorf("said %q", l)
	}
	if s.c.Flags()&protocol.InitOverIOUring != 0 {
		t.Error("the connection says that it has rings")
	}
	for cpu := range possible(t) { // each CPU's queue is out of use
		on(cpu, func() { must(t, s.statfs()) })
	}
	s.end()
	if s.err != nil {
		t.Error(s.err)
	}
}

func TestRingNotEnabled(t *testing.T) {
	offered(t)
	setting(t, paramFile, "N")
	onDevice(t, "enable_uring", conn.Options{}, nil)
	onDevice(t, "enable_uring", conn.Options{Transport: conn.TransportAuto}, nil)
}

func TestRingForbidden(t *testing.T) {
	offered(t)
	setting(t, sysctl, "2")
	onDevice(t, "not permitted", conn.Options{}, nil)
}

// TestRingMasked: a flag that is masked is not asked about.
func TestRingMasked(t *testing.T) {
	offered(t)
	s := serve(t, &handler{}, conn.Options{Mask: protocol.InitOverIOUring}, nil)
	must(t, s.statfs())
	if n := s.c.Stats().Queues; n != 0 || len(s.logged()) != 0 {
		t.Errorf("%d queues, %q", n, s.logged())
	}
}

// TestRingNoMemory: where there are no slots for entries.
func TestRingNoMemory(t *testing.T) {
	offered(t)
	onDevice(t, "slots", conn.Options{Slots: 4, Threads: 4}, nil)
}

// TestRingNoLockedMemory: rings as they are used here are not charged to
// RLIMIT_MEMLOCK (since 5.12), so they serve.
func TestRingNoLockedMemory(t *testing.T) {
	offered(t)
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 0, Max: old.Max}))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)) }()
	start := time.Now()
	s := serve(t, &handler{}, conn.Options{}, nil)
	must(t, s.statfs())
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestRingQueueFails: at each queue, before INIT is answered and after it, when the
// kernel holds every request back until all queues are there.
func TestRingQueueFails(t *testing.T) {
	offered(t)
	unattached, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(unattached)
	other, err := unix.Eventfd(0, unix.EFD_CLOEXEC) // takes no commands
	must(t, err)
	defer unix.Close(other)
	n := possible(t)
	for k := range n + 1 { // the last is the one for the way back
		for _, c := range []struct {
			fd   int
			what string
		}{{-1, ""}, {1 << 20, "bad file descriptor"}, {unattached, "register"}, {other, "register"}} {
			if k == n && c.fd >= 0 && c.fd != 1<<20 {
				continue // not needed as long as all goes well
			}
			onDevice(t, c.what, conn.Options{}, func(qid, fd int) int {
				if qid == k {
					return c.fd
				}
				return fd
			})
		}
	}
}

// TestRingAuto: by the kernel's release.
func TestRingAuto(t *testing.T) {
	offered(t)
	s := serve(t, &handler{}, conn.Options{Transport: conn.TransportAuto}, nil)
	must(t, s.statfs())
	if n := s.c.Stats().Queues; n == 0 && !strings.Contains(strings.Join(s.logged(), ""), "lacks fixes") {
		t.Errorf("no queues: %q", s.logged())
	}
}
