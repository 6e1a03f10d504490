package conntest_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// slow is clerk, but a READ waits to be interrupted or let go.
type slow struct {
	clerk
	mu     sync.Mutex
	reads  int
	inside chan struct{} // one for each READ being served
	letGo  chan struct{}
	stop   bool // answer EINTR when interrupted
}

func newSlow() *slow { return &slow{inside: make(chan struct{}, 16), letGo: make(chan struct{})} }

func (h *slow) Serve(r *conn.Request) {
	if r.Op() != protocol.OpRead {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Op() == protocol.OpOpen {
			protocol.ViewOf[protocol.OpenOut](r.Out()).OpenFlags = protocol.FopenDirectIO
			_ = r.Reply(16, 0)
			return
		}
		h.clerk.Serve(r)
		return
	}
	h.mu.Lock()
	h.reads++
	h.mu.Unlock()
	stopped := make(chan struct{})
	r.OnInterrupt(func(*conn.Request) { close(stopped) })
	h.inside <- struct{}{}
	r.Block()
	if h.stop {
		select {
		case <-stopped:
			_ = r.ReplyError(unix.EINTR)
			return
		case <-h.letGo:
		}
	} else {
		<-h.letGo
	}
	_ = r.Reply(0, 4096)
}

func slowKernel(t *testing.T, h *slow) (*conntest.Kernel, *conntest.Client, *conntest.File) {
	t.Helper()
	// Without ASYNC_DIO: who waits for the parts of one read gets no signals.
	// FOPEN_DIRECT_IO, because other reads may be after a GETATTR.
	k, err := conntest.New(h, options(conntest.Options{Shared: true, Flags: conntest.AllFlags &^ protocol.InitAsyncDio}))
	check(t, err)
	c := k.Process(0, 0)
	f, err := c.Open("/f", unix.O_RDONLY|unix.O_DIRECT, 0)
	check(t, err)
	return k, c, f
}

// background runs f and returns what it gives.
func background(f func() error) chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

func after(t *testing.T, c chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("hangs")
		return nil
	}
}

// TestInterrupt sends signals before, during and after a request.
func TestInterrupt(t *testing.T) {
	read := func(f *conntest.File) func() error {
		return func() error { _, err := f.ReadAt(make([]byte, 4096), 0); return err }
	}
	t.Run("during", func(t *testing.T) {
		h := newSlow()
		h.stop = true
		k, c, f := slowKernel(t, h)
		done := background(read(f))
		<-h.inside
		c.Interrupt()
		want(t, after(t, done), unix.EINTR)
		check(t, k.Unmount())
	})
	t.Run("before", func(t *testing.T) {
		h := newSlow()
		h.stop = true
		k, c, f := slowKernel(t, h)
		c.Interrupt()
		want(t, after(t, background(read(f))), unix.EINTR)
		if k.Count(protocol.OpInterrupt) != 1 {
			t.Error(k.Count(protocol.OpInterrupt), "INTERRUPTs")
		}
		check(t, k.Unmount())
	})
	t.Run("ignored", func(t *testing.T) {
		h := newSlow()
		k, c, f := slowKernel(t, h)
		done := background(read(f))
		<-h.inside
		c.Interrupt()
		c.Kill() // read already: it is waited for all the same
		select {
		case err := <-done:
			t.Fatal("a killed caller did not wait for the reply:", err)
		case <-time.After(50 * time.Millisecond):
		}
		close(h.letGo)
		check(t, after(t, done))
		check(t, k.Unmount())
	})
	t.Run("after", func(t *testing.T) {
		h := newSlow()
		close(h.letGo)
		k, c, f := slowKernel(t, h)
		check(t, after(t, background(read(f))))
		c.Interrupt()
		c.Unsignal()
		check(t, after(t, background(read(f))))
		if n := k.Count(protocol.OpInterrupt); n != 0 {
			t.Error(n, "INTERRUPTs for nothing")
		}
		check(t, k.Unmount())
	})
}

// TestResend resends a request that is in service: it is served once, answered
// once, under the new id.
func TestResend(t *testing.T) {
	h := newSlow()
	k, _, f := slowKernel(t, h)
	done := background(func() error { _, err := f.ReadAt(make([]byte, 4096), 0); return err })
	<-h.inside
	check(t, k.Conn().NotifyResend())
	for end := time.Now().Add(5 * time.Second); k.Conn().Stats().Resent == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	close(h.letGo)
	check(t, after(t, done))
	if h.reads != 1 {
		t.Errorf("served %d times", h.reads)
	}
	check(t, k.Unmount())
}

