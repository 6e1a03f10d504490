package aio

import "github.com/fusewire/fusewire/sg/unix"

// work is what is left to do when the lock has been released.
type work struct{ start, done *Op }

// dispatch takes from what is ready as much as the back end has room for, and
// what has ended meanwhile.
func (s *Scheduler) dispatch() (w work) {
	end := &w.start
	for s.running < s.depth {
		op := s.ready.pop()
		if op == nil {
			break
		}
		u := s.gather(op)
		u.state, u.next = running, nil
		s.running++
		u.holds[0].file.running++
		s.stats.Started++
		s.stats.PeakDepth = max(s.stats.PeakDepth, s.running)
		*end, end = u, &u.next
	}
	w.done, s.ended, s.endedLast = s.ended, nil, nil
	return w
}

// perform starts and completes what dispatch returned, and what comes of it.
func (s *Scheduler) perform(w work) {
	for {
		s.completeAll(w.done)
		w.done = nil
		u := w.start
		if u == nil {
			return
		}
		w.start, u.next = u.next, nil
		if !s.backend.Start(u) {
			continue
		}
		// Carried out already. Others may have become ready, and go behind.
		s.mu.Lock()
		s.finish(u)
		more := s.dispatch()
		s.mu.Unlock()
		w.done = more.done
		w.start = join(w.start, more.start)
	}
}

func join(a, b *Op) *Op {
	if a == nil {
		return b
	}
	last := a
	for last.next != nil {
		last = last.next
	}
	last.next = b
	return a
}

func (s *Scheduler) completeAll(op *Op) {
	var n int64
	for op != nil {
		next := op.next
		op.next = nil
		op.complete() // after which op may be another one
		op = next
		n++
	}
	// Who drains says so before looking at live, so one of the two sees the other.
	if n > 0 && s.live.Add(-n) == 0 && s.draining.Load() > 0 {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	}
}

// Finish tells the scheduler that a back end has carried op out, see Backend.
func (op *Op) Finish() { op.sched.carriedOut(op) }

func (s *Scheduler) carriedOut(op *Op) {
	s.mu.Lock()
	s.finish(op)
	w := s.dispatch()
	s.mu.Unlock()
	s.perform(w)
}

// finish is the end of a unit.
func (s *Scheduler) finish(u *Op) {
	s.running--
	f := u.holds[0].file
	f.running--
	if f.held.first != nil {
		s.unholdAll(f)
	}
	if u.parts != nil {
		s.scatter(u)
		return
	}
	if u.cancelled && u.Err == unix.ECANCELED {
		u.Err = unix.EINTR
	}
	s.end(u)
}

// end is the end of an original op.
func (s *Scheduler) end(op *Op) {
	op.state = idle
	if op.Kind == CopyRange {
		s.shard(op.Key2).slow(-1)
		s.unlink(&op.holds[1])
	}
	s.shard(op.Key).slow(-1)
	s.unlink(&op.holds[0])
	s.ops--
	s.bytes -= op.bytes
	s.stats.count(op, s.now()-op.begin)
	s.finished(op)
	s.admitWaiting()
}

// finished has Done called once the lock is released.
func (s *Scheduler) finished(op *Op) {
	op.next = nil
	if s.ended == nil {
		s.ended = op
	} else {
		s.endedLast.next = op
	}
	s.endedLast = op
}
