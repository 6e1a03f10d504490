// Package slow is a back end for experiments and tests: a store that takes its
// time for each op, and so many ops at a time. A store on a network is slow but
// parallel, a disk is not. Nothing of the product uses it.
package slow

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
)

// threads is how many the store has. An op that takes its time keeps none of them:
// threads that sleep for one op each would cost more than what is measured.
const threads = 2

// Store is an aio.Backend.
type Store struct {
	each  time.Duration
	n     int
	do    func(*aio.Op)
	queue chan started
	ended sync.WaitGroup
	calls atomic.Uint64
	bytes atomic.Uint64
}

// started is an op and when it is due.
type started struct {
	op  *aio.Op
	due time.Time
}

// New returns a store that takes each for an op, which is carried out by do, and
// has n at a time. A nil do is aio.Do; one that only sets N disables the store
// behind. An op is carried out at the beginning of its time and ends with it: were
// it the other way round, those that are due at once would have to wait for each
// other.
func New(each time.Duration, n int, do func(*aio.Op)) *Store {
	if do == nil {
		do = aio.Do
	}
	s := &Store{each: each, n: n, do: do, queue: make(chan started, n)}
	for range min(n, threads) {
		s.ended.Go(s.work)
	}
	return s
}

// Start is aio.Backend's. The queue has room: no more than n are started.
func (s *Store) Start(op *aio.Op) bool {
	due := time.Now().Add(s.each)
	s.do(op)
	s.calls.Add(1)
	s.bytes.Add(uint64(op.N))
	s.queue <- started{op, due}
	return false
}

// work finishes ops as they become due, which is about in the order they were
// started.
func (s *Store) work() {
	for x := range s.queue {
		wait(time.Until(x.due))
		x.op.Finish()
	}
}

// Depth is aio.Backend's.
func (s *Store) Depth() int { return s.n }

// Cancel is aio.Backend's. The time is taken all the same.
func (s *Store) Cancel(*aio.Op) {}

// Close is aio.Backend's.
func (s *Store) Close() error {
	close(s.queue)
	s.ended.Wait()
	return nil
}

// Calls returns how many ops reached the store.
func (s *Store) Calls() uint64 { return s.calls.Load() }

// Bytes returns how much they transferred.
func (s *Store) Bytes() uint64 { return s.bytes.Load() }

// wait blocks the thread: Go's own timers may be a millisecond late, which is as
// long as the stores that this is about take.
func wait(d time.Duration) {
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}
