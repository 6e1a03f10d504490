package aio

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestOrder: which op waits for which, by what reaches the back end before
// anything is finished, and in what order the rest follows.
func TestOrder(t *testing.T) {
	r := func(off int64, n int) *Op { return rw(Read, 1, off, n, nil) }
	w := func(off int64, n int) *Op { return rw(Write, 1, off, n, nil) }
	k := func(kind Kind, off, n int64) *Op { return &Op{Kind: kind, Key: 1, Off: off, Len: n} }
	with := func(op *Op, f func(*Op)) *Op { f(op); return op }
	cp := func(key2 uint64, off2, off, n int64) *Op {
		return &Op{Kind: CopyRange, Key: 1, Key2: key2, Off2: off2, Off: off, Len: n}
	}
	appending := func(op *Op) { op.Flags = unix.RWF_APPEND }
	for _, c := range []struct {
		name string
		ops  []*Op
		at   []int // at once
	}{
		{"reads overlap", []*Op{r(0, 10), r(5, 10), r(0, 10)}, []int{0, 1, 2}},
		{"a write after a read", []*Op{r(0, 10), w(9, 1), w(10, 1)}, []int{0, 2}},
		{"a read after a write", []*Op{w(0, 10), r(9, 10), r(10, 5)}, []int{0, 2}},
		{"writes", []*Op{w(0, 10), w(5, 10), w(14, 2), w(20, 1)}, []int{0, 3}},
		{"a chain", []*Op{w(0, 10), w(5, 10), r(12, 1), w(12, 1)}, []int{0}},
		{"nothing overlaps nothing", []*Op{w(5, 0), w(0, 10), r(5, 0), w(20, 0)}, []int{0, 1, 2, 3}},
		{"another file", []*Op{w(0, 10), rw(Write, 2, 0, 10, nil)}, []int{0, 1}},
		{"fsync after writes", []*Op{w(0, 10), k(Fsync, 0, 0), w(100, 1), r(50, 1)}, []int{0, 2, 3}},
		{"fsync after reads", []*Op{r(0, 10), k(Fsync, 0, 0), k(Fdatasync, 0, 0), w(20, 1)}, []int{0, 1, 2, 3}},
		{"fdatasync after fallocate", []*Op{k(Fallocate, 0, 10), k(Fdatasync, 0, 0), r(10, 10)}, []int{0, 2}},
		{"fsync of another file", []*Op{w(0, 10), {Kind: Fsync, Key: 2}}, []int{0, 1}},
		{"fallocate", []*Op{k(Fallocate, 0, 10), w(9, 2), r(20, 1)}, []int{0, 2}},
		{"collapse", []*Op{with(k(Fallocate, 10, 10), func(op *Op) { op.Mode = unix.FALLOC_FL_COLLAPSE_RANGE }), r(100, 1), r(9, 1)}, []int{0, 2}},
		{"insert", []*Op{r(100, 1), with(k(Fallocate, 10, 10), func(op *Op) { op.Mode = unix.FALLOC_FL_INSERT_RANGE })}, []int{0}},
		{"append", []*Op{with(w(0, 10), appending), r(1000, 1), w(2000, 1)}, []int{0}},
		{"append after", []*Op{r(1000, 1), w(2000, 1), with(w(0, 10), appending)}, []int{0, 1}},
		{"copy to", []*Op{cp(2, 50, 0, 10), r(5, 1), rw(Read, 2, 50, 10, nil), r(50, 10)}, []int{0, 2, 3}},
		{"copy from", []*Op{cp(2, 50, 0, 10), rw(Write, 2, 59, 1, nil), rw(Write, 2, 60, 10, nil), {Kind: Fsync, Key: 2}}, []int{0, 2}},
		{"copy after", []*Op{rw(Write, 2, 55, 1, nil), cp(2, 50, 0, 10), k(Fsync, 0, 0)}, []int{0}},
		{"copy within", []*Op{cp(1, 50, 0, 10), w(55, 1), w(5, 1), r(55, 1), r(20, 1)}, []int{0, 4}},
		{"copy after both", []*Op{w(0, 1), w(50, 1), cp(1, 50, 0, 10), r(3, 1)}, []int{0, 1}},
	} {
		g, l := newGate(100), newLog()
		s := New(g, Config{MaxMerge: -1})
		for i, op := range c.ops {
			op.Priv, op.Done = i, l.add
			s.Submit(op)
		}
		g.mu.Lock()
		var at []int
		for _, u := range g.units {
			at = append(at, u.Priv.(int))
		}
		g.mu.Unlock()
		same := len(at) == len(c.at)
		for i := range at {
			same = same && at[i] == c.at[i]
		}
		if !same {
			t.Errorf("%s: %v at once, not %v", c.name, at, c.at)
		}
		for range c.ops {
			if g.count() == 0 {
				t.Fatalf("%s: stuck after %d of %d", c.name, l.len(), len(c.ops))
			}
			// The last first: dependents may not be early whatever the order is.
			g.mu.Lock()
			n := len(g.units) - 1
			u := g.units[n]
			g.units = g.units[:n]
			g.mu.Unlock()
			u.N = int(u.size())
			u.Finish()
		}
		pos := make([]int, len(c.ops))
		for i, op := range l.done {
			pos[op.Priv.(int)] = i
		}
		for i, a := range c.ops {
			for j := range i {
				if conflict(c.ops[j], a) && pos[j] > pos[i] {
					t.Errorf("%s: op %d before %d", c.name, i, j)
				}
			}
		}
		if st := s.Stats(); l.len() != len(c.ops) || st.Ops != 0 || st.Depth != 0 || st.InFlight != 0 {
			t.Errorf("%s: %d done; %+v", c.name, l.len(), st)
		}
		for i := range s.files.table {
			if s.files.table[i] != nil {
				t.Errorf("%s: a file is remembered", c.name)
			}
		}
		s.Close()
	}
}

