package aio

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestBackPressure: many more submitters than MaxOps: the limit is reached, never
// passed, TrySubmit says no, and everybody gets in, in turn.
func TestBackPressure(t *testing.T) {
	const limit, submitters = 8, 40
	g, l := newGate(4), newLog()
	s := New(g, Config{MaxOps: limit, MaxMerge: -1})
	var returned atomic.Int32
	for i := range submitters {
		go func() {
			s.Submit(rw(Write, uint64(i), 0, 10, l.add))
			returned.Add(1)
		}()
	}
	soon(t, "the limit", func() bool { return s.Stats().Waiting == submitters-limit })
	if n := returned.Load(); n > limit {
		t.Errorf("%d Submits have returned", n)
	}
	st := s.Stats()
	if st.Ops != limit || st.Depth != 4 || st.InFlight != limit*10 || st.Waited != submitters-limit {
		t.Errorf("%+v", st)
	}
	op := rw(Read, 1, 0, 1, l.add)
	if s.TrySubmit(op) {
		t.Error("TrySubmit was let in")
	}
	for range submitters {
		g.pass()
		if st := s.Stats(); st.Ops > limit || st.Depth > 4 {
			t.Fatalf("%+v", st)
		}
	}
	l.wait(submitters)
	soon(t, "all returned", func() bool { return returned.Load() == submitters })
	if !s.TrySubmit(op) {
		t.Error("TrySubmit was not let in")
	}
	g.pass()
	l.wait(submitters + 1)
	if st := s.Stats(); st.PeakOps != limit || st.PeakDepth != 4 || st.PeakBytes != limit*10 || st.Done != submitters+1 {
		t.Errorf("%+v", st)
	}
	s.Close()
}

// TestBytes: the limit on bytes; a single op is let in whatever its size, a large
// one that waits is not overtaken by small ones, and can be cancelled, which lets
// them in.
func TestBytes(t *testing.T) {
	g, l := newGate(10), newLog()
	s := New(g, Config{MaxBytes: 1000})
	s.Submit(rw(Write, 1, 0, 5000, l.add))
	small := rw(Write, 2, 0, 1, l.add)
	if s.TrySubmit(small) {
		t.Fatal("let in beside one that fills it all")
	}
	g.pass()
	s.Submit(rw(Write, 1, 0, 600, l.add))
	large := rw(Write, 3, 0, 500, l.add)
	var wg sync.WaitGroup
	submit := func(op *Op, waiting int) {
		wg.Go(func() { s.Submit(op) })
		soon(t, "waiting", func() bool { return s.Stats().Waiting == waiting })
	}
	submit(large, 1)
	submit(small, 2)
	if g.count() != 1 {
		t.Fatalf("%d with the back end", g.count())
	}
	if !s.Cancel(large) || large.Err != unix.EINTR || large.N != 0 {
		t.Errorf("cancelled while waiting: %v", large.Err)
	}
	wg.Wait()
	if g.count() != 2 {
		t.Errorf("%d with the back end", g.count())
	}
	g.pass()
	g.pass()
	l.wait(4)
	if st := s.Stats(); st.Cancelled != 1 || st.Done != 4 || st.Submitted != 4 || st.Failed != 1 || st.Bytes != 5601 || st.PeakBytes != 5000 {
		t.Errorf("%+v", st)
	}
	s.Close()
}

// TestGather: what continues an op that is with the back end waits for it, not
// longer than it may, nor for more than one call may carry.
func TestGather(t *testing.T) {
	g, l := newGate(10), newLog()
	s := New(g, Config{Gather: time.Hour, MaxMerge: 1000})
	next := int64(0)
	seq := func() *Op {
		op := rw(Write, 1, next, 100, l.add)
		next += 100
		s.Submit(op)
		return op
	}
	seq()
	for range 5 {
		seq()
	}
	s.Submit(rw(Write, 1, 5000, 100, l.add)) // random: at once
	s.Submit(rw(Write, 2, 0, 100, l.add))    // another file's: at once
	if g.count() != 3 {
		t.Fatalf("%d calls", g.count())
	}
	next = 5100
	op := seq()
	if !s.Cancel(op) || op.Err != unix.EINTR {
		t.Fatal("not cancelled while held")
	}
	g.pass() // and the five go, as one
	if g.count() != 3 {
		t.Fatalf("%d calls", g.count())
	}
	g.pass()
	g.pass()
	if u := g.next(); u.size() != 500 {
		t.Errorf("%d bytes", u.size())
	} else {
		u.N = 500
		u.Finish()
	}
	// As much as one call carries goes at once.
	next = 0
	seq()
	for range 9 {
		seq()
	}
	if g.count() != 1 {
		t.Errorf("%d calls", g.count())
	}
	seq()
	if g.count() != 2 {
		t.Errorf("%d calls though there is enough for one", g.count())
	}
	// Drain does not wait for more.
	seq()
	if g.count() != 2 {
		t.Errorf("%d calls", g.count())
	}
	drained := make(chan bool)
	go func() { s.Drain(); close(drained) }()
	soon(t, "released by Drain", func() bool { return g.count() == 3 })
	for range 3 {
		g.pass()
	}
	<-drained
	s.Close()
	if st := s.Stats(); st.Expired != 0 {
		t.Errorf("%+v", st)
	}

	// The time runs out.
	g = newGate(10)
	s = New(g, Config{Gather: time.Millisecond})
	next = 0
	seq()
	seq()
	seq()
	soon(t, "expired", func() bool { return g.count() == 2 })
	g.pass()
	g.pass()
	soon(t, "counted", func() bool { return s.Stats().Expired == 1 })
	s.Close()
}

// TestDrainClose: with submitters at work, Close returns when all is done, each op
// has ended once, and those that came too late with ECANCELED; Done never comes
// after Close has returned, but for them.
func TestDrainClose(t *testing.T) {
	for _, try := range []bool{false, true} {
		for range 20 {
			w := NewWorkersFunc(3, func(op *Op) { op.N, op.Err = op.Vec.Len(), 0 })
			s := New(w, Config{MaxOps: 5, Try: try})
			var good, late, after atomic.Int32
			var closed atomic.Bool
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					for j := range 200 {
						op := rw(Write, uint64(i%2), int64(j), 10, func(op *Op) {
							switch {
							case op.Err == unix.ECANCELED:
								late.Add(1)
							case op.Err != 0 && op.Err != unix.EBADF || op.Err == 0 && op.N != 10:
								t.Errorf("%d, %v", op.N, op.Err)
							case closed.Load():
								after.Add(1)
							default:
								good.Add(1)
							}
						})
						op.FD = -1
						s.Submit(op)
					}
				})
			}
			wg.Go(s.Drain)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			closed.Store(true)
			wg.Go(func() { s.Close() })
			wg.Wait()
			if n := good.Load() + late.Load(); n != 800 || after.Load() != 0 {
				t.Fatalf("%d done, %d too late, %d after Close", good.Load(), late.Load(), after.Load())
			}
			if w.n != 0 {
				t.Fatalf("%d threads left", w.n)
			}
		}
	}
}
