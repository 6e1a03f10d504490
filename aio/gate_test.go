package aio

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/sg"
)

// gate is a back end that finishes what a test says when it says so.
type gate struct {
	mu        sync.Mutex
	arrived   sync.Cond
	units     []*Op // started, not finished
	started   int
	cancelled []*Op
	depth     int
	closed    int
}

func newGate(depth int) *gate {
	g := &gate{depth: depth}
	g.arrived.L = &g.mu
	return g
}

func (g *gate) Start(op *Op) bool {
	g.mu.Lock()
	g.units = append(g.units, op)
	g.started++
	g.arrived.Broadcast()
	g.mu.Unlock()
	return false
}

func (g *gate) Cancel(op *Op) {
	g.mu.Lock()
	g.cancelled = append(g.cancelled, op)
	g.mu.Unlock()
}

func (g *gate) Depth() int { return g.depth }

func (g *gate) Close() error {
	g.closed++
	return nil
}

// count is how many units are here.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.units)
}

// next takes the unit that came first, waiting for one.
func (g *gate) next() *Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.units) == 0 {
		g.arrived.Wait()
	}
	op := g.units[0]
	g.units = g.units[1:]
	return op
}

// pass finishes the unit that came first, all of it.
func (g *gate) pass() {
	op := g.next()
	op.N, op.Err = int(op.size()), 0
	op.Finish()
}

// log collects what is done.
type log struct {
	mu   sync.Mutex
	done []*Op
	cond sync.Cond
}

func newLog() *log {
	l := new(log)
	l.cond.L = &l.mu
	return l
}

func (l *log) add(op *Op) {
	l.mu.Lock()
	l.done = append(l.done, op)
	l.cond.Broadcast()
	l.mu.Unlock()
}

func (l *log) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.done)
}

func (l *log) at(i int) *Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done[i]
}

func (l *log) wait(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.done) < n {
		l.cond.Wait()
	}
}

// rw makes a read or write of n bytes.
func rw(k Kind, key uint64, off int64, n int, done func(*Op)) *Op {
	op := &Op{Kind: k, Key: key, FD: int(key), Off: off, Done: done}
	if n > 0 {
		_ = op.Vec.AppendMem(make([]byte, n))
	}
	return op
}

// soon fails the test if f does not become true.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// TestLone: a request that is alone is with the back end before Submit returns,
// whatever may be gathered; so is each that does not continue another one, and
// each that is of another file.
func TestLone(t *testing.T) {
	g, l := newGate(100), newLog()
	s := New(g, Config{Gather: time.Hour})
	for i := range 10 {
		s.Submit(rw(Write, 1, int64(i)*1000, 100, l.add)) // gaps
		if g.count() != i+1 {
			t.Fatalf("op %d: %d with the back end", i, g.count())
		}
	}
	for i := range 10 {
		s.Submit(rw(Read, uint64(2+i), 100, 100, l.add))
		if g.count() != i+11 {
			t.Fatalf("op %d: %d with the back end", i, g.count())
		}
	}
	for range 20 {
		g.pass()
	}
	// One after the other, each continues its predecessor, which is gone.
	for i := range 10 {
		s.Submit(rw(Write, 1, int64(i)*100, 100, l.add))
		if g.count() != 1 {
			t.Fatalf("sequential op %d: %d with the back end", i, g.count())
		}
		g.pass()
	}
	if l.len() != 30 {
		t.Errorf("%d done", l.len())
	}
	if err := s.Close(); err != nil || g.closed != 1 {
		t.Error(err, g.closed)
	}
}

