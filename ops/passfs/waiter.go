package passfs

import (
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
)

// waiter is a SETLKW that waits. Its fields are guarded by s.mu.
type waiter struct {
	_ [0]func() // not comparable: no code for it
	lockReq
	r *ops.Request
	s *lockSet

	queued      bool
	polled      bool // somebody outside is in the way
	interrupted bool // before it was queued
	err         error
}

// end takes w out of the queue, to be answered with err: the caller finishes
// the list returned after unlocking.
func (s *lockSet) end(w *waiter, err error, done []*waiter) []*waiter {
	if w.queued {
		for n, x := range s.queue {
			if x == w {
				s.queue = append(s.queue[:n], s.queue[n+1:]...)
				break
			}
		}
		w.queued = false
	}
	s.t.graph.leave(&w.lockReq)
	w.err = err
	return append(done, w)
}

// retry tries the waiters in the order they came, until none gets anywhere:
// one that turns its write lock into a read lock makes room for an earlier
// one. only, if not nil, is the one to try (the newcomer: nothing was freed).
// s.mu is held.
func (s *lockSet) retry(fs *FS, only *waiter) (done []*waiter) {
	for again := true; again && len(s.queue) > 0; {
		again = false
		for n := 0; n < len(s.queue); {
			w := s.queue[n]
			if only != nil && w != only {
				n++
				continue
			}
			err := s.try(fs, &w.lockReq)
			if err == unix.EAGAIN {
				if s.t.graph.enter(&w.lockReq) {
					err = unix.EDEADLK
				} else {
					if !w.local {
						s.t.poll.need(fs, !w.polled)
					}
					w.polled = !w.local
					n++
					continue
				}
			}
			done = s.end(w, err, done)
			only, again = nil, true
		}
	}
	return done
}

// finish answers waiters that have been taken out of their queues.
func (fs *FS) finish(done []*waiter) {
	for _, w := range done {
		fs.locks.waiters.Add(-1)
		fs.put(w.f)
		fs.locks.let(w.s)
		w.r.Finish(0, w.err)
	}
}

// interrupt is called when the caller has got a signal.
func (fs *FS) interrupt(w *waiter) {
	var done []*waiter
	w.s.mu.Lock()
	if w.queued {
		done = w.s.end(w, unix.EINTR, nil)
	} else {
		w.interrupted = true
	}
	w.s.mu.Unlock()
	fs.finish(done)
}

// waitGraph says which owner waits for which, across inodes.
type waitGraph struct {
	mu mutex
	m  map[uint64]edge
}

type edge struct {
	q  *lockReq
	to uint64
}

// maxChain is how far a chain of waiting owners is followed.
const maxChain = 64

// cycle reports whether q waiting for its blocker would close a circle.
func (g *waitGraph) cycle(q *lockReq) bool {
	if q.flock || !q.local {
		return false
	}
	defer g.mu.hold()()
	return g.cycleHeld(q)
}

func (g *waitGraph) cycleHeld(q *lockReq) bool {
	to := q.blocker
	for range maxChain {
		if to == q.owner {
			return true
		}
		e, ok := g.m[to]
		if !ok {
			return false
		}
		to = e.to
	}
	return false
}

// enter records whom q waits for now. If that closes a circle it is not
// recorded and the answer is true.
func (g *waitGraph) enter(q *lockReq) bool {
	if q.flock {
		return false
	}
	defer g.mu.hold()()
	if e, ok := g.m[q.owner]; ok && e.q == q {
		delete(g.m, q.owner)
	}
	if !q.local {
		return false
	}
	if g.cycleHeld(q) {
		return true
	}
	if g.m == nil {
		g.m = make(map[uint64]edge)
	}
	// Of several threads of one owner the last one to wait counts.
	g.m[q.owner] = edge{q, q.blocker}
	return false
}

func (g *waitGraph) leave(q *lockReq) {
	if q.flock {
		return
	}
	g.mu.Lock()
	if e, ok := g.m[q.owner]; ok && e.q == q {
		delete(g.m, q.owner)
	}
	g.mu.Unlock()
}

// poller tries again for those whom somebody outside is in the way of. It is
// a goroutine only while there are any.
type poller struct {
	mu      mutex
	running bool
	asked   bool // somebody waits for the next round
	fresh   bool // ... who has not waited for one yet: be quick again
}

// Intervals between attempts: from pollMin, doubled up to pollMax.
const (
	pollMin = clock.Millisecond
	pollMax = 64 * clock.Millisecond
)

// need asks for another round. A lockSet's mu may be held.
func (p *poller) need(fs *FS, fresh bool) {
	defer p.mu.hold()()
	p.asked = true
	p.fresh = p.fresh || fresh
	if !p.running {
		p.running = true
		go p.run(fs)
	}
}

func (p *poller) run(fs *FS) {
	for d := pollMin; ; d = min(2*d, pollMax) {
		p.mu.Lock()
		if !p.asked {
			p.running = false
			p.mu.Unlock()
			return
		}
		if p.fresh {
			d = pollMin
		}
		p.asked, p.fresh = false, false
		p.mu.Unlock()
		clock.Sleep(d)
		// Those who must go on waiting ask again, in retry.
		for _, s := range fs.locks.all() {
			s.mu.Lock()
			done := s.retry(fs, nil)
			s.mu.Unlock()
			fs.locks.let(s)
			fs.finish(done)
		}
	}
}

// all returns the sets, held.
func (t *lockTable) all() []*lockSet {
	defer t.mu.hold()()
	sets := make([]*lockSet, 0, len(t.m))
	for _, s := range t.m {
		s.users++
		sets = append(sets, s)
	}
	return sets
}
