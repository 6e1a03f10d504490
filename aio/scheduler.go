package aio

import (
	"sync"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
)

// Config is what a Scheduler is told. The zero value is a sound one.
type Config struct {
	// Depth is how many ops, merged ones counted once, are with the back end at a
	// time. It is the storage's parallelism: what is beyond it would wait there,
	// unmerged, instead of here. 0, or more than the back end's, is the back end's.
	Depth int
	// MaxOps and MaxBytes limit what is queued and with the back end together.
	// One op is let in whatever its size. 0 is 1024 and 64 MiB.
	MaxOps   int
	MaxBytes int64
	// MaxMerge is the size up to which neighbours are merged. 0 is 1 MiB; negative,
	// or 1, is never.
	MaxMerge int
	// Gather is how long an op may be kept that continues its predecessor although
	// the back end has room, while another one of the file is there. 0 is not at all.
	Gather clock.Duration
	// Try has reads and writes tried with RWF_NOWAIT on the submitter's thread.
	Try bool
}

// Scheduler is an Engine over a Backend. See the package's comment.
type Scheduler struct {
	backend  Backend
	depth    int
	maxOps   int
	maxBytes int64
	maxMerge int64
	wait     int64
	try      bool
	nowait   nowait
	shards   [shards]shard

	live     atomic.Int64 // queued ops whose Done has not returned
	draining atomic.Int32

	mu        sync.Mutex
	cond      sync.Cond // admitted, drained
	files     files
	ready     ops
	waiters   waiters
	heldBy    *file // has held ops for longest
	heldLast  *file
	alarm     *clock.Timer // has expire called
	timing    bool
	running   int // units with the back end
	ops       int // admitted, and not ended
	bytes     int64
	closed    bool
	spare     *Op // merged ops to use again
	ended     *Op // to be completed, chained by next
	endedLast *Op
	stats     Stats
}

// New returns a Scheduler over backend, which is its own from now on.
func New(backend Backend, c Config) *Scheduler {
	s := &Scheduler{backend: backend, depth: c.Depth, maxOps: c.MaxOps, maxBytes: c.MaxBytes,
		maxMerge: int64(c.MaxMerge), wait: int64(clock.Of(c.Gather)), try: c.Try}
	if d := backend.Depth(); s.depth <= 0 || s.depth > d {
		s.depth = max(d, 1)
	}
	if s.maxOps <= 0 {
		s.maxOps = 1024
	}
	s.maxOps = min(s.maxOps, slowMask) // a shard counts as far as that
	if s.maxBytes <= 0 {
		s.maxBytes = 64 << 20
	}
	if s.maxMerge == 0 {
		s.maxMerge = 1 << 20
	}
	s.cond.L = &s.mu
	return s
}

// Submit is Engine's.
func (s *Scheduler) Submit(op *Op) { s.submit(op, true) }

// TrySubmit is Engine's.
func (s *Scheduler) TrySubmit(op *Op) bool { return s.submit(op, false) }

func (s *Scheduler) submit(op *Op, wait bool) bool {
	if !op.valid() {
		op.N, op.Err = 0, unix.EINVAL
		op.complete()
		return true
	}
	if s.try && op.Kind <= Write && !op.Waits {
		sh := s.shard(op.Key)
		if sh.enter() {
			done := s.nowait.try(op)
			if done {
				op.complete() // after which op may be another one
				sh.leave()
				return true
			}
		}
		sh.giveUp()
	}
	return s.queue(op, wait)
}

// queue admits op and does what there is to do then.
func (s *Scheduler) queue(op *Op, wait bool) bool {
	bytes := op.size()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		op.N, op.Err = 0, unix.ECANCELED
		op.complete()
		return true
	}
	full := !s.waiters.empty() || !s.fits(bytes)
	if full && !wait {
		s.mu.Unlock()
		return false
	}
	s.live.Add(1)
	op.N, op.Err = 0, 0
	op.sched, op.cancelled, op.blockers = s, false, 0
	op.unit, op.parts, op.prev, op.next, op.lower, op.upper, op.chain = nil, nil, nil, nil, nil, nil, nil
	op.bytes, op.begin, op.slot = bytes, s.now(), 0
	s.stats.Submitted++
	if full {
		s.stats.Waited++
		s.await(op)
		s.mu.Unlock()
		return true
	}
	s.admit(op)
	w := s.dispatch()
	s.mu.Unlock()
	s.perform(w)
	return true
}

// admit takes op in, for which there is room.
func (s *Scheduler) admit(op *Op) {
	s.ops++
	s.bytes += op.bytes
	s.stats.PeakOps = max(s.stats.PeakOps, s.ops)
	s.stats.PeakBytes = max(s.stats.PeakBytes, s.bytes)
	s.shard(op.Key).slow(1)
	if op.Kind == CopyRange {
		s.shard(op.Key2).slow(1)
	}
	s.files.claim(op)
	if op.blockers > 0 {
		op.state = blocked
		return
	}
	s.release(op)
}

// release has op, which waits for no other, wait for room, or for a neighbour.
func (s *Scheduler) release(op *Op) {
	f := op.holds[0].file
	op.state = ready
	if s.mergeable(op) {
		sortIn(op)
		continues := f.tail[op.Kind] == op.Off
		f.tail[op.Kind] = op.end()
		if s.wait > 0 && continues && f.running > 0 && s.running < s.depth && s.draining.Load() == 0 {
			s.hold(op)
			return
		}
	}
	s.ready.push(op)
}

// dequeue takes op out of whichever list it waits in.
func (s *Scheduler) dequeue(op *Op) {
	switch op.state {
	case ready:
		s.ready.remove(op)
	case held:
		s.unhold(op)
	}
}

// now is a monotonic time in nanoseconds.
func (s *Scheduler) now() int64 { return clock.Now() }
