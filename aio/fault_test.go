package aio

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// seed is FUSEWIRE_SEED, or another one each time; a failing test prints it.
func seed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("FUSEWIRE_SEED"), 10, 64)
	if err != nil {
		n = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FUSEWIRE_SEED=%d", n)
		}
	})
	return n
}

// long is how many times a test's default size is wanted.
func long() int {
	n, err := strconv.Atoi(os.Getenv("FUSEWIRE_LONG"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// disk is a store with faults: reading or writing a byte that is bad fails, and
// ends what went well before it, as a system call would.
type disk struct {
	mu    sync.Mutex
	data  []byte // its length is the end of the file for reads
	bad   map[int64]unix.Errno
	stall map[int64]bool // ends without an error, once
	calls int
}

func (d *disk) do(op *Op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	op.N, op.Err = 0, 0
	for _, seg := range op.Vec.Segs() {
		for i := range seg.Mem {
			at := op.Off + int64(op.N)
			if e := d.bad[at]; e != 0 {
				op.Err = e
				return
			}
			if d.stall[at] && op.Kind == Write {
				delete(d.stall, at)
				return
			}
			if at >= int64(len(d.data)) {
				if op.Kind == Write {
					op.Err = unix.ENOSPC
				}
				return
			}
			if op.Kind == Write {
				d.data[at] = seg.Mem[i]
			} else {
				seg.Mem[i] = d.data[at]
			}
			op.N++
		}
	}
}

// TestFaults: merged reads and writes over bad bytes, the end of the file, a full
// disk, and calls that end early without a reason: each op has the result it has
// alone, and the contents are as if each had been.
func TestFaults(t *testing.T) {
	rnd := rand.New(rand.NewPCG(seed(t), 1))
	for range 300 * long() {
		size := 500 + rnd.IntN(2000)
		d := &disk{data: make([]byte, size), bad: map[int64]unix.Errno{}, stall: map[int64]bool{}}
		for range rnd.IntN(4) {
			d.bad[rnd.Int64N(int64(size))] = []unix.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT}[rnd.IntN(3)]
		}
		if len(d.bad) == 0 { // else it may come to an op that is alone, and be its result
			d.stall[rnd.Int64N(int64(size))] = true
		}
		for i := range d.data {
			d.data[i] = byte(rnd.Uint32())
		}
		alone := &disk{data: bytes.Clone(d.data), bad: d.bad}

		g, l := newGate(1), newLog()
		s := New(g, Config{})
		s.Submit(&Op{Kind: Fsync, Key: 99, Done: l.add})
		kind := Kind(rnd.IntN(2))
		var got, want []*Op
		for off := int64(rnd.IntN(100)); off < 2000; {
			n := 1 + rnd.IntN(200)
			op, ref := rw(kind, 1, off, n, l.add), rw(kind, 1, off, n, nil)
			if kind == Write {
				for i := range n {
					op.Vec.Segs()[0].Mem[i] = byte(rnd.Uint32())
				}
				copy(ref.Vec.Segs()[0].Mem, op.Vec.Segs()[0].Mem)
			}
			got, want = append(got, op), append(want, ref)
			off += int64(n)
		}
		for _, i := range rnd.Perm(len(got)) {
			s.Submit(got[i])
		}
		g.pass()
		for l.len() <= len(got) {
			u := g.next()
			d.do(u)
			u.Finish()
		}
		for i, ref := range want {
			alone.do(ref)
			if got[i].Err != ref.Err || got[i].N != ref.N {
				t.Fatalf("op %d of %d at %d+%d: %d, %v; alone %d, %v", i, len(got), ref.Off, ref.Vec.Len(), got[i].N, got[i].Err, ref.N, ref.Err)
			}
			if a, b := got[i].Vec.Segs()[0].Mem[:ref.N], ref.Vec.Segs()[0].Mem[:ref.N]; !bytes.Equal(a, b) {
				t.Fatalf("op %d at %d: read something else", i, ref.Off)
			}
		}
		if !bytes.Equal(d.data, alone.data) {
			t.Fatal("the contents differ")
		}
		if st := s.Stats(); st.Merged == 0 && len(got) > 1 {
			t.Fatalf("nothing was merged: %+v", st)
		}
		s.Close()
	}
}

// TestFaultExample is the one of the package's comment, spelled out: a merged
// write of A, B and C on which the disk is bad in B.
func TestFaultExample(t *testing.T) {
	for _, c := range []struct {
		bad  int64
		n    int
		errs unix.Errno
	}{{100, 0, unix.EIO}, {150, 50, unix.EIO}} {
		d := &disk{data: make([]byte, 1000), bad: map[int64]unix.Errno{c.bad: unix.EIO}}
		g, l := newGate(1), newLog()
		s := New(g, Config{})
		s.Submit(&Op{Kind: Fsync, Key: 99, Done: l.add})
		var p [3]*Op
		for i := range p {
			p[i] = rw(Write, 1, int64(i)*100, 100, l.add)
			s.Submit(p[i])
		}
		s.Submit(&Op{Kind: Fsync, Key: 98, Done: l.add})
		g.pass()
		for l.len() < 5 {
			u := g.next()
			d.do(u)
			u.Finish()
		}
		if l.at(2) != p[1] || l.at(3) != p[2] {
			t.Error("B and C were overtaken by what came later")
		}
		if p[0].N != 100 || p[0].Err != 0 || p[1].N != c.n || p[1].Err != c.errs || p[2].N != 100 || p[2].Err != 0 {
			t.Errorf("A %d %v, B %d %v, C %d %v", p[0].N, p[0].Err, p[1].N, p[1].Err, p[2].N, p[2].Err)
		}
		if st := s.Stats(); d.calls != 4 || st.Retried != 2 || st.Failed != 1 || st.Merged != 2 {
			t.Errorf("%d calls; %+v", d.calls, st)
		}
		s.Close()
	}
}
