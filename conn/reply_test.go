package conn

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// getattr sends a GETATTR of nodeid.
func (s *session) getattr(nodeid uint64) uint64 {
	return s.send(protocol.OpGetattr, nodeid, make([]byte, 16))
}

// read sends a READ of size bytes.
func (s *session) read(nodeid uint64, size uint32) uint64 {
	return s.send(protocol.OpRead, nodeid, protocol.BytesOf(&protocol.ReadIn{Size: size}))
}

// TestReply checks header, fixed part and data of each kind of reply.
func TestReply(t *testing.T) {
	h := &funcs{serve: func(r *Request) {
		switch r.Header.Nodeid {
		case 1:
			copy(r.Out(), "fixed part")
			_ = r.Reply(10, 0)
		case 2:
			copy(r.Out(), "12345678")
			n := copy(r.Payload(), strings.Repeat("data ", 4000))
			_ = r.Reply(8, n)
		case 3:
			a, b := []byte("one "), []byte("two")
			iov := make([]syscall.Iovec, 2)
			iov[0].Base, iov[1].Base = &a[0], &b[0]
			iov[0].SetLen(len(a))
			iov[1].SetLen(len(b))
			_ = r.ReplyVec(0, iov, 7)
			runtime.KeepAlive(a)
			runtime.KeepAlive(b)
		case 4:
			_ = r.ReplyError(unix.ENOTEMPTY)
		case 5:
			_ = r.ReplyError(0)
		case 6:
			_ = r.ReplyError(4095)
		case 7: // no answer
		case 8:
			if err := r.Reply(0, len(r.Payload())+1); err != unix.EINVAL {
				t.Errorf("too much data: %v", err)
			}
		case 9:
			if err := r.Reply(-1, 0); err != unix.EINVAL {
				t.Errorf("negative size: %v", err)
			}
		case 10:
			if err := r.ReplyVec(0, nil, 5); err != unix.EINVAL {
				t.Errorf("wrong sum: %v", err)
			}
		}
	}}
	s := serving(t, h, nil)
	for nodeid, want := range map[uint64]string{1: "fixed part", 2: "12345678" + strings.Repeat("data ", 4000), 3: "one two", 5: ""} {
		u := s.read(nodeid, 20000)
		hdr, body := s.recv()
		if hdr.Unique != u || hdr.Error != 0 || string(body) != want {
			t.Errorf("%d: %+v, %d bytes", nodeid, hdr, len(body))
		}
	}
	for nodeid, want := range map[uint64]unix.Errno{4: unix.ENOTEMPTY, 6: unix.EIO, 7: unix.EIO, 8: unix.EIO, 9: unix.EIO, 10: unix.EIO} {
		s.want(s.read(nodeid, 20000), want)
	}
	if n := s.c.Stats().Unanswered; n != 1 {
		t.Errorf("%d unanswered, want 1", n)
	}
}

// TestOutIsZero checks that a request never sees what an earlier one left in the
// fixed area, since handlers fill structs field by field.
func TestOutIsZero(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		if len(bytes.Trim(r.Out(), "\x00")) != 0 {
			t.Error("Out is not zero")
		}
		for i := range r.Out() {
			r.Out()[i] = 0xff
		}
		_ = r.Reply(len(r.Out()), 0)
	}}, nil)
	for range 50 {
		s.getattr(1)
		s.recv()
	}
}

// TestPayloadApart checks that the data area starts on a page and never shares a
// byte with the request, whatever that's length.
func TestPayloadApart(t *testing.T) {
	page := unix.Getpagesize()
	s := serving(t, &funcs{serve: func(r *Request) {
		p := r.Payload()
		if len(p) < 64<<10 || len(p) < r.Conn().MaxWrite() {
			t.Errorf("payload of %d bytes", len(p))
		}
		data := bytes.Clone(r.Data)
		for i := range p {
			p[i] = 0xa5
		}
		if !bytes.Equal(r.Data, data) {
			t.Error("the payload overlaps the request")
		}
		copy(p, data)
		_ = r.Reply(0, len(data))
	}}, nil)
	for _, n := range []int{1, 100, page - 81, page - 80, page, page + 1, 60000} {
		data := bytes.Repeat([]byte{'x'}, n)
		s.send(protocol.OpWrite, 1, protocol.BytesOf(&protocol.WriteIn{Size: uint32(n)}), data)
		if _, body := s.recv(); !bytes.Equal(body, data) {
			t.Fatalf("%d bytes came back as %d", n, len(body))
		}
	}
}

