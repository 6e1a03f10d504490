package uring

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

// onDevice serves, and checks that it is done by /dev/fuse, within a second, and
// said so in one line with what in it. Idle machines take 10 ms; a busy one gets
// more than one chance.
func onDevice(t *testing.T, what string, o conn.Options, fd func(qid, fd int) int) {
	t.Helper()
	var took time.Duration
	for range 5 {
		if took = onDeviceOnce(t, what, o, fd); took <= time.Second {
			return
		}
	}
	t.Errorf("it took %v", took)
}

func onDeviceOnce(t *testing.T, what string, o conn.Options, fd func(qid, fd int) int) time.Duration {
	t.Helper()
	start := time.Now()
	s := serve(t, &handler{}, o, fd)
	for range 20 {
		must(t, s.statfs())
	}
	if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil {
		t.Error(err)
	}
	took := time.Since(start)
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
		on(cpu, func() {
			if err := s.statfs(); err != nil {
				t.Error(err)
			}
		})
	}
	s.end()
	if s.err != nil {
		t.Error(s.err)
	}
	return took
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

// TestRingNoLockedMemory: an ordinary user has rings, but without RLIMIT_MEMLOCK,
// which they are charged to. (So were they up to 5.11, and are again in 6.18.)
func TestRingNoLockedMemory(t *testing.T) {
	if !child() {
		offered(t)
		harness.OpenFuse(t)
		cmd, dir, out := runSelf(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}})
		must(t, os.Chown(dir, 1000, 1000))
		if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "--- PASS") {
			t.Errorf("in the child: %v\n%s", err, out)
		}
		return
	}
	s := onRing(t, &handler{}, conn.Options{})
	must(t, s.statfs())
	s.end()
	must(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}))
	s = serve(t, &handler{}, conn.Options{}, nil)
	must(t, s.statfs())
	s.end()
	if s.c.Stats().Queues == 0 {
		onDevice(t, "cannot allocate memory", conn.Options{}, nil)
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