// TestAbort aborts with a request in service.
func TestAbort(t *testing.T) {
	h := newSlow()
	h.stop = true
	k, c, f := slowKernel(t, h)
	done := background(func() error { _, err := f.ReadAt(make([]byte, 4096), 0); return err })
	<-h.inside
	k.Abort()
	want(t, after(t, done), unix.ECONNABORTED)
	_, err := c.Stat("/d")
	want(t, err, unix.ENOTCONN)
	check(t, k.Unmount())
}

// TestNotify sends every notification and looks at what the kernel has done.
func TestNotify(t *testing.T) {
	h := &replies{}
	o := options(conntest.Options{})
	o.Conn.Threads = 1
	k, err := conntest.New(h, o)
	check(t, err)
	c := k.Process(0, 0)
	s := k.Conn()
	_, err = c.Stat("/f")
	check(t, err)

	want(t, unwrap(s.NotifyInvalInode(77, 0, 0)), unix.ENOENT)
	want(t, unwrap(s.NotifyInvalEntry(protocol.RootID, []byte("nobody"), false)), unix.ENOENT)
	want(t, unwrap(s.NotifyInvalEntry(3, []byte("x"), false)), unix.ENOTDIR)
	want(t, unwrap(s.NotifyDelete(protocol.RootID, 77, []byte("f"))), unix.ENOENT)
	want(t, unwrap(s.NotifyStore(protocol.RootID, 0, []byte("x"))), unix.EINVAL)

	page := unix.Getpagesize()
	f, err := c.Open("/f", unix.O_RDONLY, 0)
	check(t, err)
	data := bytes.Repeat([]byte("z"), page)
	check(t, s.NotifyStore(3, 0, data))
	reads := k.Count(protocol.OpRead)
	got := make([]byte, page)
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, data) || k.Count(protocol.OpRead) != reads {
		t.Error("STORE is not what is read", err)
	}
	check(t, s.NotifyRetrieve(12345, 3, 10, uint32(2*page)))
	k.Idle()
	for end := time.Now().Add(5 * time.Second); h.get() == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if !bytes.Equal(h.get(), data[10:]) {
		t.Errorf("RETRIEVE gave %d bytes", len(h.get()))
	}
	check(t, s.NotifyInvalInode(3, 0, 0))
	if _, err := f.ReadAt(got, 0); err != nil || bytes.Equal(got, data) || k.Count(protocol.OpRead) != reads+1 {
		t.Error("INVAL_INODE left the data", err)
	}
	check(t, f.Close())

	lookups := k.Count(protocol.OpLookup)
	_, err = c.Lookup("/f")
	check(t, err)
	if k.Count(protocol.OpLookup) != lookups {
		t.Error("a valid name was looked up")
	}
	check(t, s.NotifyInvalEntry(protocol.RootID, []byte("f"), true))
	check(t, s.NotifyIncEpoch())
	_, err = c.Lookup("/f")
	check(t, err)
	if n := k.Count(protocol.OpLookup); n != lookups+1 {
		t.Error(n-lookups, "LOOKUPs, want one")
	}
	check(t, s.NotifyPrune([]uint64{3, 99}))
	if n := k.Nlookup(); n[3] != 0 {
		t.Error("not pruned:", n)
	}
	_, err = c.Lookup("/f")
	check(t, err)
	check(t, s.NotifyDelete(protocol.RootID, 3, []byte("f")))
	if n := k.Nlookup(); n[3] != 0 {
		t.Error("not deleted:", n)
	}
	check(t, k.Unmount())
}

func unwrap(err error) error { return conn.Errno(err) }

// replies is clerk with names that last, and keeps NOTIFY_REPLYs.
type replies struct {
	clerk
	mu   sync.Mutex
	data []byte
}

func (h *replies) get() []byte { h.mu.Lock(); defer h.mu.Unlock(); return h.data }

func (h *replies) Serve(r *conn.Request) {
	switch r.Op() {
	case protocol.OpNotifyReply:
		h.mu.Lock()
		h.data = append([]byte(nil), r.Data...)
		h.mu.Unlock()
		r.NoReply()
	case protocol.OpLookup:
		e := protocol.ViewOf[protocol.EntryOut](r.Out())
		if !h.entry(string(r.Name), e) {
			_ = r.ReplyError(unix.ENOENT)
			return
		}
		e.EntryValid, e.AttrValid = 1000, 1000
		_ = r.Reply(128, 0)
	default:
		h.clerk.Serve(r)
	}
}
