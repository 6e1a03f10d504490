package conn_test

import (
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/hostile"
	"golang.org/x/sys/unix"
)

// sink is a handler that answers in every way there is, by the request's id,
// and touches all that it is given.
type sink struct {
	t    testing.TB
	done int
}

func (h *sink) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error { return nil }
func (h *sink) Forget(uint64, uint64)                                      {}
func (h *sink) Done()                                                      { h.done++ }

func (h *sink) Serve(r *conn.Request) {
	_ = r.AppendText(nil)
	if len(r.Payload()) < 64<<10 || len(r.Out()) != 512 {
		h.t.Errorf("%d bytes of payload, %d of fixed reply", len(r.Payload()), len(r.Out()))
	}
	p := r.Conn().Params()
	fixed, _ := protocol.ReplySize(r.Op(), p)
	switch r.Unique() / 2 % 8 {
	case 0:
		_ = r.ReplyError(unix.EIO)
	case 1:
		r.Detach()
		go func() { _ = r.ReplyError(unix.ENOENT) }()
	case 2:
		r.OnInterrupt(func(r *conn.Request) { _ = r.ReplyError(unix.EINTR) })
		_ = r.ReplyError(unix.EAGAIN)
	case 3: // no answer
	case 4: // until it is interrupted, or the end
		if r.Op() == protocol.OpSetlkw {
			r.Detach()
			r.OnInterrupt(func(r *conn.Request) { _ = r.ReplyError(unix.EINTR) })
			return
		}
		_ = r.ReplyError(1 << 20)
	case 5: // sizes out of bounds
		_ = r.Reply(fixed, len(r.Payload())+1)
	case 6:
		_ = r.ReplyError(unix.EPERM)
		_ = r.ReplyError(unix.EIO)
	default:
		if !r.Op().Known() || r.Op() == protocol.OpInit || r.Op() == protocol.OpCuseInit || fixed == 0 && protocol.HasReply(r.Op()) {
			_ = r.ReplyError(unix.ENOSYS)
			return
		}
		_ = r.Reply(fixed, 0)
	}
}

func attackConn(t testing.TB, in []byte) {
	h := &sink{t: t}
	notified := 0
	hostile.Run(t, &hostile.Target{
		Handler: h,
		Names:   []string{"a", "b", "name"},
		Between: func(c *conn.Conn) {
			// Errors are the kernel's business here; that they come back, ours.
			switch notified++; notified % 4 {
			case 0:
				_ = c.NotifyInvalInode(1, 0, 0)
			case 1:
				_ = c.NotifyInvalEntry(1, []byte("a"), false)
			case 2:
				_ = c.NotifyStore(1, 0, make([]byte, 100))
			case 3:
				_ = c.NotifyResend()
			}
			st := c.Stats()
			_ = st.AppendText(c.AppendInflight(nil))
		},
	}, in)
	if h.done > 1 {
		t.Errorf("Done was called %d times", h.done)
	}
}

// FuzzHostile sends anything to a connection whose handler answers anyhow.
func FuzzHostile(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(hostile.Program(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) { attackConn(t, in) })
}

// FuzzReplyErrors does it while writes fail, with every errno in turn.
func FuzzReplyErrors(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(hostile.Program(seed), byte(seed), byte(33*seed))
	}
	f.Fuzz(func(t *testing.T, in []byte, nth, errno byte) {
		attackConn(t, append([]byte{1, nth, errno}, in...))
	})
}

// TestHostile runs random programs.
func TestHostile(t *testing.T) {
	hostile.Random(t, 1200, 4*time.Second, attackConn)
}
