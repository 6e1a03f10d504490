package conn

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/unix"
)

// Request is one request in its slot. The handler it is given to answers it with
// exactly one of Reply, ReplyVec, ReplyError and NoReply; after that it and all
// that was reached through it belong to the next request.
//
// Unless it was detached, it may be used only until Handler.Serve returns. One
// goroutine at a time, but for Interrupted and the answer itself: of several
// attempts to answer, one wins and the others are counted and return EALREADY.
type Request struct {
	protocol.Request

	// Priv is the handler's. It outlives the request: the next one in the same
	// slot finds it as it was left.
	Priv any

	c       *Conn
	buf     *sg.Buf
	mem     []byte              // the slot
	hdr     *protocol.OutHeader // mem[:16]
	payload []byte
	thread  *Thread // the reader that took it
	clone   Device  // the channel it was read from, if not Conn.port
	op      protocol.Opcode
	started int64 // Conn.now
	noReply bool  // the kernel expects none

	// Of an entry of a ring, see uringentry.go. Its thread's but for q, which stays,
	// and what whoever answers sets before the last reference is gone.
	q        *queue
	next     *Request // in queue.done, or in the workers' list
	commitID uint64
	out      int                    // bytes of the reply in the payload
	hot      int                    // of buf, as counted in queue.hot
	due      uint64                 // the turn since which it is in queue.due, 0: it is not
	pay      []byte                 // the payload; nil if the kernel gave it none
	high     int                    // bytes of it that were written to
	seat     uint16                 // slot in the ring's table of buffers
	zero     bool                   // its data are in the kernel's pages
	pooled   bool                   // Payload is pay
	xfer     transfer               // of those pages
	away     bool                   // not at the thread's disposal
	fresh    bool                   // registered, and nothing came yet
	move     bool                   // Elsewhere
	worker   atomic.Pointer[Thread] // who has it since

	// state: references in the low half, see below, and bit claimed.
	// References: the reader's, until Serve returns or Detach; the answer's,
	// until it has been written; one for each pin.
	state atomic.Uint32
	// base is the id without the resend bit, 0 while the slot is free; id is
	// what the reply must carry.
	base, id    atomic.Uint64
	interrupted atomic.Bool
	hasFunc     atomic.Bool    // onInterrupt is set
	onInterrupt func(*Request) // guarded by mu

	// mu: a request that is resent while it is in service changes id (and
	// maybe channel) under the reply's feet, see resend.go.
	mu      mutex
	resends atomic.Uint32
	sealed  bool
	moved   atomic.Pointer[Device] // the channel it was resent on

	iov [3]unix.Iovec
	vec []unix.Iovec
}

const (
	refMask = 1<<16 - 1
	claimed = 1 << 16
)

func newRequests(n int) []atomic.Pointer[Request] { return make([]atomic.Pointer[Request], n) }

// begin puts the decoded request into service. The reply's data begin at off.
func (r *Request) begin(t *Thread, off int) {
	r.payload = r.mem[off:]
	clear(r.mem[:outOff+outSize])
	r.thread = t
	r.clone = t.clone
	r.op = r.Header.Opcode
	r.noReply = !protocol.HasReply(r.op)
	r.started = r.c.now()
	if r.hasFunc.Load() {
		r.takeFunc()
	}
	if r.interrupted.Load() {
		r.interrupted.Store(false)
	}
	if r.worker.Load() != nil {
		r.worker.Store(nil)
	}
	if r.sealed || r.resends.Load() != 0 {
		r.mu.Lock()
		r.sealed = false
		r.resends.Store(0)
		r.moved.Store(nil)
		r.mu.Unlock()
	}
	unique := r.Header.Unique
	r.id.Store(unique)
	r.base.Store(unique &^ protocol.UniqueResend)
	r.state.Store(2)
}

// claim wins the right to answer.
func (r *Request) claim() bool {
	for {
		s := r.state.Load()
		if s&claimed != 0 || s&refMask == 0 {
			r.c.count.double.Add(1)
			return false
		}
		if r.state.CompareAndSwap(s, s|claimed) {
			return true
		}
	}
}

