package aio

// Engine carries ops out. All methods may be called from any goroutine, and none
// of them from a Done but TrySubmit, Cancel and Stats, and Submit where it cannot
// have to wait.
type Engine interface {
	// Submit starts op. It waits while the engine has as much as it may have.
	Submit(op *Op)
	// TrySubmit is Submit that returns false instead of waiting, with op untouched.
	TrySubmit(op *Op) bool
	// Cancel ends op with EINTR if it has not been started, and says so; its Done
	// has been called by then. What has been started is asked to end early if the
	// back end can, and completes in its own time. The caller sees to it that op is not
	// submitted anew meanwhile.
	Cancel(op *Op) bool
	// Drain waits until every op is done.
	Drain()
	// Close drains, and gives back threads and rings. Ops submitted from now on end
	// with ECANCELED.
	Close() error
	Stats() Stats
}

// Backend is where ops are carried out. Those it gets do not depend on one
// another, and it may finish them in any order.
type Backend interface {
	// Start carries op out, or begins to. Having set N and Err it returns true; or
	// it returns false and calls op.Finish later: exactly once, on any other thread
	// than the one in Start. It changes no other field. A read that is short without
	// Err has met the end of the file.
	Start(op *Op) bool
	// Depth is how many ops it can carry out at a time, and will be given.
	Depth() int
	// Cancel may make op, for which Start was or is just being called, end early with
	// ECANCELED. It must not call Finish. Its caller holds a lock.
	Cancel(op *Op)
	// Close is called when all is finished, once.
	Close() error
}
