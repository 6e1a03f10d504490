package aio

import "github.com/fusewire/fusewire/sg/clock"

// hold keeps op, which continues one that is under way, for more of its kind.
func (s *Scheduler) hold(op *Op) {
	f := op.holds[0].file
	op.state = held
	f.held.push(op)
	f.heldBytes += op.bytes
	if f.held.first != op {
		if f.heldBytes >= s.maxMerge {
			s.unholdAll(f)
		}
		return
	}
	f.heldSince = s.now()
	f.heldPrev, f.heldNext = s.heldLast, nil
	if s.heldLast != nil {
		s.heldLast.heldNext = f
	} else {
		s.heldBy = f
	}
	s.heldLast = f
	s.arm()
}

// unhold takes op from those of its file that are held.
func (s *Scheduler) unhold(op *Op) {
	f := op.holds[0].file
	f.held.remove(op)
	f.heldBytes -= op.bytes
	if f.held.first != nil {
		return
	}
	if f.heldPrev != nil {
		f.heldPrev.heldNext = f.heldNext
	} else {
		s.heldBy = f.heldNext
	}
	if f.heldNext != nil {
		f.heldNext.heldPrev = f.heldPrev
	} else {
		s.heldLast = f.heldPrev
	}
	f.heldPrev, f.heldNext = nil, nil
}

// unholdAll makes ready what is held of f.
func (s *Scheduler) unholdAll(f *file) {
	for op := f.held.first; op != nil; op = f.held.first {
		s.unhold(op)
		op.state = ready
		s.ready.push(op)
	}
}

// arm sees to it that nothing is held for longer than it may be.
func (s *Scheduler) arm() {
	if s.timing || s.heldBy == nil {
		return
	}
	s.timing = true
	left := clock.Until(s.heldBy.heldSince + s.wait)
	if s.alarm == nil {
		s.alarm = clock.AfterFunc(left, s.expire)
	} else {
		s.alarm.Reset(left)
	}
}

// expire is what the timer does.
func (s *Scheduler) expire() {
	s.mu.Lock()
	s.timing = false
	for now := s.now(); s.heldBy != nil && s.heldBy.heldSince+s.wait <= now; {
		s.stats.Expired++
		s.unholdAll(s.heldBy)
	}
	s.arm()
	w := s.dispatch()
	s.mu.Unlock()
	s.perform(w)
}
