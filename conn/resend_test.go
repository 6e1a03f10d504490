package conn

import (
	"testing"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestResendOfAnother sends, as copies of requests in service, requests of
// another opcode: each is to be answered for itself, with its own answer. The
// NOTIFY_REPLY has none, but an id that the server chose, so that its slot must
// not swallow them either.
func TestResendOfAnother(t *testing.T) {
	held := make(chan *Request, 2)
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Op() == protocol.OpStatfs {
			_ = r.ReplyError(unix.ENOSYS)
			return
		}
		r.Detach()
		held <- r
	}}, nil)
	s.sendAs(1001, protocol.OpNotifyReply, 1, protocol.BytesOf(&protocol.NotifyRetrieveIn{}))
	reply := <-held
	get := s.getattr(1)
	attr := <-held
	for _, id := range []uint64{1001, get} {
		id |= protocol.UniqueResend
		s.sendAs(id, protocol.OpStatfs, 1)
		s.want(id, unix.ENOSYS)
	}
	if n := s.c.Stats().Resent; n != 0 {
		t.Errorf("%d taken for copies", n)
	}
	// The true copy is dropped as ever, and its id is answered.
	s.sendAs(get|protocol.UniqueResend, protocol.OpGetattr, 1, protocol.BytesOf(&protocol.GetattrIn{}))
	eventually(t, "the copy is dropped", func() bool { return s.c.Stats().Resent == 1 })
	_ = attr.ReplyError(unix.ENODATA)
	s.want(get|protocol.UniqueResend, unix.ENODATA)
	reply.NoReply()
}
