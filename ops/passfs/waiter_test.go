package passfs

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestLockStorm: many waiters on one byte, each passed on; none is forgotten.
// Closes come in between.
func TestLockStorm(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	var wg sync.WaitGroup
	var inside sync.Mutex
	for o := uint64(1); o <= 12; o++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(o, 3))
			for range 40 {
				in := lkIn(fh, o, wr, 5, 5)
				_, e := w.call(protocol.OpSetlkw, id, who{}, protocol.BytesOf(in))
				if e != 0 {
					t.Error(e)
					return
				}
				if !inside.TryLock() {
					t.Error("two hold it")
					return
				}
				inside.Unlock()
				if rng.IntN(3) == 0 {
					w.flush(id, fh, o)
				} else if e := w.setlk(id, lkIn(fh, o, un, 0, 10)); e != 0 {
					t.Error(e)
				}
			}
			w.flush(id, fh, o)
		}()
	}
	wg.Wait()
	if n := w.fs.locks.sets.Load() + w.fs.locks.waiters.Load(); n != 0 {
		t.Error("left behind:", n)
	}
}

// TestLockCap: more waiters than the connection can hold get ENOLCK, and the
// unlock still comes through.
func TestLockCap(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	if e := w.setlk(id, lkIn(fh, 1, wr, 0, 0)); e != 0 {
		t.Fatal(e)
	}
	const n = maxWaiters + 100
	var all []chan []byte
	for o := range uint64(n) {
		c, _ := w.setlkw(id, lkIn(fh, 2+o, rd, 0, 0))
		all = append(all, c)
	}
	for w.fs.locks.limit.Load() == 0 || w.fs.locks.waiters.Load() < w.fs.locks.limit.Load() {
		time.Sleep(time.Millisecond)
	}
	if e := w.setlk(id, lkIn(fh, 1, un, 0, 0)); e != 0 {
		t.Fatal(e)
	}
	got := map[unix.Errno]int{}
	for _, c := range all {
		_, e := w.wait(c)
		got[e]++
	}
	if got[0] == 0 || got[0]+got[unix.ENOLCK] != n {
		t.Error(got)
	}
	for o := range uint64(n + 1) {
		w.flush(id, fh, 1+o)
	}
}

// TestSeekCap: a SEEK_DATA for which the kernel has to write back first counts among
// those that wait, so that slots are left for the WRITEs.
func TestSeekCap(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	in := protocol.LseekIn{Fh: w.mustOpen(id, unix.O_RDWR), Whence: unix.SEEK_DATA}
	w.fs.locks.limit.Store(1)
	for _, c := range []struct {
		waiting int32
		want    unix.Errno
	}{{1, unix.EAGAIN}, {0, 0}} {
		w.fs.locks.waiters.Store(c.waiting)
		if _, e := w.call(protocol.OpLseek, id, who{}, protocol.BytesOf(&in)); e != c.want {
			t.Errorf("%d waiting: %v", c.waiting, e)
		}
		if n := w.fs.locks.waiters.Load(); n != c.waiting {
			t.Errorf("%d counted, %d wait", n, c.waiting)
		}
	}
}

func TestFlock(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	f := func(fh uint64, typ uint32) *protocol.LkIn {
		in := lkIn(fh, 7, typ, 0, math.MaxInt64)
		in.LkFlags = protocol.LkFlock
		return in
	}
	a, b, c := w.mustOpen(id, unix.O_RDONLY), w.mustOpen(id, unix.O_RDONLY), w.mustOpen(id, unix.O_RDWR)
	if e := w.setlk(id, f(a, wr)); e != 0 {
		t.Fatal(e)
	}
	if e := w.setlk(id, f(b, rd)); e != unix.EAGAIN {
		t.Error(e)
	}
	// Not a POSIX lock's business.
	if e := w.setlk(id, lkIn(c, 7, wr, 0, 9)); e != 0 {
		t.Error(e)
	}
	out, err := unix.Open(filepath.Join(w.dir, "f"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(out)
	if err := unix.Flock(out, unix.LOCK_SH|unix.LOCK_NB); err != unix.EAGAIN {
		t.Error("not seen outside:", err)
	}
	// Waiting, called off; waiting, until it is released.
	x, uniq := w.setlkw(id, f(b, rd))
	waits(t, x)
	w.interrupt(uniq)
	if _, e := w.wait(x); e != unix.EINTR {
		t.Error(e)
	}
	x, _ = w.setlkw(id, f(b, rd))
	waits(t, x)
	y, _ := w.setlkw(id, f(c, wr))
	waits(t, y)
	in := protocol.ReleaseIn{Fh: a, ReleaseFlags: protocol.ReleaseFlockUnlock}
	if _, e := w.call(protocol.OpRelease, id, who{}, protocol.BytesOf(&in)); e != 0 {
		t.Error(e)
	}
	if _, e := w.wait(x); e != 0 {
		t.Error(e)
	}
	waits(t, y)
	if e := w.setlk(id, f(b, un)); e != 0 {
		t.Error(e)
	}
	if _, e := w.wait(y); e != 0 {
		t.Error(e)
	}
	if e := w.setlk(id, f(c, un)); e != 0 {
		t.Error(e)
	}
	// Somebody outside.
	if err := unix.Flock(out, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Error(err)
	}
	z, _ := w.setlkw(id, f(b, wr))
	waits(t, z)
	unix.Flock(out, unix.LOCK_UN)
	if _, e := w.wait(z); e != 0 {
		t.Error(e)
	}
	w.release(id, b, false)
	w.flush(id, c, 7)
	w.release(id, c, false)
	if n := w.fs.locks.sets.Load(); n != 0 {
		t.Error("left behind:", n)
	}
}

// TestLockEnd: the connection ends with locks held and waited for.
func TestLockEnd(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	if e := w.setlk(id, lkIn(fh, 1, wr, 0, 0)); e != 0 {
		t.Fatal(e)
	}
	for o := range uint64(5) {
		w.setlkw(id, lkIn(fh, 2+o, wr, 0, 0))
	}
	for w.fs.locks.waiters.Load() != 5 {
		time.Sleep(time.Millisecond)
	}
}
