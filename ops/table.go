package ops

import (
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// call is how one opcode gets to its handler and back.
type call struct {
	fn    func(r *Request) (n int, err error) // nil: ENOSYS
	fixed int                                 // bytes of the reply struct
	holds holds
}

// holds is what a reply gives the kernel to hold, and what is to be taken back
// if the kernel does not take the reply.
type holds uint8

const (
	holdsNode    holds = 1 << iota // Out is an EntryOut: one lookup
	holdsFile                      // Out, behind the EntryOut if any, is an OpenOut
	holdsDir                       // with holdsFile: OPENDIR's
	holdsEntries                   // the data are direntplus: a lookup each
)

// gives is what the number is that a handler returns.
type gives uint8

const (
	givesData    gives = iota // bytes in the payload area
	givesU32                  // the first field of the reply struct, and that alone is sent
	givesU64                  // likewise
	givesEntries              // nothing: the DirBuf knows
)

// Table calls the file system's handlers. It is a conn.Handler.
type Table struct {
	calls  [protocol.OpCopyFileRange64 + 1]call
	forget Forgetter
	cancel OpenCanceler
	notify NotifyReplier
	init   Initer
	done   Doner
}

var _ conn.Handler = (*Table)(nil)

// New finds which of the handler interfaces fs implements, once. An operation
// without one is answered with ENOSYS, which switches most optional ones off in
// the kernel; the exceptions are said where the interface is.
func New(fs any) *Table {
	t := &Table{}
	t.init, _ = fs.(Initer)
	t.done, _ = fs.(Doner)
	t.forget, _ = fs.(Forgetter)
	t.cancel, _ = fs.(OpenCanceler)
	t.notify, _ = fs.(NotifyReplier)
	t.entryCalls(fs)
	t.fileCalls(fs)
	t.dataCalls(fs)
	t.attrCalls(fs)
	t.xattrCalls(fs)
	t.dirCalls(fs)
	t.lockCalls(fs)
	t.miscCalls(fs)
	return t
}

func (t *Table) set(op protocol.Opcode, fixed int, h holds, fn func(r *Request) (int, error)) {
	t.calls[op] = call{fn, fixed, h}
}

// Init implements conn.Handler. Flags that promise what no handler keeps are
// taken out of the answer.
func (t *Table) Init(c *conn.Conn, in *protocol.InitIn, out *protocol.InitOut) error {
	has := func(op protocol.Opcode) bool { return t.calls[op].fn != nil }
	if !has(protocol.OpReaddirplus) {
		out.Flags &^= uint32(protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto)
	}
	// With the flag, an ENOSYS is what the application gets; without it the
	// kernel keeps locks by itself.
	if !has(protocol.OpSetlk) {
		out.Flags &^= uint32(protocol.InitPosixLocks | protocol.InitFlockLocks)
	}
	// ENOSYS to an open is understood only by kernels that offer the flag.
	if out.Flags&uint32(protocol.InitNoOpenSupport) == 0 && !has(protocol.OpOpen) {
		t.set(protocol.OpOpen, sizeOpen, 0, succeed)
	}
	if out.Flags&uint32(protocol.InitNoOpendirSupport) == 0 && !has(protocol.OpOpendir) {
		t.set(protocol.OpOpendir, sizeOpen, 0, succeed)
	}
	if t.init != nil {
		return t.init.Init(c, in, out)
	}
	return nil
}

func succeed(*Request) (int, error) { return 0, nil }

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

var unknown call

// Serve implements conn.Handler.
func (t *Table) Serve(c *conn.Request) {
	r, _ := c.Priv.(*Request)
	if r == nil {
		r = &Request{Request: c}
		c.Priv = r
	}
	op := c.Header.Opcode
	if !protocol.HasReply(op) || op == protocol.OpInterrupt {
		if op == protocol.OpNotifyReply && t.notify != nil {
			t.notify.NotifyReply(r, c.NotifyRetrieveIn(), c.Data)
		}
		c.NoReply()
		return
	}
	k := &unknown
	if uint64(op) < uint64(len(t.calls)) {
		k = &t.calls[op]
	}
	if k.fn == nil {
		c.ReplyError(unix.ENOSYS)
		return
	}
	r.t, r.call = t, k
	r.gives, r.limit, r.over = givesData, 0, unix.EIO
	r.state.Store(running)
	n, err := k.fn(r)
	switch {
	case err == Later:
		r.Detach()
	case r.gone:
		r.Finish(n, err)
	default:
		r.state.Store(finished)
		r.send(n, err)
	}
}

// out views the reply struct of the request.
func out[T protocol.Wire](r *Request) *T { return protocol.ViewOf[T](r.Out()) }

// room returns the payload area for size bytes of data, or as much as there is.
func (r *Request) room(size uint32) []byte {
	b := r.Payload()
	if uint64(size) < uint64(len(b)) {
		b = b[:size:size]
	}
	r.limit = len(b)
	return b
}
