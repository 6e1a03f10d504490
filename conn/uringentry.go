package conn

import (
	"github.com/fusewire/fusewire/aio/uring"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// An entry is a slot (slot.go) for good:
//
//	0          16           528        544                lead
//	├ out_header ┼ fixed reply ┼ ....... ┼ req_header 288 ... ┼──────────────── ... ┤
//	                                                          │ payload, both ways
//	                                                                 │ a reply's data, if the
//	                                                                   request has a payload
//
// The kernel puts a request's header and argument into req_header, the rest into
// the payload, and takes the whole reply from there: fixed part, then data. Data
// of a READ, which has no payload, are read to where they are taken from.
const ringHead = outOff + outSize + 16

// ringHdr is what the kernel sees of an entry besides payload.
func (r *Request) ringHdr() *protocol.UringReqHeader {
	return protocol.ViewOf[protocol.UringReqHeader](r.mem[ringHead:])
}

// ringPayload is where the kernel puts what a request carries, and takes what its
// reply does.
func (r *Request) ringPayload() []byte {
	at := r.c.lay.lead
	return r.mem[at : at+r.q.s.size : at+r.q.s.size]
}

// touched notes that the first n bytes of Payload may have been written to.
func (r *Request) touched(n int) {
	if r.pooled {
		r.high = max(r.high, n)
	} else {
		r.buf.Touched(len(r.mem) - len(r.payload) + n)
	}
}

// take makes an entry of a slot.
func (q *queue) take() bool {
	b, ok := q.c.arena.Get()
	if !ok {
		return false
	}
	r := q.c.request(b)
	r.q = q
	r.seat = uint16(len(q.all) + 1)
	q.all = append(q.all, r)
	return true
}

// register hands an entry to the kernel for the first time.
func (q *queue) register(r *Request) {
	r.fresh = true
	head := r.mem[ringHead:]
	payload := r.ringPayload()
	r.iov[0].Base, r.iov[1].Base = &head[0], &payload[0]
	r.iov[0].SetLen(protocol.UringInOutHeaderSz + protocol.UringOpInOutSz + 32)
	r.iov[1].SetLen(len(payload))
	s := q.command(r, protocol.IOUringCmdRegister, 0)
	if q.pool != nil {
		r.iov[1] = unix.Iovec{}
		protocol.ViewOf[protocol.UringCmdReq](s.Cmd()[:]).SetEntZeroCopyBufIndex(r.seat)
	}
	s.Addr, s.Len = uint64(uring.IovecAddress(r.iov[:])), 2 // of the heap, and r stays
	r.buf.Touched(ringHead + int(r.iov[0].Len))
}

// serve deals with the request in r.
func (q *queue) serve(r *Request) {
	c, t := q.c, q.t
	l := &c.lay
	h := r.ringHdr()
	r.fresh, r.move, r.due = false, false, 0
	r.commitID = h.RingEntInOut.CommitID
	n := int(min(uint64(h.RingEntInOut.PayloadSz), uint64(q.s.size)))
	r.zero = h.RingEntInOut.Flags&protocol.UringEntZeroCopy != 0
	if r.zero {
		n = 0 // the rest of PayloadSz are pages
	}
	r.pay, r.high = r.ringPayload(), n
	q.copied.Store(q.copied.Load() + uint64(n))
	if q.pool == nil {
		r.buf.Touched(l.lead + n)
	} else {
		r.pay = q.buffer(h)
	}
	r.xfer.n = 0
	err := r.DecodeRing(h, r.pay, &c.params)
	if r.Header == nil { // the layout is wrong: it cannot be
		c.end(&Error{Op: "io_uring", Err: err})
		return
	}
	if tap := c.opt.Trace; tap != nil {
		tap.Request(&r.Request, r.Append(nil))
	}
	if r.Header.Unique == ringStir && r.Header.Opcode == protocol.OpNotifyReply {
		r.hdr.Error, r.hdr.Unique, r.out = 0, ringStir, 0
		q.commit(r)
		q.stirred()
		return
	}
	if r.pooled = false; q.pool == nil {
		r.begin(t, l.lead+(n+l.lead-1)/l.lead*l.lead)
	} else {
		r.begin(t, l.lead)
		if n == 0 && r.pay != nil {
			r.payload, r.pooled = r.pay, true
		}
	}
	t.served.Add(1)
	op := r.op
	switch {
	case err != nil || op == protocol.OpInit || op == protocol.OpInterrupt:
		c.malformed(r, err)
		_ = r.ReplyError(unix.EIO)
		t.done(r)
	case op == protocol.OpForget || op == protocol.OpBatchForget:
		// The kernel's own, of an entry that it found fault with. It waits.
		t.forget(r, op == protocol.OpForget)
		r.NoReply()
		t.done(r)
	default:
		t.handle(r)
	}
	if t.retire {
		// The ring belongs to this thread, which cannot be replaced. It goes on
		// with the ring, and leaves handlers to workers.
		t.retire = false
		if !q.tainted {
			q.tainted = true
			c.log("io_uring: a thread was given up, requests of its CPU take a longer way")
		}
	}
}

// commit has the kernel take the reply, and fill the entry with a next request.
func (q *queue) commit(r *Request) {
	if q.c.ended.Load() {
		return
	}
	h := r.ringHdr()
	*protocol.ViewOf[protocol.OutHeader](h.InOut[:]) = *r.hdr
	h.RingEntInOut.PayloadSz = uint32(r.out)
	if q.pool != nil && r.pay != nil && r.high > ringKeep {
		q.poolBuf.Touched(int(uring.Address(r.pay)-uring.Address(q.pool)) + r.high)
		q.idle = false
		q.tell()
	}
	if !r.zero || r.op != protocol.OpRead {
		q.copied.Store(q.copied.Load() + uint64(r.out))
	}
	if h := r.buf.High(); h > ringKeep {
		q.idle = false
		q.weigh(r)
		if q.hot > q.keep {
			r.due = q.turn
			q.due = append(q.due, r)
		}
	} else if h != r.hot {
		q.weigh(r)
	}
	q.command(r, protocol.IOUringCmdCommitAndFetch, r.commitID)
	if r.out >= ringSoon {
		_, _ = q.ring.Submit()
	}
}

// Memory of an entry that the kernel has may be given back, from its commit's
// Enter on, if no completion has come: the kernel puts a request there only while
// this thread is in Enter (IORING_SETUP_DEFER_TASKRUN), and completes it there too.

// weigh counts what r holds.
func (q *queue) weigh(r *Request) {
	q.hot += r.buf.High() - r.hot
	r.hot = r.buf.High()
	q.tell()
}

// tell lets Stats know.
func (q *queue) tell() {
	n := q.hot
	if q.pool != nil {
		n += q.poolBuf.High()
	}
	q.memory.Store(int64(n))
}

// shed has entries give back what is above the bound: those that have waited for
// a turn. As entries take turns each would come to hold the largest request's
// memory; the first to do so keep it. The completion queue is empty.
func (q *queue) shed() {
	n := 0
	for _, r := range q.due {
		switch {
		case r.due >= q.turn: // its reply may still be there
			q.due[n] = r
			n++
		case r.due != 0:
			r.due = 0
			r.buf.Release(ringKeep)
			q.weigh(r)
		}
	}
	q.due = q.due[:n]
}

// cool has all do so. No reply has been committed since Enter, and the completion
// queue is empty.
func (q *queue) cool() {
	q.idle = true
	for _, r := range q.all[:q.regd] {
		if !r.away {
			r.buf.Release(ringKeep)
			q.weigh(r)
		}
	}
	if q.pool != nil && q.held == 0 {
		q.poolBuf.Release(0)
	}
	q.tell()
}

// toRing puts a reply, header first, to where the kernel will take it once nobody
// uses the request any more.
func (r *Request) toRing(iov []unix.Iovec) error {
	if r.noReply {
		iov = iov[:1]
		r.hdr.Error = 0
	}
	r.hdr.Unique = r.id.Load()
	r.out = 0
	to := r.pay
	n := 0
	for i := range iov {
		n += int(iov[i].Len)
	}
	if n -= outOff; n > len(to) {
		return r.reject(n, 0)
	}
	r.out = n
	fixed := int(iov[0].Len) - outOff
	if len(iov) > 2 && overlap(to[:n], iov[1:]) {
		copy(to[fixed:], flatten(iov[1:]))
	} else if at := fixed; len(iov) > 1 {
		for _, v := range iov[1:] {
			at += copy(to[at:], iovBytes(v))
		}
	}
	copy(to, r.mem[outOff:outOff+fixed])
	r.high = max(r.high, n)
	if r.q.pool == nil {
		r.buf.Touched(r.c.lay.lead + n)
	}
	if r.zero && r.op == protocol.OpRead && r.hdr.Error == 0 {
		r.out = int(r.hdr.Len) - outOff // is in the kernel's pages
	}
	var err error
	if r.c.ended.Load() {
		r.c.count.lost.Add(1)
		err = unix.ENOENT
	}
	if tap := r.c.opt.Trace; tap != nil {
		b := append(append([]byte(nil), r.mem[:outOff]...), to[:n]...)
		tap.Reply(r.op, append(b, make([]byte, r.out-n)...), err) // of pages, zeros
	}
	return err
}
