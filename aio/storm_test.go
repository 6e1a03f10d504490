package aio

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCancelStorm: submitters, and for each one that cancels at random moments;
// every op ends once, as itself, and a write that was cancelled in time did not
// happen.
func TestCancelStorm(t *testing.T) {
	n, all := seed(t), int32(0)
	for _, c := range []Config{{Depth: 1}, {MaxOps: 4}, {Gather: 50 * time.Microsecond, Depth: 3}} {
		var ran sync.Map // by op
		w := NewWorkersFunc(3, func(op *Op) {
			if op.parts == nil {
				ran.Store(op, true)
			} else {
				for p := op.parts; p != nil; p = p.next {
					ran.Store(p, true)
				}
			}
			op.N, op.Err = op.Vec.Len(), 0
		})
		s := New(w, c)
		var wg sync.WaitGroup
		var cancelled, done atomic.Int32
		const each = 1000
		for who := range 3 {
			rnd := rand.New(rand.NewPCG(n, uint64(who)))
			victims := make(chan *Op, 8)
			wg.Go(func() {
				defer close(victims)
				for i := range each {
					ended := new(atomic.Int32)
					op := rw(Kind(rnd.IntN(2)), 1, int64(i)*10, 10+rnd.IntN(2)*5, func(op *Op) {
						if ended.Add(1) != 1 {
							t.Error("done twice")
						}
						done.Add(1)
						_, did := ran.Load(op)
						switch {
						case op.Err == unix.EINTR && !did:
							cancelled.Add(1)
						case op.Err == 0 && did && op.N == op.Vec.Len():
						default:
							t.Errorf("%d, %v, carried out: %v", op.N, op.Err, did)
						}
					})
					victims <- op // perhaps cancelled before it is submitted
					s.Submit(op)
				}
			})
			wg.Go(func() {
				for op := range victims {
					if rand.IntN(3) > 0 {
						runtime.Gosched()
					}
					s.Cancel(op)
				}
			})
		}
		wg.Wait()
		s.Drain()
		st := s.Stats()
		if done.Load() != 3*each || st.Cancelled != uint64(cancelled.Load()) || st.Done != 3*each {
			t.Errorf("%+v: %d done, %d cancelled; %+v", c, done.Load(), cancelled.Load(), st)
		}
		all += cancelled.Load()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if all == 0 { // of any configuration: where one op is in service at a time it may come late
		t.Error("nothing was cancelled")
	}
}

// TestStormEverywhere: the same on all engines, with a file: every op ends once,
// all of it done or with EINTR.
func TestStormEverywhere(t *testing.T) {
	n := seed(t)
	engines(t, func(name string, s *Scheduler) {
		fd := open(t, t.TempDir(), 0, make([]byte, 1<<16))
		var wg sync.WaitGroup
		var done atomic.Int32
		for who := range 3 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(n, uint64(who)))
				var last *Op
				for range 100 {
					ended := new(atomic.Int32)
					op := rw(Kind(rnd.IntN(5)), 1, rnd.Int64N(1<<15), 1+rnd.IntN(5000), func(op *Op) {
						done.Add(1)
						switch n := op.Vec.Len(); {
						case ended.Add(1) != 1:
							t.Errorf("%s: done twice", name)
						case op.Err == unix.EINTR:
						case op.Err != 0 || op.Kind <= Write && op.N != n:
							t.Errorf("%s: kind %d: %d of %d, %v", name, op.Kind, op.N, n, op.Err)
						}
					})
					op.FD, op.Len = fd, 100
					if rnd.IntN(3) > 0 && last != nil {
						op.Off = last.Off + int64(last.Vec.Len())
						if op.Off > 1<<15 {
							op.Off = 0
						}
					}
					s.Submit(op)
					if rnd.IntN(2) == 0 && last != nil {
						s.Cancel(last)
					}
					last = op
				}
			})
		}
		wg.Wait()
		s.Drain()
		if st := s.Stats(); done.Load() != 300 || st.Done+st.Inline != 300 {
			t.Errorf("%s: %d done; %+v", name, done.Load(), st)
		}
	})
}

// TestCancelStates: an op can be cancelled in each state it waits in, which ends
// it at once and lets on those that wait for it; a running one is the back end's
// business, and a part of a merged one goes on.
func TestCancelStates(t *testing.T) {
	g, l := newGate(1), newLog()
	s := New(g, Config{})
	add := func(op *Op) { l.add(op) }
	first := rw(Write, 1, 0, 100, add)
	behind := rw(Write, 1, 50, 100, l.add)
	third := rw(Read, 1, 140, 10, l.add)
	other := rw(Read, 2, 0, 10, add)
	next := rw(Read, 2, 10, 10, add)
	for _, op := range []*Op{first, behind, third, other, next} {
		s.Submit(op)
	}
	if s.Cancel(first) || len(g.cancelled) != 1 || g.cancelled[0] != first {
		t.Error("a running op", g.cancelled)
	}
	if !s.Cancel(behind) || behind.Err != unix.EINTR || l.len() != 1 {
		t.Error("a blocked op", behind.Err)
	}
	if s.Cancel(behind) {
		t.Error("twice")
	}
	u := g.next()
	u.Err = unix.ECANCELED // the back end has obliged
	u.Finish()
	if first.Err != unix.EINTR {
		t.Error(first.Err)
	}
	// other and next are one unit now; third was behind them or before.
	for l.len() < 5 {
		u := g.next()
		if u.parts != nil {
			if s.Cancel(other) || len(g.cancelled) != 1 {
				t.Error("a part of a merged op")
			}
		}
		u.N, u.Err = int(u.size()), 0
		u.Finish()
	}
	if third.Err != 0 || other.Err != 0 || next.Err != 0 || other.N != 10 {
		t.Error(third.Err, other.Err, next.Err)
	}
	if g.started != 3 {
		t.Errorf("%d calls", g.started)
	}
	if s.Cancel(new(Op)) {
		t.Error("an op that was never submitted")
	}
	s.Close()

	// A part of a merged op that fails: it is not begun again for nobody.
	g, l = newGate(1), newLog()
	s = New(g, Config{})
	s.Submit(first)
	s.Submit(other)
	s.Submit(next)
	g.pass()
	s.Cancel(next)
	u = g.next()
	u.N, u.Err = 0, unix.EIO
	u.Finish()
	if next.Err != unix.EINTR || g.count() != 1 {
		t.Errorf("%v; %d calls", next.Err, g.count())
	}
	g.pass()
	if other.Err != 0 || other.N != 10 || g.started != 3 {
		t.Errorf("%d, %v; %d calls", other.N, other.Err, g.started)
	}
	s.Close()
}
