// Package slow is a back end for experiments and tests: a store that takes its
// time for each op, and so many ops at a time. A store on a network is slow but
// parallel, a disk is not. Nothing of the product uses it.
package slow

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
)

// Store is an aio.Backend.
type Store struct {
	*aio.Workers
	calls atomic.Uint64
	bytes atomic.Uint64
}

// New returns a store that takes each for an op before it carries it out by do,
// and carries out n at a time. A nil do is aio.Do; one that only sets N disables
// the store behind.
func New(each time.Duration, n int, do func(*aio.Op)) *Store {
	s := new(Store)
	if do == nil {
		do = aio.Do
	}
	s.Workers = aio.NewWorkersFunc(n, func(op *aio.Op) {
		wait(each)
		do(op)
		s.calls.Add(1)
		s.bytes.Add(uint64(op.N))
	})
	return s
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