// conflict says naively whether b, submitted after a, must follow it.
func conflict(a, b *Op) bool {
	type claim struct {
		key    uint64
		lo, hi int64
		write  bool
	}
	claims := func(op *Op) []claim {
		switch op.Kind {
		case Read:
			return []claim{{op.Key, op.Off, op.Off + int64(op.Vec.Len()), false}}
		case Write:
			if op.Flags&unix.RWF_APPEND != 0 {
				return []claim{{op.Key, 0, 1 << 62, true}}
			}
			return []claim{{op.Key, op.Off, op.Off + int64(op.Vec.Len()), true}}
		case Fallocate:
			if op.Mode&(unix.FALLOC_FL_COLLAPSE_RANGE|unix.FALLOC_FL_INSERT_RANGE) != 0 {
				return []claim{{op.Key, op.Off, 1 << 62, true}}
			}
			return []claim{{op.Key, op.Off, op.Off + op.Len, true}}
		case CopyRange:
			return []claim{{op.Key, op.Off, op.Off + op.Len, true}, {op.Key2, op.Off2, op.Off2 + op.Len, false}}
		}
		return nil
	}
	for _, x := range claims(a) {
		if (b.Kind == Fsync || b.Kind == Fdatasync) && x.write && x.key == b.Key {
			return true
		}
		for _, y := range claims(b) {
			if x.key == y.key && (x.write || y.write) && max(x.lo, y.lo) < min(x.hi, y.hi) {
				return true
			}
		}
	}
	return false
}

// TestInvalid: nonsense is EINVAL at once and reaches no back end.
func TestInvalid(t *testing.T) {
	g := newGate(1)
	s := New(g, Config{})
	const maxOff = 1<<63 - 1
	for i, op := range []*Op{
		{Kind: kinds}, {Off: -1}, {Kind: Fallocate, Len: -1}, {Kind: CopyRange, Off2: -1},
		{Kind: Fallocate, Off: maxOff, Len: 1}, {Kind: CopyRange, Off2: maxOff, Len: 1},
		rw(Write, 1, maxOff, 1, nil),
	} {
		n := 0
		op.Done = func(*Op) { n++ }
		if i%2 == 0 {
			s.Submit(op)
		} else if !s.TrySubmit(op) {
			t.Errorf("op %d: no", i)
		}
		if n != 1 || op.Err != unix.EINVAL || op.N != 0 {
			t.Errorf("op %d: done %d times, %d, %v", i, n, op.N, op.Err)
		}
	}
	if g.count() != 0 {
		t.Errorf("%d started", g.count())
	}
	s.Close()
}
