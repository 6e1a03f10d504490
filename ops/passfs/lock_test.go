package passfs

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

func lkIn(fh, owner uint64, typ uint32, start, end uint64) *protocol.LkIn {
	return &protocol.LkIn{Fh: fh, Owner: owner, Lk: protocol.FileLock{Start: start, End: end, Type: typ, Pid: uint32(1000 + owner)}}
}

func (w *wire) setlk(id uint64, in *protocol.LkIn) unix.Errno {
	_, e := w.call(protocol.OpSetlk, id, who{}, protocol.BytesOf(in))
	return e
}

// setlkw is a SETLKW under way; the id is for an INTERRUPT.
func (w *wire) setlkw(id uint64, in *protocol.LkIn) (chan []byte, uint64) {
	c := w.send(protocol.OpSetlkw, id, who{}, nil, protocol.BytesOf(in))
	return c, w.unique.Load()
}

func (w *wire) getlk(id uint64, in *protocol.LkIn) (protocol.FileLock, unix.Errno) {
	b, e := w.call(protocol.OpGetlk, id, who{}, protocol.BytesOf(in))
	if e != 0 {
		return protocol.FileLock{}, e
	}
	return viewOf[protocol.LkOut](w.t, b).Lk, 0
}

func (w *wire) interrupt(id uint64) {
	in := protocol.InterruptIn{Unique: id}
	h := protocol.InHeader{Opcode: protocol.OpInterrupt, Unique: id | 1, Len: 48}
	b := append(append([]byte(nil), protocol.BytesOf(&h)...), protocol.BytesOf(&in)...)
	if _, err := unix.Write(w.fd, b); err != nil {
		w.t.Error("write:", err)
	}
}

func (w *wire) flush(id, fh, owner uint64) {
	w.t.Helper()
	in := protocol.FlushIn{Fh: fh, LockOwner: owner}
	if _, e := w.call(protocol.OpFlush, id, who{}, protocol.BytesOf(&in)); e != 0 {
		w.t.Error("flush:", e)
	}
}

func waits(t *testing.T, c chan []byte) {
	t.Helper()
	select {
	case <-c:
		t.Error("did not wait")
	case <-time.After(30 * time.Millisecond):
	}
}

const rd, wr, un = unix.F_RDLCK, unix.F_WRLCK, unix.F_UNLCK

// model is the obvious one: who holds what, byte by byte.
type model map[uint64]*[64]uint32

func (m model) of(owner uint64) *[64]uint32 {
	if m[owner] == nil {
		m[owner] = new([64]uint32)
		for i := range m[owner] {
			m[owner][i] = un
		}
	}
	return m[owner]
}

func (m model) set(owner uint64, typ uint32, a, b uint64) bool {
	for o, h := range m {
		for i := a; o != owner && typ != un && i <= b; i++ {
			if h[i] == wr || h[i] == rd && typ == wr {
				return false
			}
		}
	}
	for i := a; i <= b; i++ {
		m.of(owner)[i] = typ
	}
	return true
}

// probe looks at a file's locks from outside: what a process that does not use
// the mount sees.
func probe(t *testing.T, fd int, typ uint32, b uint64) uint32 {
	t.Helper()
	lk := unix.Flock_t{Type: int16(typ), Start: int64(b), Len: 1}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lk); err != nil {
		t.Fatal(err)
	}
	return uint32(lk.Type)
}