// TestMerge: 4 at a time, 64 sequential ones in flight, as many again for each
// that is done: calls, not time, are counted. Reads and writes, up, down and
// shuffled.
func TestMerge(t *testing.T) {
	const block, total, deep = 4096, 2048, 64
	for _, kind := range []Kind{Read, Write} {
		for name, place := range map[string]func(int) int{
			"up":       func(i int) int { return i },
			"down":     func(i int) int { return total - 1 - i },
			"shuffled": func(i int) int { return i&^7 | (i*5+3)&7 },
		} {
			g := newGate(4)
			l := newLog()
			s := New(g, Config{})
			next := 0
			submit := func() {
				if next < total {
					next++
					s.Submit(rw(kind, 7, int64(place(next-1))*block, block, l.add))
				}
			}
			for range deep {
				submit()
			}
			for done := 0; done < total; {
				g.pass()
				for ; done < l.len(); done++ {
					submit()
				}
			}
			for _, op := range l.done {
				if op.N != block || op.Err != 0 {
					t.Fatalf("%s: N %d Err %v", name, op.N, op.Err)
				}
			}
			st := s.Stats()
			if g.started > total/8 || st.Started != uint64(g.started) || st.Merged != uint64(total-g.started) {
				t.Errorf("%v %s: %d calls for %d ops; %+v", kind, name, g.started, total, st)
			}
			s.Close()
		}
	}
}

// TestMergeLimits: what must not be one call is not.
func TestMergeLimits(t *testing.T) {
	g, l := newGate(1), newLog()
	s := New(g, Config{MaxMerge: 1000})
	s.Submit(rw(Write, 9, 1<<20, 1, l.add)) // keeps the back end busy
	add := func(f func(*Op)) {
		op := rw(Write, 1, 0, 100, l.add)
		f(op)
		s.Submit(op)
	}
	var want []int64 // sizes of the calls
	for i := range 15 {
		add(func(op *Op) { op.Off = int64(i) * 100 })
	}
	want = append(want, 1000, 500)
	add(func(op *Op) { op.Off, op.FD = 1500, 55 })                               // another descriptor
	add(func(op *Op) { op.Off, op.FD, op.Flags = 1600, 55, unix.RWF_DSYNC })     // other flags
	add(func(op *Op) { op.Off, op.FD, op.Waits = 1700, 55, true })               // another kind of open
	add(func(op *Op) { op.Off, op.Kind = 1800, Read })                           // another kind
	add(func(op *Op) { op.Off, op.Key = 1900, 2 })                               // another file
	add(func(op *Op) { op.Off = 2100 })                                          // a gap
	add(func(op *Op) { op.Off = 2200; op.Vec.Reset() })                          // nothing
	add(func(op *Op) { op.Off, op.Kind = 2200, Read; op.Vec.Reset() })           // nothing
	add(func(op *Op) { op.Off = 2300; _ = op.Vec.AppendMem(make([]byte, 900)) }) // large enough alone
	add(func(op *Op) { op.Off = 3300; op.Vec.Reset(); _ = op.Vec.AppendFile(3, 0, 100) })
	want = append(want, 100, 100, 100, 100, 100, 100, 0, 0, 1000, 100)
	g.pass()
	for i, n := range want {
		u := g.next()
		if u.size() != n {
			t.Errorf("call %d: %d bytes, not %d", i, u.size(), n)
		}
		u.N = int(n)
		u.Finish()
	}
	if g.count() != 0 || l.len() != 26 {
		t.Errorf("%d left, %d done", g.count(), l.len())
	}
	// Not more segments than a call takes.
	s.Submit(rw(Write, 9, 0, 1, l.add))
	for i := range 3 {
		op := &Op{Kind: Write, Off: int64(i) * 300, Done: l.add}
		for range 300 {
			_ = op.Vec.AppendMem(make([]byte, 1))
		}
		s.Submit(op)
	}
	op := &Op{Kind: Write, Off: 900, Done: l.add}
	for range 125 {
		_ = op.Vec.AppendMem(make([]byte, 1))
	}
	_ = op.Vec.Split(90, new(sg.Vec))
	s.Submit(op)
	g.pass()
	if u := g.next(); u.size() != 990 || len(u.Vec.Segs()) != 990 {
		t.Errorf("%d bytes, %d segments", u.size(), len(u.Vec.Segs()))
	} else {
		u.N = 990
		u.Finish()
	}
	s.Close()
	// Unwanted, there is no merging.
	g, l = newGate(1), newLog()
	s = New(g, Config{MaxMerge: -1})
	for i := range 5 {
		s.Submit(rw(Write, 1, int64(i), 1, l.add))
	}
	for range 5 {
		g.pass()
	}
	if l.len() != 5 || g.started != 5 {
		t.Errorf("%d done by %d calls", l.len(), g.started)
	}
	s.Close()
}