// pin keeps the slot from being reused. It fails if the slot is free, or the
// request is being answered already and late is false. Undone by unref.
func (r *Request) pin(late bool) bool {
	for {
		s := r.state.Load()
		if s&refMask == 0 || s&claimed != 0 && !late {
			return false
		}
		if r.state.CompareAndSwap(s, s+1) {
			return true
		}
	}
}

// drop takes one reference and reports whether it was the last one.
func (r *Request) drop() bool {
	if r.state.Add(^uint32(0))&refMask != 0 {
		return false
	}
	r.base.Store(0)
	return true
}

// unref takes a reference which is not the reader's; the last one returns the
// slot, whose reader went on without it. On a ring that is when the answer leaves.
func (r *Request) unref() {
	if !r.drop() {
		return
	}
	if r.q != nil {
		r.q.push(r)
	} else {
		r.c.putSlot(r)
	}
	r.c.exit()
}

// leave takes the reader's reference and reports whether the reader may keep the
// slot. If not, whoever still uses it will return it.
func (r *Request) leave() bool {
	if r.state.CompareAndSwap(claimed|1, claimed) {
		r.base.Store(0)
		return true
	}
	r.c.users.Add(1)
	if r.drop() {
		r.c.users.Add(-1) // the reader has its own, so this is not the last
		return true
	}
	return false
}

// Unique returns the request's id, without the resend bit.
func (r *Request) Unique() uint64 { return r.base.Load() }

// Conn returns the connection.
func (r *Request) Conn() *Conn { return r.c }

// Thread returns the thread that serves the request. It may be used only by the
// handler, on that thread.
func (r *Request) Thread() *Thread {
	if w := r.worker.Load(); w != nil {
		return w
	}
	return r.thread
}

// Out returns the area for the reply's fixed part: 512 bytes, 8-aligned, zero.
func (r *Request) Out() []byte { return r.mem[outOff : outOff+outSize : outOff+outSize] }

// Payload returns the area for the reply's data: page-aligned, at least
// max(Options.MaxWrite, 68 KiB) long, with contents left over from earlier
// requests. It does not overlap the request.
func (r *Request) Payload() []byte { return r.payload }

// Detach says that the request will be answered after Handler.Serve returns,
// maybe from another goroutine. The reader goes on with another slot, or waits
// for one: a handler whose requests wait for each other (locks) must therefore
// keep fewer of them than Options.Slots less Options.Threads. It is called by
// the handler, or before it returns.
func (r *Request) Detach() {
	t := r.Thread()
	if t.worker { // the request has left its thread, and has one
		if !t.cur.CompareAndSwap(r, nil) {
			return
		}
	} else {
		r.c.users.Add(1) // the thread has one: it cannot be 0 before
		if !t.cur.CompareAndSwap(r, nil) {
			r.c.exit()
			return
		}
	}
	r.c.count.detached.Add(1)
	r.unref()
}

// Shrink gives back what memory the slot holds from earlier requests: for a
// handler that will keep the request for long. It is called before Detach;
// what was in Payload is lost.
func (r *Request) Shrink() {
	if !r.pooled {
		r.buf.Release(len(r.mem) - len(r.payload))
	}
}

// Touched notes that the first n bytes of Payload may have been written to
// without being part of the answer, so that their memory is known of.
func (r *Request) Touched(n int) { r.touched(n) }

// Retain keeps the slot, and with it the connection, until Unretain: for who
// has something to do with the request once it has been answered. To be called
// before that.
func (r *Request) Retain() { r.state.Add(1) }

// Unretain undoes Retain.
func (r *Request) Unretain() { r.unref() }

// Elsewhere is Block for a handler that may begin anew. If it returns true, the
// handler must return without an answer, and will be called again for this
// request, on a thread where blocking harms nobody; there it returns false. It
// does so too where the handler may block as it is. On a ring, whose thread serves
// all requests of a CPU, Block can do nothing: a handler that waits there for what
// another request brings about waits for good, if that is of the same CPU.
func (r *Request) Elsewhere() bool {
	if r.q == nil || r.worker.Load() != nil || r.thread.cur.Load() != r {
		r.Block()
		return false
	}
	r.move = true
	return true
}

// Block says that the handler is about to block. If no other reader is waiting
// for requests, one is woken or started, up to Options.Threads. It costs a look
// at each reader's state.
func (r *Request) Block() {
	if r.c != nil { // in a test there may be a request without a connection
		r.c.ensureReader()
	}
}
