package conntest

import (
	"time"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// request is one message to the server and what became of it (struct fuse_req).
type request struct {
	op     protocol.Opcode
	unique uint64 // UniqueResend set once it was resent
	nodeid uint64
	cl     *Client // who waits, nil: nobody
	msg    []byte

	fixed    int  // bytes of the reply's fixed part
	variable int  // most bytes that may follow, 0: none
	noReply  bool // FORGET and its like
	force    bool // waited for whatever happens (FLUSH, RELEASE, INIT)
	lose     bool // its reply shall be refused with ENOENT

	queued      bool // waits to be read
	sent        bool // was read, is not answered
	done        bool
	interrupted bool // the caller got a signal
	held        bool // answered; the schedule has not let the answer through
	err         unix.Errno
	data        []byte // the reply behind its header

	born    int64                    // virtual time
	end     func([]byte, unix.Errno) // of a background request
	counted bool                     // among those of max_background
	timer   *time.Timer
}

// forget is one entry of the forget list.
type forget struct{ nodeid, nlookup uint64 }

// body is a request before it has an id.
type body struct {
	op     protocol.Opcode
	nodeid uint64
	arg    []byte
	names  []string // each sent with a NUL
	data   []byte
	ext    []byte // extension area
	size   int    // most bytes of a variable reply
	exact  bool   // the variable part has size bytes, not fewer
	force  bool
	nobody bool // sent with no ids: write-back
}

// make encodes b. k.mu is held.
func (k *Kernel) make(cl *Client, b *body) *request {
	k.unique += 2
	h := protocol.InHeader{Opcode: b.op, Unique: k.unique, Nodeid: b.nodeid}
	if cl != nil && !b.nobody {
		h.Uid, h.Gid, h.Pid = cl.Uid, cl.Gid, cl.pid
	}
	n := 40 + len(b.arg) + len(b.data) + len(b.ext)
	h.TotalExtlen = uint16(len(b.ext) / 8)
	for _, s := range b.names {
		n += len(s) + 1
	}
	h.Len = uint32(n)
	m := append(make([]byte, 0, n), protocol.BytesOf(&h)...)
	m = append(m, b.arg...)
	for _, s := range b.names {
		m = append(append(m, s...), 0)
	}
	m = append(append(m, b.data...), b.ext...)
	r := &request{op: b.op, unique: k.unique, nodeid: b.nodeid, cl: cl, msg: m, force: b.force, born: k.now}
	r.noReply = !protocol.HasReply(b.op)
	var v bool
	r.fixed, v = protocol.ReplySize(b.op, &k.params)
	if v {
		r.variable = b.size
		if b.exact {
			r.fixed, r.variable = r.fixed+b.size, 0
		}
	}
	if (b.op == protocol.OpGetxattr || b.op == protocol.OpListxattr) && b.size == 0 {
		r.fixed = 8 // getxattr_out
	}
	if k.o.Lose != nil && !r.noReply && b.op != protocol.OpInit {
		r.lose = k.o.Lose(b.op, b.nodeid)
	}
	return r
}

// call sends b and waits for the answer, giving up k.mu meanwhile. The error is
// what the caller of the kernel function gets; data is the reply's payload.
func (k *Kernel) call(cl *Client, b *body) ([]byte, unix.Errno) {
	if k.dead {
		return nil, k.deadErr(b.op)
	}
	if k.no[b.op] {
		return nil, unix.ENOSYS
	}
	r := k.make(cl, b)
	k.submit(r)
	cl.cur = r
	if cl.signal { // a signal that is pending already
		k.interrupt(r)
	}
	timer := time.AfterFunc(k.o.Deadline, func() { k.overdue(r) })
	k.wait(cl, func() bool { return r.done })
	timer.Stop()
	cl.cur = nil
	return r.data, r.err
}

func (k *Kernel) deadErr(op protocol.Opcode) unix.Errno {
	if k.refused {
		return unix.ECONNREFUSED
	}
	return unix.ENOTCONN
}

// overdue ends a request that nobody answers. A kernel would wait for ever.
func (k *Kernel) overdue(r *request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.done || r.held {
		return
	}
	what := "was not read"
	if !r.queued {
		what = "was not answered"
	}
	k.report(r, r.unique, what+" within "+k.o.Deadline.String(), "the caller hangs, and with it whoever needs its locks")
	k.abort()
}

// post sends b without waiting (fuse_simple_background).
func (k *Kernel) post(b *body) {
	if !k.dead {
		k.submit(k.make(nil, b))
	}
}

// submit puts r into the queue, or before the schedule.
func (k *Kernel) submit(r *request) {
	k.count[r.op]++
	r.queued = true
	if k.o.Trace != nil {
		k.o.Trace(append([]byte(nil), r.msg...))
	}
	if k.sched != nil {
		k.sched.offer = append(k.sched.offer, r)
	} else {
		k.queue = append(k.queue, r)
	}
	k.cond.Broadcast()
}

// forget queues a FORGET.
func (k *Kernel) forget(nodeid, nlookup uint64) {
	if nlookup == 0 || k.dead {
		return
	}
	if k.sched != nil {
		k.sched.forgets = append(k.sched.forgets, forget{nodeid, nlookup})
	} else {
		k.forgets = append(k.forgets, forget{nodeid, nlookup})
	}
	k.cond.Broadcast()
}

// interrupt is a signal for who waits for r. fs/fuse/dev.c: request_wait_answer:
// an INTERRUPT is queued if the request was read, else once it has been.
func (k *Kernel) interrupt(r *request) {
	if r.interrupted || r.done {
		return
	}
	r.interrupted = true
	if r.sent {
		k.queueInterrupt(r)
	}
}

func (k *Kernel) queueInterrupt(r *request) {
	if k.noInterrupt {
		return
	}
	for _, o := range k.interrupts {
		if o == r {
			return
		}
	}
	k.interrupts = append(k.interrupts, r)
	k.cond.Broadcast()
}

// ready reports whether a reader would get something.
func (k *Kernel) ready() bool {
	return len(k.interrupts) > 0 || len(k.forgets) > 0 || len(k.queue) > 0
}

// next takes the next message for a reader with a buffer of size bytes, nil if
// there is none. fs/fuse/dev.c: fuse_dev_do_read: interrupts, then forgets (in a
// rhythm of 16 to 8 requests), then the queue.
func (k *Kernel) next(size int) []byte {
	for {
		if len(k.interrupts) > 0 {
			r := k.interrupts[0]
			k.interrupts = k.interrupts[1:]
			if r.done {
				continue
			}
			in := protocol.InterruptIn{Unique: r.unique}
			k.count[protocol.OpInterrupt]++
			return message(protocol.OpInterrupt, r.unique|1, 0, protocol.BytesOf(&in))
		}
		if len(k.forgets) > 0 {
			if len(k.queue) == 0 {
				return k.nextForget(size)
			}
			k.rhythm--
			if k.rhythm >= 0 {
				return k.nextForget(size)
			}
			if k.rhythm <= -8 {
				k.rhythm = 16
			}
		}
		if len(k.queue) == 0 {
			return nil
		}
		r := k.queue[0]
		k.queue = k.queue[1:]
		r.queued = false
		if len(r.msg) > size { // never seen by the server
			e := unix.EIO
			if r.op == protocol.OpSetxattr {
				e = unix.E2BIG
			}
			k.finish(r, nil, e)
			continue
		}
		if r.noReply {
			r.done = true
			k.cond.Broadcast()
			return r.msg
		}
		r.sent = true
		k.sent[r.unique] = r
		if r.interrupted {
			k.queueInterrupt(r)
		}
		return r.msg
	}
}

// nextForget makes one FORGET or, from 7.16 on, a BATCH_FORGET of what fits.
func (k *Kernel) nextForget(size int) []byte {
	k.unique += 2
	if k.params.Minor < 16 || len(k.forgets) == 1 {
		f := k.forgets[0]
		k.forgets = k.forgets[1:]
		k.count[protocol.OpForget]++
		in := protocol.ForgetIn{Nlookup: f.nlookup}
		return message(protocol.OpForget, k.unique, f.nodeid, protocol.BytesOf(&in))
	}
	n := min(len(k.forgets), (size-48)/16)
	in := protocol.BatchForgetIn{Count: uint32(n)}
	b := append([]byte(nil), protocol.BytesOf(&in)...)
	for _, f := range k.forgets[:n] {
		one := protocol.ForgetOne{Nodeid: f.nodeid, Nlookup: f.nlookup}
		b = append(b, protocol.BytesOf(&one)...)
	}
	k.forgets = k.forgets[n:]
	k.count[protocol.OpBatchForget]++
	return message(protocol.OpBatchForget, k.unique, 0, b)
}

// message encodes a request of nobody's.
func message(op protocol.Opcode, unique, nodeid uint64, arg []byte) []byte {
	h := protocol.InHeader{Len: uint32(40 + len(arg)), Opcode: op, Unique: unique, Nodeid: nodeid}
	return append(append(make([]byte, 0, 40+len(arg)), protocol.BytesOf(&h)...), arg...)
}

// finish ends r. k.mu is held.
func (k *Kernel) finish(r *request, data []byte, e unix.Errno) {
	delete(k.sent, r.unique)
	r.sent, r.queued = false, false
	r.data, r.err = data, e
	k.remember(r.unique)
	if e == unix.ENOSYS && r.op == protocol.OpInit {
		k.refused = true
	}
	if k.sched != nil && (r.cl != nil || r.end != nil) {
		r.held = true // the schedule says when it is seen
		k.sched.held = append(k.sched.held, r)
	} else {
		k.complete(r)
	}
	k.cond.Broadcast()
}

// remember keeps the last ids, to tell a second reply from one out of the blue.
func (k *Kernel) remember(unique uint64) {
	const most = 4096
	if len(k.pastIDs) >= most {
		delete(k.past, k.pastIDs[0])
		k.pastIDs = k.pastIDs[1:]
	}
	k.past[unique] = true
	k.pastIDs = append(k.pastIDs, unique)
}
