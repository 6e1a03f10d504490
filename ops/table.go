package ops

import (
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Table calls the file system's handlers. It is a conn.Handler.
type Table struct {
	handlers
	opens    bool // OPEN succeeds without a handler
	opendirs bool // OPENDIR likewise
	forget   Forgetter
	cancel   OpenCanceler
	notify   NotifyReplier
	init     Initer
	done     Doner
}

var _ conn.Handler = (*Table)(nil)

// New finds which of the handler interfaces fs implements, once. An operation
// without one is answered with ENOSYS, which switches most optional ones off in
// the kernel; the exceptions are said where the interface is.
func New(fs any) *Table {
	t := &Table{handlers: find(fs)}
	t.init, _ = fs.(Initer)
	t.done, _ = fs.(Doner)
	t.forget, _ = fs.(Forgetter)
	t.cancel, _ = fs.(OpenCanceler)
	t.notify, _ = fs.(NotifyReplier)
	return t
}

// Init implements conn.Handler. Flags that promise what no handler keeps are
// taken out of the answer.
func (t *Table) Init(c *conn.Conn, in *protocol.InitIn, out *protocol.InitOut) error {
	if t.readdirplus == nil {
		out.Flags &^= uint32(protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto)
	}
	// With the flag, an ENOSYS is what the application gets; without it the
	// kernel keeps locks by itself.
	if t.setlk == nil {
		out.Flags &^= uint32(protocol.InitPosixLocks | protocol.InitFlockLocks)
	}
	// ENOSYS to an open is understood only by kernels that offer the flag.
	t.opens = out.Flags&uint32(protocol.InitNoOpenSupport) == 0
	t.opendirs = out.Flags&uint32(protocol.InitNoOpendirSupport) == 0
	if t.init != nil {
		return t.init.Init(c, in, out)
	}
	return nil
}

// Forget implements conn.Handler.
func (t *Table) Forget(nodeid, nlookup uint64) {
	if t.forget != nil {
		t.forget.Forget(nodeid, nlookup)
	}
}

// Done implements conn.Handler.
func (t *Table) Done() {
	if t.done != nil {
		t.done.Done()
	}
}

// Serve implements conn.Handler.
func (t *Table) Serve(c *conn.Request) {
	r, _ := c.Priv.(*Request)
	if r == nil || r.busy.Load() {
		r = next(c, r)
	}
	op := c.Header.Opcode
	if !protocol.HasReply(op) || op == protocol.OpInterrupt {
		if op == protocol.OpNotifyReply && t.notify != nil {
			t.notify.NotifyReply(r, c.NotifyRetrieveIn(), c.Data)
		}
		c.NoReply()
		return
	}
	r.t, r.shape = t, &plain
	if uint64(op) < uint64(len(shapes)) {
		r.shape = &shapes[op]
	}
	r.gives, r.limit, r.over = givesData, 0, unix.EIO
	r.gone = false
	r.state.Store(running)
	n, err := t.serve(r)
	switch {
	case err == Detached, err == Elsewhere: // r may be anybody's by now
	case err == Later:
		if r.state.CompareAndSwap(early, finished) { // later is now
			r.busy.Store(true) // for good: a second Finish must meet nobody
			r.send(r.n, r.err)
			return
		}
		r.Detach()
	case r.gone:
		r.Finish(n, err)
	default:
		r.state.Store(finished)
		r.send(n, err)
	}
}

// next gives the slot c another Request, since r, if any, is still answering:
// the one before it, if that has finished.
func next(c *conn.Request, r *Request) *Request {
	n := (*Request)(nil)
	if r != nil {
		n = r.twin
	}
	if n == nil || n.busy.Load() {
		n = &Request{Request: c, twin: r}
		if r != nil {
			r.twin = n
		}
	}
	c.Priv = n
	return n
}

// out views the reply struct of the request.
func out[T protocol.Wire](r *Request) *T { return protocol.ViewOf[T](r.Out()) }