// TestOnce checks that of several answers one is sent.
func TestOnce(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		_ = r.ReplyError(unix.EPERM)
		if err := r.ReplyError(unix.EACCES); err != unix.EALREADY {
			t.Errorf("second answer: %v", err)
		}
		if err := r.Reply(0, 0); err != unix.EALREADY {
			t.Errorf("third answer: %v", err)
		}
		r.NoReply()
	}}, nil)
	for range 10 {
		s.want(s.getattr(1), unix.EPERM)
	}
	s.silent(20 * time.Millisecond)
	eventually(t, "30 second answers counted", func() bool { return s.c.Stats().Double >= 30 })
	if n := s.c.Stats().Double; n != 30 {
		t.Errorf("%d second answers counted, want 30", n)
	}
}

// TestPanic checks that a handler which panics costs one EIO and a line.
func TestPanic(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		switch r.Header.Nodeid {
		case 1:
			panic("pear")
		case 2:
			runtime.Goexit()
		case 3:
			_ = r.ReplyError(unix.EPERM)
			panic(errors.New("quince"))
		}
		_ = r.ReplyError(unix.ENOENT)
	}}, nil)
	for range 20 {
		s.want(s.getattr(1), unix.EIO)
		s.want(s.getattr(2), unix.EIO)
		s.want(s.getattr(3), unix.EPERM)
		s.want(s.getattr(4), unix.ENOENT)
	}
	eventually(t, "all panics counted", func() bool { return s.c.Stats().Panics == 60 })
	if !s.logs.has("pear") || !s.logs.has("quince") || !s.logs.has("Goexit") || !s.logs.has("reply_test.go") {
		t.Error("no log line with the value and the stack")
	}
}

// TestMalformed checks that a request which cannot be decoded is answered and
// counted, and that one without a header does no harm.
func TestMalformed(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) { _ = r.ReplyError(unix.ENOENT) }}, nil)
	for _, part := range [][]byte{nil, make([]byte, 8), make([]byte, 15)} {
		s.want(s.send(protocol.OpGetattr, 1, part), unix.EIO)
	}
	s.want(s.send(protocol.OpLookup, 1, []byte("no NUL")), unix.EIO)
	s.raw([]byte("short"))
	s.want(s.getattr(1), unix.ENOENT)
	// the short one has no answer to wait for, and another reader may have it
	eventually(t, "5 malformed counted", func() bool { return s.c.Stats().Malformed == 5 })
	if !s.logs.has("malformed request GETATTR") {
		t.Error("not logged")
	}
	s.want(s.sendInit(offer(45, 0)), unix.EIO) // a second INIT
}

// TestForget checks that FORGET and each entry of BATCH_FORGET arrive, without
// an answer.
func TestForget(t *testing.T) {
	got := make(chan [2]uint64, 8)
	s := serving(t, &funcs{forget: func(id, n uint64) { got <- [2]uint64{id, n} }}, nil)
	s.send(protocol.OpForget, 7, protocol.BytesOf(&protocol.ForgetIn{Nlookup: 3}))
	one := protocol.ForgetOne{Nodeid: 8, Nlookup: 1}
	two := protocol.ForgetOne{Nodeid: 9, Nlookup: 1 << 40}
	s.send(protocol.OpBatchForget, 0, protocol.BytesOf(&protocol.BatchForgetIn{Count: 2}), protocol.BytesOf(&one), protocol.BytesOf(&two))
	seen := map[[2]uint64]bool{}
	for range 3 {
		seen[<-got] = true
	}
	if !seen[[2]uint64{7, 3}] || !seen[[2]uint64{8, 1}] || !seen[[2]uint64{9, 1 << 40}] {
		t.Errorf("forgot %v", seen)
	}
	s.silent(20 * time.Millisecond)
}
