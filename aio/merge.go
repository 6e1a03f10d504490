package aio

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/sg"
)

const moves = unix.FALLOC_FL_COLLAPSE_RANGE | unix.FALLOC_FL_INSERT_RANGE

func (op *Op) appends() bool { return op.Flags&unix.RWF_APPEND != 0 }

// end is where a read or write ends.
func (op *Op) end() int64 { return op.holds[0].hi }

// mergeable reports whether op may share an op of the back end with others.
func (s *Scheduler) mergeable(op *Op) bool {
	return op.Kind <= Write && op.Flags&unix.RWF_APPEND == 0 &&
		op.bytes > 0 && op.bytes < s.maxMerge && inMemory(op)
}

// alike reports whether two ops that may be merged may be merged with each other.
func alike(a, b *Op) bool {
	return a.FD == b.FD && a.Flags == b.Flags && a.Waits == b.Waits
}

// sort puts op among its file's ops that may be merged. Sequential ones find
// their place at once.
func sortIn(op *Op) {
	top := &op.holds[0].file.sorted[op.Kind]
	var up *Op
	low := *top
	for low != nil && low.Off > op.Off {
		up, low = low, low.lower
	}
	op.lower, op.upper = low, up
	if low != nil {
		low.upper = op
	}
	if up != nil {
		up.lower = op
	} else {
		*top = op
	}
}

// sortOut takes op from among them. It does nothing to one that is not there.
func sortOut(op *Op) {
	top := &op.holds[0].file.sorted[op.Kind&1]
	if op.upper != nil {
		op.upper.lower = op.lower
	} else if *top == op {
		*top = op.lower
	} else {
		return
	}
	if op.lower != nil {
		op.lower.upper = op.upper
	}
	op.lower, op.upper = nil, nil
}

// below returns the op that ends where op begins, above the one that begins where
// it ends: of those that may be merged with it.
func below(op *Op) *Op {
	for l := op.lower; l != nil && l.end() >= op.Off; l = l.lower {
		if l.end() == op.Off && alike(l, op) {
			return l
		}
	}
	return nil
}

func above(op *Op) *Op {
	for u := op.upper; u != nil && u.Off <= op.end(); u = u.upper {
		if u.Off == op.end() && alike(u, op) {
			return u
		}
	}
	return nil
}

// gather makes a unit of op, just taken from those that are ready, and of its
// neighbours.
func (s *Scheduler) gather(op *Op) *Op {
	if !s.mergeable(op) {
		return op
	}
	bytes, segs := op.bytes, len(op.Vec.Segs())
	fits := func(o *Op) bool {
		return o != nil && bytes+o.bytes <= s.maxMerge && segs+len(o.Vec.Segs()) <= sg.MaxIovecs
	}
	first, last := op, op
	for l := below(first); fits(l); l = below(first) {
		l.chain = first
		first, bytes, segs = l, bytes+l.bytes, segs+len(l.Vec.Segs())
	}
	for u := above(last); fits(u); u = above(last) {
		last.chain = u
		last, bytes, segs = u, bytes+u.bytes, segs+len(u.Vec.Segs())
	}
	if first == last {
		sortOut(op)
		return op
	}
	c := s.carrier()
	c.Kind, c.FD, c.Off, c.Flags, c.Waits = op.Kind, op.FD, first.Off, op.Flags, op.Waits
	c.Key, c.Dev, c.bytes = op.Key, op.Dev, bytes
	c.holds[0].file = op.holds[0].file
	end := &c.parts
	for p := first; p != nil; {
		next := p.chain
		if p != op {
			s.dequeue(p)
			s.stats.Merged++
		}
		sortOut(p)
		_ = c.Vec.AppendVec(&p.Vec) // no longer than maxMerge
		p.unit, p.state, p.chain = c, running, nil
		*end, end = p, &p.next
		p = next
	}
	return c
}

// scatter gives the originals of a merged op their results, and has those it did
// not come to carried out alone.
func (s *Scheduler) scatter(c *Op) {
	n, atEOF := int64(c.N), c.Err == 0 && c.Kind == Read
	var again ops
	for p := c.parts; p != nil; {
		next := p.next
		p.unit, p.next = nil, nil
		switch {
		case n >= p.bytes || atEOF:
			p.N, p.Err = int(min(n, p.bytes)), 0
			s.end(p)
		case p.cancelled:
			p.N, p.Err = 0, unix.EINTR
			s.end(p)
		default:
			p.state = ready // but not sorted in: no neighbour finds it
			again.push(p)
			s.stats.Retried++
		}
		n = max(n-p.bytes, 0)
		p = next
	}
	for op := again.last; op != nil; op = again.last {
		again.remove(op)
		s.ready.pushFront(op)
	}
	c.parts = nil
	s.recycle(c)
}

// carrier returns an op to merge others in.
func (s *Scheduler) carrier() *Op {
	c := s.spare
	if c == nil {
		c = new(Op)
		c.sched = s
		return c
	}
	s.spare = c.next
	c.next = nil
	return c
}

func (s *Scheduler) recycle(c *Op) {
	c.Vec.Reset()
	c.N, c.Err, c.holds[0] = 0, 0, hold{}
	c.next = s.spare
	s.spare = c
}