// TestLockModel runs random programs of several owners and compares each
// answer, and what an outsider sees in the end, with the model.
func TestLockModel(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	out, err := unix.Open(filepath.Join(w.dir, "f"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(out)
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := model{}
		fh := w.mustOpen(id, unix.O_RDWR)
		var log []string
		for range 120 {
			owner := 1 + rng.Uint64N(4)
			a, b := rng.Uint64N(64), rng.Uint64N(64)
			a, b = min(a, b), max(a, b)
			typ := []uint32{rd, wr, un}[rng.IntN(3)]
			end := b
			if b == 63 && rng.IntN(2) == 0 {
				end = math.MaxInt64
			}
			log = append(log, fmt.Sprintf("owner %d type %d %d-%d", owner, typ, a, b))
			if rng.IntN(20) == 0 {
				log[len(log)-1] = fmt.Sprintf("owner %d closes", owner)
				w.flush(id, fh, owner)
				m.set(owner, un, 0, 63)
				continue
			}
			if typ != un {
				lk, e := w.getlk(id, lkIn(fh, owner, typ, a, end))
				probe := model{}
				for o, h := range m {
					c := *h
					probe[o] = &c
				}
				if free := probe.set(owner, typ, a, b); e != 0 || free != (lk.Type == un) {
					t.Fatalf("seed %d: GETLK %+v, %v; free is %v\n%v", seed, lk, e, free, log)
				}
				if lk.Type != un {
					by := uint64(lk.Pid) - 1000
					if by == owner || m[by] == nil || lk.End < a || lk.Start > b || m[by][max(lk.Start, a)] != lk.Type {
						t.Fatalf("seed %d: GETLK %+v is not a lock in the way\n%v", seed, lk, log)
					}
				}
			}
			want := unix.Errno(0)
			if !m.set(owner, typ, a, b) {
				want = unix.EAGAIN
			}
			if e := w.setlk(id, lkIn(fh, owner, typ, a, end)); e != want {
				t.Fatalf("seed %d: %v, want %v\n%v", seed, e, want, log)
			}
		}
		for b := range uint64(64) {
			held := uint32(un)
			for _, h := range m {
				if h[b] == wr || h[b] == rd {
					held = h[b]
				}
			}
			if got := probe(t, out, wr, b); got != held {
				t.Fatalf("seed %d: byte %d is %d outside, want %d\n%v", seed, b, got, held, log)
			}
		}
		for o := range m {
			w.flush(id, fh, o)
		}
		w.release(id, fh, false)
		if n := w.fs.locks.sets.Load(); n != 0 {
			t.Fatalf("seed %d: %d inodes still have locks", seed, n)
		}
	}
}

func TestRanges(t *testing.T) {
	var h ranges
	h.set(lockRange{0, math.MaxInt64, rd, 1})
	h.set(lockRange{10, 19, wr, 1})
	h.set(lockRange{0, 4, un, 1})
	h.set(lockRange{20, 29, wr, 1})
	want := ranges{{5, 9, rd, 1}, {10, 29, wr, 1}, {30, math.MaxInt64, rd, 1}}
	if !slices.Equal(h, want) {
		t.Errorf("%v, want %v", h, want)
	}
	if c := h.conflict(rd, 0, 9); c != nil {
		t.Error(c)
	}
	if c := h.conflict(rd, 0, 10); c == nil || c.start != 10 {
		t.Error(c)
	}
	h.set(lockRange{0, math.MaxInt64, un, 1})
	if len(h) != 0 {
		t.Error(h)
	}
}

func TestLockErrors(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	for _, c := range []struct {
		in   *protocol.LkIn
		want unix.Errno
	}{
		{lkIn(fh, 1, 7, 0, 1), unix.EINVAL},
		{lkIn(fh, 1, wr, 2, 1), unix.EINVAL},
		{lkIn(fh, 1, wr, 2, 1<<63), unix.EINVAL},
		{lkIn(fh+99, 1, wr, 0, 1), unix.EBADF},
		{lkIn(fh, 1, un, 0, 1), 0},
	} {
		if e := w.setlk(id, c.in); e != c.want {
			t.Errorf("%+v: %v, want %v", c.in, e, c.want)
		}
	}
	if _, e := w.getlk(id, lkIn(fh, 1, un, 0, 1)); e != unix.EINVAL {
		t.Error("GETLK of F_UNLCK:", e)
	}
}

func TestLockWait(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	if e := w.setlk(id, lkIn(fh, 1, wr, 0, 9)); e != 0 {
		t.Fatal(e)
	}
	// Two wait for different reasons; a third one's wait is called off.
	two, _ := w.setlkw(id, lkIn(fh, 2, wr, 5, 5))
	three, _ := w.setlkw(id, lkIn(fh, 3, rd, 0, 9))
	four, uniq := w.setlkw(id, lkIn(fh, 4, wr, 0, 0))
	waits(t, two)
	waits(t, three)
	w.interrupt(uniq)
	if _, e := w.wait(four); e != unix.EINTR {
		t.Error("interrupted:", e)
	}
	// Part of it is let go: enough for the first.
	if e := w.setlk(id, lkIn(fh, 1, un, 5, 9)); e != 0 {
		t.Fatal(e)
	}
	if _, e := w.wait(two); e != 0 {
		t.Error(e)
	}
	waits(t, three)
	// A write lock that becomes a read lock, and a close.
	if e := w.setlk(id, lkIn(fh, 1, rd, 0, 4)); e != 0 {
		t.Fatal(e)
	}
	waits(t, three)
	w.flush(id, fh, 2)
	if _, e := w.wait(three); e != 0 {
		t.Error(e)
	}
	if lk, e := w.getlk(id, lkIn(fh, 9, wr, 0, 9)); e != 0 || lk.Type != rd || lk.Pid != 1001 && lk.Pid != 1003 {
		t.Error(lk, e)
	}
	if n := w.fs.locks.waiters.Load(); n != 0 {
		t.Error(n, "waiters left")
	}
	w.flush(id, fh, 1)
	w.flush(id, fh, 3)
}

// TestLockOutside waits for a process that does not use the mount.
func TestLockOutside(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	fh := w.mustOpen(id, unix.O_RDWR)
	f, err := os.OpenFile(filepath.Join(w.dir, "f"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lk := unix.Flock_t{Type: wr, Start: 3, Len: 4}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk); err != nil {
		t.Fatal(err)
	}
	if got, e := w.getlk(id, lkIn(fh, 1, rd, 0, math.MaxInt64)); e != 0 || got.Type != wr || got.Start != 3 || got.End != 6 || got.Pid != 0 {
		t.Error("GETLK:", got, e)
	}
	if e := w.setlk(id, lkIn(fh, 1, rd, 0, 9)); e != unix.EAGAIN {
		t.Error(e)
	}
	c, _ := w.setlkw(id, lkIn(fh, 1, rd, 0, 9))
	gone, uniq := w.setlkw(id, lkIn(fh, 2, rd, 0, 9))
	waits(t, c)
	w.interrupt(uniq)
	if _, e := w.wait(gone); e != unix.EINTR {
		t.Error(e)
	}
	lk.Type = un
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk); err != nil {
		t.Fatal(err)
	}
	if _, e := w.wait(c); e != 0 {
		t.Error(e)
	}
	lk = unix.Flock_t{Type: wr, Start: 0, Len: 0}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk); err != unix.EAGAIN {
		t.Error("not seen outside:", err)
	}
	w.flush(id, fh, 1)
	stopped := func() bool {
		p := &w.fs.locks.poll
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.running
	}
	for end := time.Now().Add(5 * time.Second); !stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still polling with nobody waiting")
		}
	}
}

