package conn

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Interrupted reports whether the caller got a signal, or the connection ended.
// It is a hint: any answer will do, -EINTR is the one that was asked for.
func (r *Request) Interrupted() bool { return r.interrupted.Load() }

// OnInterrupt has f called when the caller gets a signal or the connection ends,
// at once if that has happened already. f is called at most once, from any
// thread, maybe while the request is being answered elsewhere; it may answer it.
// The slot is not reused before f returns. If f panics, that is all: the request
// is still to be answered.
func (r *Request) OnInterrupt(f func(r *Request)) {
	r.mu.Lock()
	r.onInterrupt = f
	r.hasFunc.Store(f != nil)
	r.mu.Unlock()
	if r.interrupted.Load() {
		r.callInterrupt()
	}
}

// takeFunc takes the function that an interrupt is to call, if there is one.
func (r *Request) takeFunc() func(*Request) {
	r.mu.Lock()
	f := r.onInterrupt
	r.onInterrupt = nil
	r.hasFunc.Store(false)
	r.mu.Unlock()
	return f
}

func (r *Request) callInterrupt() {
	defer func() {
		if p := recover(); p != nil {
			r.c.count.panics.Add(1)
			r.c.log("handler panicked in OnInterrupt: " + panicText(p))
		}
	}()
	if !r.hasFunc.Load() {
		return
	}
	if f := r.takeFunc(); f != nil {
		f(r)
	}
}

func (r *Request) interrupt() {
	r.interrupted.Store(true)
	r.callInterrupt()
}

// earlyMax bounds the interrupts that are remembered because their request has
// not been seen. earlyTTL is when one is taken to belong to a request that had
// been answered.
const (
	earlyMax = 64
	earlyTTL = 1e9 // ns
)

// earlyInterrupts remembers ids. With several readers an INTERRUPT can be
// processed before the request it is for, which another reader has in hand.
type earlyInterrupts struct {
	n  atomic.Int32
	mu mutex
	id [earlyMax]uint64
	at [earlyMax]int64
}

// expire forgets what is older than earlyTTL. The monitor calls it too: while
// there is an entry every request has to look for itself in the table.
func (e *earlyInterrupts) expire(now int64) {
	defer e.mu.hold()()
	n := int(e.n.Load())
	for i := 0; i < n; {
		if now-e.at[i] <= earlyTTL {
			i++
			continue
		}
		n--
		e.id[i], e.at[i] = e.id[n], e.at[n]
	}
	e.n.Store(int32(n))
}

// add remembers id. It fails when all places are taken by younger ones than
// earlyTTL.
func (e *earlyInterrupts) add(id uint64, now int64) bool {
	e.expire(now)
	defer e.mu.hold()()
	n := int(e.n.Load())
	for i := range n {
		if e.id[i] == id {
			return true
		}
	}
	if n == earlyMax {
		return false
	}
	e.id[n], e.at[n] = id, now
	e.n.Store(int32(n + 1))
	return true
}

// take forgets id and reports whether it was there.
func (e *earlyInterrupts) take(id uint64) bool {
	defer e.mu.hold()()
	n := int(e.n.Load())
	for i := range n {
		if e.id[i] == id {
			n--
			e.id[i], e.at[i] = e.id[n], e.at[n]
			e.n.Store(int32(n))
			return true
		}
	}
	return false
}

// deliver interrupts the request with this id, if it is in service.
func (c *Conn) deliver(id uint64) bool {
	for i := range c.reqs {
		r := c.reqs[i].Load()
		if r == nil || r.base.Load() != id || !r.pin(false) {
			continue
		}
		found := r.base.Load() == id
		if found {
			r.interrupt()
		}
		r.unref()
		if found {
			return true
		}
	}
	return false
}

// handleInterrupt consumes an INTERRUPT (r, which is not in service). One whose
// request is unknown is either late, its request having been answered, or early.
// It is remembered; if there is no room it is handed back with EAGAIN: the
// kernel queues it again while its request is outstanding and says ENOENT when
// it is not (fs/fuse/dev.c: fuse_dev_do_write). Where requests come on rings it is
// dropped.
func (c *Conn) handleInterrupt(r *Request) {
	c.count.interrupts.Add(1)
	id := r.InterruptIn().Unique &^ protocol.UniqueResend
	if c.deliver(id) {
		return
	}
	if c.early.add(id, c.now()) {
		// Its request may have come into service since deliver looked; begin is
		// followed by a look at early, so one of the two sees the other.
		if c.deliver(id) {
			c.early.take(id)
		}
		return
	}
	if c.params.Flags&protocol.InitOverIOUring != 0 {
		return // to the kernel's mind no request on a ring has been read from here
	}
	c.count.requeued.Add(1)
	clear(r.mem[:outOff])
	r.hdr.Len = outOff
	r.hdr.Error = -int32(unix.EAGAIN)
	r.hdr.Unique = r.Header.Unique
	r.iov[0].Base = &r.mem[0]
	r.iov[0].SetLen(outOff)
	// It has to go to the channel that its request was read from, which is not
	// known: the others say ENOENT.
	c.mu.Lock()
	clones := c.clones
	c.mu.Unlock()
	for dev, i := c.port, 0; ; i++ {
		_, err := dev.WriteReply(r.iov[:1])
		if tap := c.opt.Trace; tap != nil {
			tap.Reply(protocol.OpInterrupt, flatten(r.iov[:1]), err)
		}
		if err != unix.ENOENT || i == len(clones) {
			return
		}
		dev = clones[i]
	}
}

// interruptAll interrupts everything in service.
func (c *Conn) interruptAll() {
	for i := range c.reqs {
		if r := c.reqs[i].Load(); r != nil && r.pin(false) {
			r.interrupt()
			r.unref()
		}
	}
}
