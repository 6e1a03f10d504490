package uring

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// needRing skips where making a ring failed with err because io_uring is absent or
// forbidden, which is not ours to change.
func needRing(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		t.Skipf("no io_uring here: %v", err)
	}
}

// setup makes a ring, if there may be one. The goroutine keeps its thread.
func setup(t testing.TB, entries uint32, o Options) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := Setup(entries, o)
	needRing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// modern are the flags this binding is used with, as far as the kernel has them.
func modern(t testing.TB, entries uint32) *Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := SetupBest(entries, SetupSingleIssuer|SetupDeferTaskrun|SetupNoSQArray|SetupSubmitAll, 0, Options{})
	needRing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// enter is Enter that survives the runtime's signals.
func enter(t testing.TB, r *Ring, wait int) {
	t.Helper()
	for {
		_, e := r.Enter(wait)
		if e == unix.EINTR || e == 0 && r.Ready() < wait {
			continue
		}
		if e != 0 {
			t.Fatal(e)
		}
		return
	}
}

// next waits for one completion.
func next(t testing.TB, r *Ring) CQE {
	t.Helper()
	if r.Ready() == 0 {
		enter(t, r, 1)
	}
	c, ok := r.Next()
	if !ok {
		t.Fatal("no completion after waiting for one")
	}
	return c
}

func temp(t testing.TB, dir, content string) int {
	t.Helper()
	name := filepath.Join(dir, "f")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// dirs are a directory of the tests' file system and one of tmpfs.
func dirs(t *testing.T) []string {
	t.Helper()
	d := []string{t.TempDir()}
	if shm, err := os.MkdirTemp("/dev/shm", "uring"); err == nil {
		t.Cleanup(func() { os.RemoveAll(shm) })
		d = append(d, shm)
	}
	return d
}

// TestNopStorm: many times around both queues, in batches that do not divide
// them, with every layout this kernel has; each request comes back once.
func TestNopStorm(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags uint32
	}{
		{"plain", 0},
		{"wide", SetupSQE128},
		{"submit all, no array", SetupSubmitAll | SetupNoSQArray},
		{"deferred", SetupSingleIssuer | SetupDeferTaskrun},
		{"all", SetupSQE128 | SetupSubmitAll | SetupNoSQArray | SetupSingleIssuer | SetupDeferTaskrun},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r, err := SetupBest(8, c.flags, 0, Options{CQEntries: 32})
			needRing(t, err)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if c.name != "deferred" {
				if err := r.RegisterRingFD(); err != nil && !errors.Is(err, unix.EINVAL) {
					t.Fatal(err)
				}
			}
			const total = 10000
			seen := make([]bool, total)
			sent, got := 0, 0
			for got < total {
				for i := 0; i < 3+sent%5 && sent < total; i++ {
					s := r.SQE()
					if s == nil {
						break
					}
					if *s != (SQE{}) {
						t.Fatalf("entry %d is not zeroed: %+v", sent, *s)
					}
					s.Nop(uint64(sent))
					s.Addr3 = 0
					sent++
				}
				enter(t, r, 1)
				for {
					c, ok := r.Next()
					if !ok {
						break
					}
					if c.Res != 0 || c.UserData >= total || seen[c.UserData] {
						t.Fatalf("completion %+v", c)
					}
					seen[c.UserData] = true
					got++
				}
			}
			if r.Pending() != 0 || r.Ready() != 0 || r.Dropped() != 0 || r.Lost() != 0 {
				t.Errorf("left: %d pending, %d ready, %d dropped, %d lost", r.Pending(), r.Ready(), r.Dropped(), r.Lost())
			}
		})
	}
}

