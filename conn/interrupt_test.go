package conn

import (
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// intr sends the INTERRUPT of the request with this id.
func (s *session) intr(unique uint64) {
	s.sendAs(unique&^protocol.UniqueResend|1, protocol.OpInterrupt, 0, protocol.BytesOf(&protocol.InterruptIn{Unique: unique}))
}

// TestInterrupt interrupts requests while they are in service.
func TestInterrupt(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		r.OnInterrupt(func(r *Request) { _ = r.ReplyError(unix.EINTR) })
		r.Detach()
	}}, nil)
	for range 50 {
		u := s.getattr(1)
		eventually(t, "in service", func() bool { return s.c.Stats().InFlight == 1 })
		s.intr(u)
		s.want(u, unix.EINTR)
		eventually(t, "over", func() bool { return s.c.Stats().InFlight == 0 })
	}
}

// TestInterruptEarly has the INTERRUPT processed before its request, which two
// readers can do, and after its end.
func TestInterruptEarly(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Interrupted() {
			_ = r.ReplyError(unix.EINTR)
			return
		}
		_ = r.ReplyError(unix.EPERM)
	}}, nil)
	for range 20 {
		next := s.unique + 2
		s.intr(next)
		eventually(t, "remembered", func() bool { return s.c.early.n.Load() == 1 })
		s.want(s.getattr(1), unix.EINTR)
		s.want(s.getattr(1), unix.EPERM) // the slot is clean again
		s.intr(s.unique)                 // late
		eventually(t, "late one remembered", func() bool { return s.c.early.n.Load() == 1 })
		if !s.c.early.take(s.unique) {
			t.Fatal("another id was remembered")
		}
	}
	// one that came too late is forgotten, and requests need not look for it
	s.intr(s.unique)
	eventually(t, "remembered", func() bool { return s.c.early.n.Load() == 1 })
	eventually(t, "forgotten", func() bool {
		s.want(s.getattr(1), unix.EPERM)
		return s.c.early.n.Load() == 0
	})
}

// TestInterruptFlood sends more INTERRUPTs for unknown requests than are
// remembered: the others go back to the kernel.
func TestInterruptFlood(t *testing.T) {
	s := serving(t, &funcs{}, nil)
	back := 0
	for i := range 100 {
		u := uint64(1000 + 2*i)
		s.intr(u)
		eventually(t, "processed", func() bool { return s.c.Stats().Interrupts == uint64(i+1) })
		if i < earlyMax { // remembered, and not to be forgotten however long this takes
			e := &s.c.early
			e.mu.Lock()
			for j := range e.at {
				e.at[j] = s.c.now() + 1e12
			}
			e.mu.Unlock()
			continue
		}
		h, _ := s.recv()
		if h.Unique != u|1 || h.Error != -int32(unix.EAGAIN) {
			t.Fatalf("%+v", h)
		}
		back++
	}
	if st := s.c.Stats(); st.Requeued != uint64(back) || back != 100-earlyMax {
		t.Errorf("%d requeued, %d came back", st.Requeued, back)
	}
}

// TestEndInterrupts checks that requests in service are told of the end.
func TestEndInterrupts(t *testing.T) {
	told := make(chan error, 1)
	s := serving(t, &funcs{serve: func(r *Request) {
		r.OnInterrupt(func(r *Request) { told <- r.ReplyError(unix.EINTR) })
		r.Detach()
	}}, nil)
	s.getattr(1)
	eventually(t, "in service", func() bool { return s.c.Stats().InFlight == 1 })
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if err := <-told; err != unix.ENOENT {
		t.Errorf("reply after the end: %v", err)
	}
}

// TestResend checks that a request resent while it is in service is served once,
// and answered under its new id.
func TestResend(t *testing.T) {
	served := make(chan *Request, 4)
	s := serving(t, &funcs{serve: func(r *Request) {
		r.Detach()
		served <- r
	}}, nil)
	u := s.getattr(1)
	r := <-served
	for i := range 3 {
		s.sendAs(u|protocol.UniqueResend, protocol.OpGetattr, 1, make([]byte, 16))
		eventually(t, "copy dropped", func() bool { return s.c.Stats().Resent == uint64(i+1) })
	}
	if len(served) != 0 {
		t.Fatal("served twice")
	}
	s.intr(u | protocol.UniqueResend)
	eventually(t, "interrupted under the new id", r.Interrupted)
	_ = r.ReplyError(unix.EPERM)
	s.want(u|protocol.UniqueResend, unix.EPERM)

	// one whose first delivery was answered, or lost, is served
	u += 2
	s.unique = u
	s.sendAs(u|protocol.UniqueResend, protocol.OpGetattr, 1, make([]byte, 16))
	r = <-served
	if r.Unique() != u {
		t.Errorf("Unique %#x, want %#x", r.Unique(), u)
	}
	_ = r.ReplyError(unix.EPERM)
	s.want(u|protocol.UniqueResend, unix.EPERM)
}