func TestDeadlock(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	touch(t, w.dir, "g")
	id2 := w.mustLookup(1, "g").Nodeid
	fh, fh2 := w.mustOpen(id, unix.O_RDWR), w.mustOpen(id2, unix.O_RDWR)
	for o := uint64(1); o <= 2; o++ {
		if e := w.setlk(id, lkIn(fh, o, wr, o, o)); e != 0 {
			t.Fatal(e)
		}
	}
	if e := w.setlk(id2, lkIn(fh2, 3, wr, 0, 0)); e != 0 {
		t.Fatal(e)
	}
	a, _ := w.setlkw(id, lkIn(fh, 1, wr, 2, 2)) // 1 waits for 2
	waits(t, a)
	b, _ := w.setlkw(id2, lkIn(fh2, 2, wr, 0, 0)) // 2 for 3, in another file
	waits(t, b)
	c, _ := w.setlkw(id, lkIn(fh, 3, wr, 1, 1)) // 3 for 1: a circle
	if _, e := w.wait(c); e != unix.EDEADLK {
		t.Error("circle:", e)
	}
	// One that closes only when a lock in the way changes hands: 4 waits for 5
	// as well as 6, 6 for 4; then 5 is gone.
	for _, o := range []uint64{5, 6} {
		if e := w.setlk(id, lkIn(fh, o, rd, 10, 10)); e != 0 {
			t.Fatal(e)
		}
	}
	if e := w.setlk(id, lkIn(fh, 4, wr, 20, 20)); e != 0 {
		t.Fatal(e)
	}
	d, _ := w.setlkw(id, lkIn(fh, 4, wr, 10, 10))
	waits(t, d)
	f, _ := w.setlkw(id, lkIn(fh, 6, wr, 20, 20))
	select {
	case b := <-f: // 6 was the first seen in 4's way
		var h protocol.OutHeader
		copy(protocol.BytesOf(&h), b)
		if unix.Errno(-h.Error) != unix.EDEADLK {
			t.Error(h.Error)
		}
		w.flush(id, fh, 6)
		w.flush(id, fh, 5)
		if _, e := w.wait(d); e != 0 {
			t.Error(e)
		}
	case <-time.After(50 * time.Millisecond):
		w.flush(id, fh, 5)
		if _, e := w.wait(d); e != unix.EDEADLK {
			t.Error("closed later:", e)
		}
		w.flush(id, fh, 4)
		if _, e := w.wait(f); e != 0 {
			t.Error(e)
		}
	}
	w.flush(id2, fh2, 3)
	if _, e := w.wait(b); e != 0 {
		t.Error(e)
	}
	w.flush(id, fh, 2)
	if _, e := w.wait(a); e != 0 {
		t.Error(e)
	}
}

