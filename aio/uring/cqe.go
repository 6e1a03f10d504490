package uring

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// CQE is a completion queue entry, as struct io_uring_cqe.
type CQE struct {
	UserData uint64 // the SQE's
	Res      int32  // what the system call would have returned: -errno if negative
	Flags    uint32 // CQE*
}

// Result splits Res into a count and an errno.
func (c *CQE) Result() (int, unix.Errno) {
	if c.Res < 0 {
		return 0, unix.Errno(-c.Res)
	}
	return int(c.Res), 0
}

// Ready returns how many completions wait in the queue.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - r.cqHeadOwn) }

// Peek returns the oldest completion without taking it, nil if there is none. It
// makes no system call: with SetupDeferTaskrun completions come into the queue
// only while the thread is in Enter. What it returns is valid until Advance.
func (r *Ring) Peek() *CQE {
	if r.cqHeadOwn == atomic.LoadUint32(r.cqTail) {
		return nil
	}
	return r.cqe(r.cqHeadOwn & r.cqMask)
}

// Advance takes the n oldest completions from the queue. n must not exceed what
// Ready says.
func (r *Ring) Advance(n int) {
	r.cqHeadOwn += uint32(n)
	atomic.StoreUint32(r.cqHead, r.cqHeadOwn)
}

// Next takes the oldest completion from the queue and returns a copy.
func (r *Ring) Next() (c CQE, ok bool) {
	p := r.Peek()
	if p == nil {
		return c, false
	}
	c = *p
	r.Advance(1)
	return c, true
}

// Overflowed reports whether the kernel keeps completions that found no room in
// the queue. The next Enter puts them there, as far as there is room by then.
func (r *Ring) Overflowed() bool { return atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0 }

// Lost returns how many completions the kernel could not even keep, for want of
// memory (or on kernels without FeatNoDrop). It is an end of the world: who waits
// for them waits for good.
func (r *Ring) Lost() uint32 { return atomic.LoadUint32(r.cqOverflow) }