// TestNotify checks the nine notifications byte by byte through their decoder.
func TestNotify(t *testing.T) {
	s := serving(t, &funcs{}, nil)
	c := s.c
	for _, n := range []struct {
		send func() error
		want string
	}{
		{func() error { return c.NotifyPoll(5) }, "NOTIFY POLL (kh=0x5)"},
		{func() error { return c.NotifyInvalInode(7, -1, 0) }, "NOTIFY INVAL_INODE (ino=7 off=-1 len=0)"},
		{func() error { return c.NotifyInvalEntry(1, []byte("a b"), true) }, `NOTIFY INVAL_ENTRY (parent=1 namelen=3 flags=EXPIRE_ONLY) name="a b"`},
		{func() error { return c.NotifyDelete(1, 9, []byte("x")) }, `NOTIFY DELETE (parent=1 child=9 namelen=1) name="x"`},
		{func() error { return c.NotifyStore(3, 4096, []byte("data")) }, "NOTIFY STORE (nodeid=3 offset=4096 size=4) data=4"},
		{func() error { return c.NotifyRetrieve(99, 3, 0, 10) }, "NOTIFY RETRIEVE (notify_unique=99 nodeid=3 offset=0 size=10)"},
		{func() error { return c.NotifyResend() }, "NOTIFY RESEND"},
		{func() error { return c.NotifyIncEpoch() }, "NOTIFY INC_EPOCH"},
		{func() error { return c.NotifyPrune([]uint64{3, 4}) }, "NOTIFY PRUNE (count=2) nodeids=[3 4]"},
	} {
		if err := n.send(); err != nil {
			t.Fatalf("%s: %v", n.want, err)
		}
		k, err := unix.Read(s.fd, s.buf)
		if err != nil {
			t.Fatal(err)
		}
		var m protocol.Notify
		if err := m.Decode(s.buf[:k]); err != nil {
			t.Fatalf("%s: %v", n.want, err)
		}
		if got := string(m.AppendText(nil)); got != n.want {
			t.Errorf("got %s, want %s", got, n.want)
		}
	}
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.NotifyResend(); err != ErrUnmounted {
		t.Errorf("after the end: %v", err)
	}
	time.Sleep(time.Millisecond)
}

// TestInterruptPanic: a callback that panics takes neither the reader that runs
// it nor the request along.
func TestInterruptPanic(t *testing.T) {
	later := make(chan *Request, 1)
	s := serving(t, &funcs{serve: func(r *Request) {
		r.Detach()
		r.OnInterrupt(func(*Request) { panic("oops") })
		later <- r
	}}, nil)
	u := s.send(protocol.OpGetattr, 1, make([]byte, 16))
	r := <-later
	s.sendAs(u|1, protocol.OpInterrupt, 0, protocol.BytesOf(&protocol.InterruptIn{Unique: u}))
	eventually(t, "a log line", func() bool { return s.logs.has("OnInterrupt: oops") })
	_ = r.ReplyError(unix.EINTR)
	s.want(u, unix.EINTR)
	if n := s.c.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
}

// channel is one of two: it knows no request but those in has.
type channel struct {
	*FuseDevice
	has func(unique uint64) bool
}

func (d *channel) WriteReply(iov []syscall.Iovec) (int, error) {
	var h protocol.OutHeader
	copy(protocol.BytesOf(&h), flatten(iov)) // on a 32-bit machine it may lie anywhere
	if h.Error == -int32(unix.EAGAIN) && !d.has(h.Unique) {
		return 0, unix.ENOENT
	}
	return d.FuseDevice.WriteReply(iov)
}

// TestInterruptElsewhere hands an INTERRUPT back whose request was read from
// another channel.
func TestInterruptElsewhere(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	var in [2]*FuseDevice
	for i := range in {
		if in[i], err = NewFuseDevice(fds[1]); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(fds[1])
	c := New(&channel{in[0], func(uint64) bool { return false }}, nil)
	if err := c.makeSlots(); err != nil {
		t.Fatal(err)
	}
	defer c.arena.Close()
	c.clones = []Device{&channel{in[1], func(u uint64) bool { return u == 5 }}}
	th := &Thread{c: c}
	for i := range uint64(earlyMax) {
		c.early.add(1000+i, c.now())
	}
	b, _ := c.arena.Get()
	r := &Request{c: c, buf: b, mem: b.Bytes(), hdr: protocol.ViewOf[protocol.OutHeader](b.Bytes())}
	h := protocol.InHeader{Len: 48, Opcode: protocol.OpInterrupt, Unique: 5}
	msg := append(protocol.BytesOf(&h), protocol.BytesOf(&protocol.InterruptIn{Unique: 4})...)
	c.inited.Store(true)
	th.serve(r, copy(r.mem[c.lay.lead-headRoom:], msg))
	k := &kernel{t: t, fd: fds[0], buf: make([]byte, 4096)}
	unix.SetNonblock(fds[0], true)
	k.want(5, unix.EAGAIN)
	for _, d := range in {
		d.Close()
	}
	c.arena.Put(b)
}