// TestLockOFD: an open-file-description lock has an owner that no FLUSH names,
// it ends with RELEASE.
func TestLockOFD(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	a, b := w.mustOpen(id, unix.O_RDWR), w.mustOpen(id, unix.O_RDWR)
	used := w.fs.budget.used.Load()
	if e := w.setlk(id, lkIn(a, 71, wr, 0, math.MaxInt64)); e != 0 {
		t.Fatal(e)
	}
	if e := w.setlk(id, lkIn(b, 5, rd, 0, 1)); e != unix.EAGAIN {
		t.Fatal("locked:", e)
	}
	c, _ := w.setlkw(id, lkIn(b, 5, rd, 0, 1))
	waits(t, c)
	w.flush(id, a, 4) // close(2) by process 4
	waits(t, c)
	w.release(id, a, false)
	if _, e := w.wait(c); e != 0 {
		t.Error("waiter:", e)
	}
	if e := w.setlk(id, lkIn(b, 6, wr, 2, 9)); e != 0 {
		t.Error("afterwards:", e)
	}
	// The owner goes on with another open file: what is closed is not its.
	a = w.mustOpen(id, unix.O_RDWR)
	w.setlk(id, lkIn(a, 6, rd, 20, 29))
	w.setlk(id, lkIn(b, 6, wr, 30, 39))
	w.release(id, a, false)
	if e := w.setlk(id, lkIn(b, 5, wr, 30, 30)); e != unix.EAGAIN {
		t.Error("lost a lock:", e)
	}
	w.release(id, b, false)
	if n := w.fs.budget.used.Load(); n > used-2 {
		t.Errorf("%d descriptors, %d with both files", n, used)
	}
}
