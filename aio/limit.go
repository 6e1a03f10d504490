package aio

// fits reports whether there is room for an op of that size.
func (s *Scheduler) fits(bytes int64) bool {
	return s.ops == 0 || s.ops < s.maxOps && s.bytes+bytes <= s.maxBytes
}

// waiters are the ops whose Submit waits, first come, first served. Whoever makes
// room admits them, so that none is overtaken; their Submits only learn of it.
type waiters struct {
	list ops
	free *ticket
}

// ticket is what a Submit looks at, as its op may be done, and another one, by the
// time it wakes.
type ticket struct {
	_    [0]func() // not comparable: no code for it
	in   bool
	next *ticket
}

func (w *waiters) empty() bool { return w.list.first == nil }

func (w *waiters) remove(op *Op) {
	w.list.remove(op)
	op.ticket.in = true
	op.ticket = nil
}

// await waits until op is let in, or cancelled. The lock is released meanwhile.
func (s *Scheduler) await(op *Op) {
	t := s.waiters.free
	if t == nil {
		t = new(ticket)
	} else {
		s.waiters.free = t.next
		*t = ticket{}
	}
	op.state, op.ticket = waiting, t
	s.waiters.list.push(op)
	s.stats.Waiting++
	for !t.in {
		s.cond.Wait()
	}
	s.stats.Waiting--
	t.next = s.waiters.free
	s.waiters.free = t
}

// admitWaiting lets in who waits and fits.
func (s *Scheduler) admitWaiting() {
	woken := false
	for op := s.waiters.list.first; op != nil && s.fits(op.bytes); op = s.waiters.list.first {
		s.waiters.remove(op)
		s.admit(op)
		woken = true
	}
	if woken {
		s.cond.Broadcast()
	}
}
