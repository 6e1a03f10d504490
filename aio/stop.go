package aio

import "github.com/fusewire/fusewire/sg/unix"

// Cancel is Engine's.
func (s *Scheduler) Cancel(op *Op) bool {
	s.mu.Lock()
	switch op.state {
	case waiting:
		s.waiters.remove(op)
		s.cond.Broadcast()
		op.state, op.Err = idle, unix.EINTR
		s.stats.count(op, s.now()-op.begin)
		s.finished(op)
		s.admitWaiting() // it may have been too large, and others are not
	case blocked, held, ready:
		s.dequeue(op)
		sortOut(op)
		op.Err = unix.EINTR
		s.end(op)
	case running:
		op.cancelled = true
		if op.unit == nil {
			s.backend.Cancel(op)
		}
		s.mu.Unlock()
		return false
	default:
		s.mu.Unlock()
		return false
	}
	s.stats.Cancelled++
	w := s.dispatch()
	s.mu.Unlock()
	s.perform(w)
	return true
}

// Drain is Engine's. It also ends the waiting for neighbours.
func (s *Scheduler) Drain() {
	s.mu.Lock()
	s.drain()
	s.mu.Unlock()
	for i := range s.shards {
		s.shards[i].drain()
	}
}

func (s *Scheduler) drain() {
	s.draining.Add(1)
	for s.heldBy != nil {
		s.unholdAll(s.heldBy)
	}
	w := s.dispatch()
	s.mu.Unlock()
	s.perform(w)
	s.mu.Lock()
	for s.live.Load() > 0 {
		s.cond.Wait()
	}
	s.draining.Add(-1)
}

// Close is Engine's.
func (s *Scheduler) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	for i := range s.shards {
		s.shards[i].close()
	}
	s.Drain()
	if !first {
		return nil
	}
	return s.backend.Close()
}
