package ops

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Request is one request on its way through a file system. It is valid until
// the request is answered. Each slot keeps one for reuse. A request that is
// answered later takes it along: with Finish for good, with Complete until that
// returns, and meanwhile the slot uses its other one.
type Request struct {
	*conn.Request

	// Local is the file system's: what it needs for requests that it answers
	// later. It outlives the request, and belongs to whoever has it.
	Local any

	t     *Table
	twin  *Request    // the slot's other one
	busy  atomic.Bool // detached, and Complete has not returned
	shape *shape
	state atomic.Uint32
	gone  bool       // detached; written by the serving thread only
	n     int        // the result of an early Finish
	err   error      // likewise
	limit int        // the largest n
	gives gives      // what n is
	over  unix.Errno // the answer to a larger one
	dir   DirBuf
	cfr   protocol.CopyFileRangeIn
}

// The life of a Request. The thread that serves it owns it until the handler
// has returned or detached it; only then may another thread send the reply,
// since the transport must know first that the slot changes hands.
const (
	running  uint32 = iota // the handler is at work
	claimed                // ... and a Finish is storing its result
	early                  // ... and the result is there, for the serving thread to send
	handed                 // detached while claimed: that Finish is to send
	detached               // the next Finish sends
	finished               // the reply has been, or is being, sent
)

// Nodeid is the node the request is about (for namespace operations, the
// directory).
func (r *Request) Nodeid() uint64 { return r.Header.Nodeid }

// Uid is the caller's fsuid. It says nothing for requests the kernel makes on
// its own behalf: RELEASE, FORGET and WRITE from the page cache.
func (r *Request) Uid() uint32 { return r.Header.Uid }

// Gid is the caller's fsgid; see Uid.
func (r *Request) Gid() uint32 { return r.Header.Gid }

// Pid is the calling thread's id in the mounter's pid namespace, 0 if it is
// not visible there; see Uid.
func (r *Request) Pid() uint32 { return r.Header.Pid }

// Detach tells the transport that the answer will come from elsewhere, so that
// the reader goes on with another slot once the handler has returned, which
// must return Later. Called by the handler, and needed only if Finish is to
// send before the handler returns: without it a Finish that comes so early
// waits for that.
func (r *Request) Detach() {
	if r.gone {
		return
	}
	r.gone = true
	r.busy.Store(true)
	r.Request.Detach()
	for {
		switch r.state.Load() {
		case running:
			if r.state.CompareAndSwap(running, detached) {
				return
			}
		case claimed:
			if r.state.CompareAndSwap(claimed, handed) {
				return
			}
		case early:
			r.state.Store(finished)
			r.send(r.n, r.err)
			return
		default:
			return
		}
	}
}

// Elsewhere says that the handler is about to block. If it returns true, the
// handler must return [Elsewhere], as if nothing had happened, and will be called
// again for the request where that harms nobody. See [conn.Request.Elsewhere].
func (r *Request) Elsewhere() bool { return r.Request.Elsewhere() }

// Finish answers a request whose handler returned (or is about to return)
// Later. n is what the handler would have returned besides the error: bytes of
// data for those that return data, else 0; out is sent as filled. It may be
// called on any goroutine; what the request points to is invalid afterwards.
// A second call is a no-op: r is not used again, so that such a call meets a
// spent Request and not the slot's next one. The error is the transport's, unix.ENOENT if the
// kernel no longer waited; there is nothing left to do about it, entries have
// been taken back.
func (r *Request) Finish(n int, err error) error {
	for {
		switch r.state.Load() {
		case running:
			if !r.state.CompareAndSwap(running, claimed) {
				continue
			}
			r.n, r.err = n, err
			return r.stored()
		case detached:
			if r.state.CompareAndSwap(detached, finished) {
				return r.send(n, err)
			}
		default:
			return nil
		}
	}
}

// Complete is Finish for a request whose handler called Detach and returns
// Detached, by the only one who will ever finish it. He does without r from here
// on: it serves another request as soon as Complete returns, so that answering
// later allocates nothing.
func (r *Request) Complete(n int, err error) {
	_ = r.Finish(n, err)
	r.busy.Store(false)
}

// stored ends what a Finish before the handler's return claimed: the serving
// thread sends, or this one if it was detached in between.
func (r *Request) stored() error {
	if !r.state.CompareAndSwap(claimed, early) && r.state.CompareAndSwap(handed, finished) {
		return r.send(r.n, r.err)
	}
	return nil
}
