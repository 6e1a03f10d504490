package wb

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/sg/clock"
)

// back is a back end and its engine in memory. Ops wait until they are landed, in
// any order: all of it on one goroutine, so that a seed fixes everything.
type back struct {
	t      testing.TB
	files  []*backFile
	queue  []*aio.Op
	begun  map[*aio.Op]bool  // carried out, and nobody has been told
	ops    int               // writes that were landed
	fail   func(*aio.Op) int // how much of a write succeeds; negative: all
	errno  unix.Errno
	failed func(*aio.Op) // is told before the cache is
}

// backFile is a file of the back end: what it has, and what it will have after a
// power cut. It is an Owner.
type backFile struct {
	b             *back
	fd            int
	live, durable []byte
	kept          int
	hangs         bool
}

func (f *backFile) FD() int              { return f.fd }
func (f *backFile) Size() (int64, error) { return int64(len(f.live)), nil }
func (f *backFile) Keep() bool           { f.kept++; return true }
func (f *backFile) Drop()                { f.kept-- }

func (f *backFile) write(data []byte, off int64) {
	if end := int(off) + len(data); end > len(f.live) {
		f.live = append(f.live, make([]byte, end-len(f.live))...)
	}
	copy(f.live[off:], data)
}

func (f *backFile) truncate(size int) {
	if size <= len(f.live) {
		f.live = f.live[:size:size]
	} else {
		f.live = append(f.live, make([]byte, size-len(f.live))...)
	}
}

func (b *back) TrySubmit(op *aio.Op) bool {
	op.N, op.Err = 0, 0
	for _, o := range b.queue {
		if o.FD == op.FD && o.Kind == aio.Write && op.Kind == aio.Write && o.Off < op.Off+int64(op.Vec.Len()) && op.Off < o.Off+int64(o.Vec.Len()) {
			b.t.Errorf("writes of [%d,+%d) and [%d,+%d) at once", o.Off, o.Vec.Len(), op.Off, op.Vec.Len())
		}
	}
	b.queue = append(b.queue, op)
	return true
}

func (b *back) Submit(op *aio.Op) { b.TrySubmit(op) }

// land carries one op out and reports whether there was one that could be.
func (b *back) land(rng *rand.Rand) bool {
	var can []int
	for i, op := range b.queue {
		if !b.files[op.FD].hangs {
			can = append(can, i)
		}
	}
	if len(can) == 0 {
		return false
	}
	i := can[rng.IntN(len(can))]
	op := b.queue[i]
	if !b.begun[op] {
		b.carryOut(op)
		if rng.IntN(3) == 0 { // what it read may be old when that is told
			b.begun[op] = true
			return true
		}
	}
	delete(b.begun, op)
	b.queue = append(b.queue[:i], b.queue[i+1:]...)
	if op.Kind == aio.Write && op.Err != 0 && b.failed != nil {
		b.failed(op)
	}
	op.Done(op)
	return true
}

func (b *back) carryOut(op *aio.Op) {
	f := b.files[op.FD]
	switch op.Kind {
	case aio.Write:
		n := -1
		if b.fail != nil {
			n = b.fail(op)
		}
		b.ops++
		for _, s := range op.Vec.Segs() {
			m := s.Mem
			if n >= 0 && len(m) > n-op.N {
				m = m[:n-op.N]
			}
			if len(m) > 0 {
				f.write(m, op.Off+int64(op.N))
			}
			op.N += len(m)
		}
		if n >= 0 {
			op.Err = b.errno
		}
	case aio.Read:
		dst := op.Vec.Segs()[0].Mem
		if op.Off < int64(len(f.live)) {
			op.N = copy(dst, f.live[op.Off:])
		}
	case aio.Fsync, aio.Fdatasync:
		f.durable = append([]byte(nil), f.live...)
	default:
		panic(fmt.Sprint("op of kind ", op.Kind))
	}
}

// newBack returns a back end with n empty files, and a cache over it with room for
// little, whose clock is the test's.
func newBack(t testing.TB, n int, c Config) (*back, *Cache) {
	t.Helper()
	b := &back{t: t, errno: unix.EIO, begun: map[*aio.Op]bool{}}
	for i := range n {
		b.files = append(b.files, &backFile{b: b, fd: i})
	}
	c.Age = clock.Nanos(-1)
	w, err := New(b, c)
	if err != nil {
		t.Fatal(err)
	}
	clock := int64(0)
	w.now = func() int64 { clock++; return clock }
	return b, w
}
