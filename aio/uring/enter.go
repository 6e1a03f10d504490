package uring

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// publish lets the kernel see the entries handed out, and says how many it has
// not consumed.
func (r *Ring) publish() uint32 {
	atomic.StoreUint32(r.sqTail, r.sqTailOwn)
	return r.sqTailOwn - atomic.LoadUint32(r.sqHead)
}

// Submit gives the entries taken so far to the kernel and waits for nothing. It
// returns how many were consumed. Without SetupSubmitAll the kernel stops at the
// first malformed one (which it consumes, and completes with an error).
// EAGAIN: no memory for a request. EBUSY: completions that overflowed want to be
// taken first.
func (r *Ring) Submit() (int, unix.Errno) {
	n := r.publish()
	if n == 0 {
		return 0, 0
	}
	return r.sysEnter(n, 0, 0, nil)
}

// Enter gives the entries taken so far to the kernel and waits, in the same
// system call, until wait completions are in the queue. With wait 0 it only lets
// the kernel put there what it has. EINTR: a signal came, as Go's runtime sends
// them; nothing is lost, call again. If anything was submitted, errors of the
// waiting are not reported.
func (r *Ring) Enter(wait int) (int, unix.Errno) {
	return r.sysEnter(r.publish(), uint32(wait), enterGetEvents, nil)
}

// EnterTimeout is Enter that waits for at most ns nanoseconds, after which it
// fails with ETIME. It needs FeatExtArg, else EINVAL.
func (r *Ring) EnterTimeout(wait int, ns int64) (int, unix.Errno) {
	if r.features&FeatExtArg == 0 || ns < 0 {
		return 0, unix.EINVAL
	}
	return r.sysEnter(r.publish(), uint32(wait), enterGetEvents, r.timeout(ns))
}

// TaskrunPending reports, on rings with SetupTaskrunFlag, whether an Enter would
// find work of the kernel's to do.
func (r *Ring) TaskrunPending() bool { return atomic.LoadUint32(r.sqFlags)&sqTaskrun != 0 }
