package conn

import (
	"runtime"
	"strconv"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// serve deals with the message of n bytes in r's slot.
func (t *Thread) serve(r *Request, n int) {
	c := t.c
	off := c.lay.lead - headRoom
	msg := r.mem[off : off+n : off+n]
	err := r.Decode(msg, &c.params)
	if tap := c.opt.Trace; tap != nil && r.Header != nil {
		tap.Request(&r.Request, msg)
	}
	if r.Header == nil { // nobody to answer
		c.malformed(r, err)
		return
	}
	op := r.Header.Opcode
	if err == nil && c.inited.Load() {
		switch op {
		case protocol.OpForget:
			t.forget(r, true)
			return
		case protocol.OpBatchForget:
			t.forget(r, false)
			return
		case protocol.OpInterrupt:
			c.handleInterrupt(r)
			return
		}
	}
	if r.Header.Unique&protocol.UniqueResend != 0 && c.resend(r.Header, t.device()) {
		return
	}
	l := &c.lay
	off = l.lead
	if n > headRoom {
		off += (n - headRoom + l.lead - 1) / l.lead * l.lead
	}
	r.begin(t, off)
	switch {
	case err != nil:
		c.malformed(r, err)
		_ = r.ReplyError(unix.EIO)
	case !c.inited.Load():
		if op == protocol.OpInit {
			c.init(r)
		} else { // the kernel sends nothing before INIT
			c.malformed(r, nil)
			_ = r.ReplyError(unix.EIO)
		}
	case op == protocol.OpInit: // and no second one
		c.malformed(r, nil)
		_ = r.ReplyError(unix.EIO)
	default:
		t.handle(r)
		return
	}
	t.done(r)
}

// handle has the handler serve r, which is in service.
func (t *Thread) handle(r *Request) {
	c := t.c
	t.cur.Store(r)
	if c.early.n.Load() != 0 && c.early.take(r.base.Load()) {
		r.interrupt()
	}
	if c.ended.Load() { // Serve interrupts what was in service before
		r.interrupt()
	}
	if t.q != nil && t.q.tainted {
		r.move = true
	} else {
		t.call(r)
	}
	if t.cur.Load() == r && r.move && r.state.Load()&claimed == 0 {
		c.users.Add(1) // the request's own from here on
		t.cur.Store(nil)
		t.q.gone(r)
		c.work(r)
		return
	}
	if !t.cur.CompareAndSwap(r, nil) { // detached: no longer ours
		t.parted(r)
		return
	}
	if r.state.Load()&claimed == 0 {
		if !r.noReply {
			c.count.unanswered.Add(1)
			c.log("no reply to " + r.op.String())
		}
		_ = r.ReplyError(unix.EIO)
	}
	t.done(r)
}

// done takes the thread's reference to r, which has been answered. If that was
// the last one it goes on to the next request.
func (t *Thread) done(r *Request) {
	switch {
	case t.worker:
		r.unref()
	case !r.leave():
		t.parted(r)
	case t.q != nil:
		t.q.commit(r)
	}
}

// parted goes on without r, which somebody else will return.
func (t *Thread) parted(r *Request) {
	if t.q != nil {
		t.q.gone(r)
	}
	t.r = nil
}

// call runs the handler. A panic ends the request with EIO and the thread with
// it: nobody knows what state the handler left it in. So does runtime.Goexit.
func (t *Thread) call(r *Request) {
	whole := false
	defer func() {
		if whole {
			return
		}
		p := recover()
		t.retire = true
		if q := t.q; q != nil && p == nil {
			q.goexit, q.tainted = true, true
		}
		t.panicked(r, p)
	}()
	t.c.h.Serve(r)
	whole = true
}

func (t *Thread) panicked(r *Request, p any) {
	c := t.c
	c.count.panics.Add(1)
	detached := t.cur.Load() != r
	if c.opt.Log != nil {
		b := make([]byte, 16<<10)
		b = b[:runtime.Stack(b, false)]
		s := "handler panicked: "
		if detached {
			s = "handler panicked after Detach, its request may stay unanswered: "
		}
		c.log(s + panicText(p) + "\n" + string(b))
	}
	if detached {
		return
	}
	if r.state.Load()&claimed == 0 {
		_ = r.ReplyError(unix.EIO)
	}
	if p == nil && t.cur.CompareAndSwap(r, nil) { // Goexit: handle will not come back to it
		t.done(r)
	}
}

// panicText renders what was passed to panic; nil is runtime.Goexit.
func panicText(p any) string {
	switch v := p.(type) {
	case nil:
		return "Goexit"
	case error:
		return v.Error()
	case string:
		return v
	case interface{ String() string }:
		return v.String()
	case int:
		return strconv.Itoa(v)
	}
	return "a value that is neither error nor string"
}

// forget passes on a FORGET or BATCH_FORGET, which are not answered.
func (t *Thread) forget(r *Request, one bool) {
	defer func() {
		if p := recover(); p != nil {
			t.retire = true
			t.c.count.panics.Add(1)
			t.c.log("handler panicked in Forget")
		}
	}()
	if one {
		t.c.h.Forget(r.Header.Nodeid, r.ForgetIn().Nlookup)
		return
	}
	for _, f := range r.Forgets() {
		t.c.h.Forget(f.Nodeid, f.Nlookup)
	}
}

func (c *Conn) malformed(r *Request, err error) {
	c.count.malformed.Add(1)
	if c.opt.Log == nil {
		return
	}
	s := "malformed request"
	if r.Header != nil {
		s += " " + r.Header.Opcode.String()
	}
	if err != nil {
		s += ": " + err.Error()
	}
	c.log(s)
}
