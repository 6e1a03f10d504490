package wb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
)

// failing has the back end fail those writes that f says, after some of their
// bytes, and the model count them.
func (m *model) failing(err unix.Errno, f func(op *aio.Op) bool) {
	m.b.errno = err
	m.b.fail = func(op *aio.Op) int {
		if !f(op) {
			return -1
		}
		return m.rng.IntN(op.Vec.Len() + 1)
	}
	m.b.failed = func(op *aio.Op) {
		x := m.files[op.FD]
		x.errs++
		x.seen, x.loss = false, true
		m.note("%d: fails: %d at %d", op.FD, op.Vec.Len(), op.Off)
	}
}

// told fails unless each handle is told once of an error it has not been told of.
func (m *model) told() {
	for _, f := range m.files {
		for i, h := range f.handles {
			want := unix.Errno(0)
			if h.since != f.errs {
				want = m.b.errno
			}
			if got := f.f.Check(&h.h); got != want {
				m.fail("%d: handle %d is told %v, want %v", f.i, i, got, want)
			}
			if got := f.f.Check(&h.h); got != 0 {
				m.fail("%d: handle %d is told twice: %v", f.i, i, got)
			}
			h.since = f.errs
		}
	}
}

// TestErrors fails the k-th write to the back end, for each k: it is reported once
// to each open file, and nothing is lost, for it is written again.
func TestErrors(t *testing.T) {
	const most = 200
	for k := 1; k <= most; k++ {
		err := []unix.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT}[k%3]
		t.Run(fmt.Sprint("k=", k), func(t *testing.T) {
			m := newModel(t, rand.New(rand.NewPCG(uint64(k), 2)), small)
			n, failed := 0, false
			m.failing(err, func(*aio.Op) bool {
				n++
				failed = failed || n == k
				return n == k
			})
			for i := 0; i < 100 || !failed; i++ {
				m.step()
			}
			for range 100 {
				m.step()
			}
			m.drain()
			m.end()
			m.told()
			if s := m.c.Stats(); s.Lost != 0 || s.Failed != 1 {
				t.Errorf("lost %d bytes, failed %d", s.Lost, s.Failed)
			}
		})
	}
}