// TestNopAllocs: nothing of the round trip allocates.
func TestNopAllocs(t *testing.T) {
	r := modern(t, 8)
	if n := testing.AllocsPerRun(200, func() {
		r.SQE().Nop(1)
		for r.Ready() == 0 {
			if _, e := r.EnterTimeout(1, 1e9); e != 0 && e != unix.EINTR {
				t.Fatal(e)
			}
		}
		r.Advance(1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestQueueFull: SQE says so, counts agree, and nothing taken is lost.
func TestQueueFull(t *testing.T) {
	r := modern(t, 4)
	sq, cq := r.Entries()
	if sq != 4 || cq != 8 {
		t.Fatalf("queues of %d and %d", sq, cq)
	}
	for i := range 4 {
		if r.Space() != 4-i || r.Pending() != i {
			t.Fatalf("%d taken: space %d, pending %d", i, r.Space(), r.Pending())
		}
		r.SQE().Nop(uint64(i))
	}
	if r.SQE() != nil || r.SQE128() != nil {
		t.Fatal("an entry beyond the queue's size")
	}
	if n, e := r.Submit(); n != 4 || e != 0 {
		t.Fatalf("submitted %d, %v", n, e)
	}
	if r.Space() != 4 {
		t.Errorf("space %d after a submission", r.Space())
	}
	for i := range 4 {
		if c := next(t, r); c.UserData != uint64(i) {
			t.Errorf("%+v, not %d", c, i)
		}
	}
	if n, e := r.Submit(); n != 0 || e != 0 {
		t.Errorf("submitting nothing: %d, %v", n, e)
	}
}

// TestOverflow: completions beyond the queue are kept by the kernel and arrive.
func TestOverflow(t *testing.T) {
	r := setup(t, 8, Options{CQEntries: 8})
	const n = 40
	for i := range n {
		s := r.SQE()
		if s == nil {
			t.Fatal("submission queue full")
		}
		s.Nop(uint64(i))
		if _, e := r.Submit(); e != 0 {
			t.Fatal(e)
		}
	}
	if !r.Overflowed() || r.Ready() != 8 {
		t.Fatalf("overflowed %v with %d ready", r.Overflowed(), r.Ready())
	}
	for i := range n {
		if c := next(t, r); c.UserData != uint64(i) || c.Res != 0 {
			t.Fatalf("completion %d: %+v", i, c)
		}
	}
	if r.Overflowed() || r.Lost() != 0 {
		t.Errorf("at the end: overflowed %v, lost %d", r.Overflowed(), r.Lost())
	}
}

// TestTimeout: EnterTimeout gives up, and does not when there is something.
func TestTimeout(t *testing.T) {
	r := modern(t, 4)
	for {
		_, e := r.EnterTimeout(1, 2e6)
		if e == unix.EINTR {
			continue
		}
		if e != unix.ETIME {
			t.Fatalf("waiting for nothing: %v", e)
		}
		break
	}
	r.SQE().Nop(7)
	if n, e := r.EnterTimeout(1, 60e9); n != 1 || e != 0 {
		t.Fatalf("%d, %v", n, e)
	}
	if c, ok := r.Next(); !ok || c.UserData != 7 {
		t.Errorf("%+v %v", c, ok)
	}
	if _, e := r.EnterTimeout(1, -1); e != unix.EINVAL {
		t.Errorf("a negative timeout: %v", e)
	}
}

// TestEventFD: completions signal the descriptor, until it is unregistered.
func TestEventFD(t *testing.T) {
	r := setup(t, 4, Options{})
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := r.RegisterEventFD(fd); err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	if _, err := unix.Read(fd, b[:]); err != unix.EAGAIN {
		t.Fatalf("signalled before anything was done: %v", err)
	}
	r.SQE().Nop(1)
	next(t, r)
	if _, err := unix.Read(fd, b[:]); err != nil {
		t.Errorf("not signalled: %v", err)
	}
	if err := r.UnregisterEventFD(); err != nil {
		t.Fatal(err)
	}
	r.SQE().Nop(1)
	next(t, r)
	if _, err := unix.Read(fd, b[:]); err != unix.EAGAIN {
		t.Errorf("signalled though unregistered: %v", err)
	}
}

// TestProbe: what every kernel has, what none has.
func TestProbe(t *testing.T) {
	p, err := modern(t, 4).Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []uint8{OpNop, OpReadv, OpWritev, OpFsync, OpAsyncCancel, OpFallocate, OpRead, OpWrite} {
		if !p.Has(op) {
			t.Errorf("operation %d is missing", op)
		}
	}
	if p.Has(255) {
		t.Error("operation 255 exists")
	}
}

// TestSetupErrors: what is refused, and as what.
func TestSetupErrors(t *testing.T) {
	modern(t, 1) // or skip
	for _, c := range []struct {
		entries uint32
		o       Options
	}{{0, Options{}}, {1 << 30, Options{}}, {8, Options{Flags: SetupSQPoll}}, {8, Options{Flags: 1 << 31}},
		{8, Options{Flags: SetupDeferTaskrun}}, {8, Options{CQEntries: 4}}} {
		r, err := Setup(c.entries, c.o)
		var e *Error
		if !errors.As(err, &e) || e.Err != unix.EINVAL || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%d %+v: %v", c.entries, c.o, err)
		} else if e.Error() != "io_uring setup: invalid argument" {
			t.Errorf("text: %q", e.Error())
		}
		if r != nil {
			r.Close()
		}
	}
	// A flag from the future is dropped, one that is needed is not.
	r, err := SetupBest(4, SetupSQEMixed|SetupSubmitAll, 0, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.Close()
	if r, err := SetupBest(4, SetupSubmitAll, 1<<31, Options{}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a needed flag nobody has: %v, %v", r, err)
	}
}

// TestEnable: a ring that begins disabled submits nothing before it is enabled.
func TestEnable(t *testing.T) {
	r := setup(t, 4, Options{Flags: SetupRDisabled})
	r.SQE().Nop(3)
	if _, e := r.Submit(); e != unix.EBADFD {
		t.Fatalf("submission to a disabled ring: %v", e)
	}
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	if c := next(t, r); c.UserData != 3 {
		t.Errorf("%+v", c)
	}
}