// TestGivenUp: what can never be written is given up after Tries, reported each
// time, and nothing else is.
func TestGivenUp(t *testing.T) {
	var log []string
	b, c := newBack(t, 1, Config{Bytes: 16 * chunkSize, Log: func(s string) { log = append(log, s) }})
	rng := rand.New(rand.NewPCG(1, 1))
	f := c.File(0)
	var h Handle
	f.Open(&h)
	b.errno = unix.ENOSPC
	bad := int64(2 * chunkSize)
	b.fail = func(op *aio.Op) int {
		if op.Off < bad+chunkSize && op.Off+int64(op.Vec.Len()) > bad {
			return int(max(bad-op.Off, 0))
		}
		return -1
	}
	want := bytes.Repeat([]byte("x"), chunkSize)
	for i := range 5 {
		if i == 1 || i == 3 {
			continue // so that each chunk is an op
		}
		if t1 := (&Task{Off: int64(i * chunkSize), Data: want, Owner: b.files[0]}); !f.Write(t1) || t1.N != len(want) {
			t.Fatal(t1.N, t1.Err)
		}
	}
	sync := func() unix.Errno {
		s := &Task{Len: -1, Fsync: true, Handle: &h, Owner: b.files[0]}
		over := f.Sync(s)
		done := over
		if !over {
			s.Done = func(*Task) { done = true }
			f.Wait(s)
		}
		for b.land(rng) {
		}
		if !done {
			t.Fatal("a sync is not over")
		}
		return s.Err
	}
	for i := range 3 {
		if err := sync(); err != unix.ENOSPC {
			t.Fatalf("sync %d: %v", i, err)
		}
		if v := f.View(); i < 2 && (!v.Dirty || v.Bytes != chunkSize) {
			t.Fatalf("after sync %d: %+v", i, v)
		}
	}
	if err := sync(); err != 0 {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Lost != chunkSize || s.Failed != 3 || len(log) != 1 || f.Busy() {
		t.Errorf("%+v %q", s, log)
	}
	live := b.files[0].live
	for i := range 5 {
		got := live[i*chunkSize:][:chunkSize]
		if good := i%2 == 0 && i != 2; bytes.Equal(got, want) != good {
			t.Errorf("chunk %d is there: %v", i, !good)
		}
	}
	b.fail = nil // later writes work
	if t1 := (&Task{Off: bad, Data: want, Owner: b.files[0]}); !f.Write(t1) || sync() != 0 || !bytes.Equal(b.files[0].live[bad:][:chunkSize], want) {
		t.Error("a write after all this")
	}
}

// TestErrorUnseen: an error that nobody was told of is told to the next who opens
// the file, and to nobody else.
func TestErrorUnseen(t *testing.T) {
	var e errseq
	var a, b, c, d Handle
	e.sample(&a)
	e.set(unix.EIO)
	e.sample(&b)
	if e.check(&b) != unix.EIO || e.check(&b) != 0 {
		t.Error("b is to be told once")
	}
	e.sample(&c)
	if e.check(&c) != 0 {
		t.Error("c opened it when all was said")
	}
	if e.check(&a) != unix.EIO || e.check(&a) != 0 {
		t.Error("a is to be told once")
	}
	e.set(unix.ENOSPC)
	e.set(unix.EDQUOT)
	e.sample(&d)
	for i, h := range []*Handle{&a, &b, &c, &d} {
		if e.check(h) != unix.EDQUOT || e.check(h) != 0 {
			t.Error(i, "is to be told of the last one, once")
		}
	}
}

// TestHang: files whose back end does not answer keep nothing from the others.
func TestHang(t *testing.T) {
	for hung := 1; hung <= 2; hung++ {
		t.Run(fmt.Sprint(hung), func(t *testing.T) {
			randomly(t, 5, func(t *testing.T, rng *rand.Rand) {
				m := newModel(t, rng, small)
				for range 200 {
					m.step()
				}
				for _, f := range m.files[:hung] {
					f.b.hangs = true
				}
				rest := m.files[hung:]
				for i := range 3000 {
					if m.step(); i%100 != 99 {
						continue
					}
					m.drain()
					for _, f := range rest {
						if f.others > 0 || len(f.reads) > 0 {
							m.fail("%d: hangs as well: %d %d", f.i, f.others, len(f.reads))
						}
						// a copy from or to one that hangs is its own doing
						if f.changer && !f.copies {
							m.fail("%d: a change hangs as well", f.i)
						}
					}
				}
				for _, f := range m.files {
					f.b.hangs = false
				}
				m.drain()
				m.end()
			})
		})
	}
}

// TestPassed: a file that finds no room because of others goes around the cache.
func TestPassed(t *testing.T) {
	b, c := newBack(t, 2, Config{Bytes: 4 * chunkSize, FileBytes: 4 * chunkSize})
	b.files[0].hangs = true
	data := make([]byte, 4*chunkSize)
	full := &Task{Data: data, Owner: b.files[0]}
	full.Done = func(*Task) { t.Error("a write that was to wait has not") }
	f := c.File(0)
	if f.Write(full) || full.N != len(data) {
		t.Fatal("a write that fills the cache does not wait:", full.N)
	}
	f.Wait(full)
	other := &Task{Data: data[:10], Owner: b.files[1]}
	if !c.File(1).Write(other) || !other.Through || other.N != 0 {
		t.Errorf("through %v %d", other.Through, other.N)
	}
	if s := c.Stats(); s.Passed != 1 || s.Slowed != 1 || b.files[1].kept != 0 {
		t.Errorf("%+v", s)
	}
	full.Done = func(*Task) {}
	b.files[0].hangs = false
	rng := rand.New(rand.NewPCG(1, 1))
	for b.land(rng) {
	}
	if !full.over || f.Busy() {
		t.Error("the first write is not over")
	}
}
