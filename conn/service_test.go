package conn

import (
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestDetach answers from other goroutines, in the opposite order.
func TestDetach(t *testing.T) {
	const n = 40
	held := make(chan *Request, n)
	s := serving(t, &funcs{serve: func(r *Request) {
		r.Detach()
		held <- r
	}}, nil)
	ids := map[uint64]bool{}
	for i := range n {
		ids[s.getattr(uint64(i+1))] = true
	}
	var reqs []*Request
	for range n {
		reqs = append(reqs, <-held)
	}
	if got := s.c.Stats().InFlight; got != n {
		t.Errorf("%d in flight, want %d", got, n)
	}
	if lines := strings.Count(string(s.c.AppendInflight(nil)), "GETATTR"); lines != n {
		t.Errorf("%d lines in the list, want %d", lines, n)
	}
	for i := range reqs {
		go func() { _ = reqs[n-1-i].ReplyError(unix.ENODATA) }()
	}
	for range n {
		h, _ := s.recv()
		if !ids[h.Unique] || h.Error != -int32(unix.ENODATA) {
			t.Errorf("reply %+v", h)
		}
		delete(ids, h.Unique)
	}
	if s.c.Stats().Detached != n {
		t.Error("not counted")
	}
	eventually(t, "slots come back", func() bool { return s.c.Stats().InFlight == 0 })
}

func TestStatsText(t *testing.T) {
	if got := string(new(Stats).AppendText(nil)); got != "requests=0" {
		t.Errorf("nothing happened yet: %q", got)
	}
	s := Stats{Requests: 7, Panics: 1, SlotsPeak: 3}
	if got := string(s.AppendText([]byte("p: "))); got != "p: requests=7 panics=1 slotspeak=3" {
		t.Errorf("%q", got)
	}
}

// TestShrink: a request that waits long keeps no pages of the one before it.
func TestShrink(t *testing.T) {
	const size = 60 << 10
	held := make(chan *Request, 1)
	s := serving(t, &funcs{serve: func(r *Request) {
		b := r.Payload()[:size]
		if r.Header.Nodeid == 1 {
			for i := range b {
				b[i] = 1
			}
			_ = r.Reply(0, size)
			return
		}
		r.Shrink()
		r.Detach()
		held <- r
	}}, &Options{Threads: 1, IdleThreads: 1})
	s.getattr(1)
	s.recv()
	s.getattr(2)
	r := <-held
	for i, c := range r.Payload()[:size] {
		if c != 0 {
			t.Fatalf("byte %d of the payload area is still there", i)
		}
	}
	if r.Header.Nodeid != 2 || r.Header.Opcode != protocol.OpGetattr {
		t.Errorf("the request itself: %+v", r.Header)
	}
	_ = r.ReplyError(unix.ENODATA)
	s.recv()
}

// TestBackPressure reaches the cap of slots: what is not read stays with the
// kernel, and is served when slots come back.
func TestBackPressure(t *testing.T) {
	const slots, n = 6, 60
	held := make(chan *Request, n)
	s := serving(t, &funcs{serve: func(r *Request) {
		r.Detach()
		held <- r
	}}, &Options{Slots: slots, Threads: 3})
	for range n {
		s.getattr(1)
	}
	var first []*Request
	for range slots {
		first = append(first, <-held)
	}
	time.Sleep(20 * time.Millisecond)
	if len(held) != 0 {
		t.Fatalf("more than %d requests in service", slots)
	}
	st := s.c.Stats()
	if st.Slots != slots || st.SlotsUsed != slots || st.SlotsPeak != slots {
		t.Errorf("%+v", st)
	}
	go func() {
		for _, r := range first {
			_ = r.ReplyError(unix.EPERM)
		}
		for range n - slots {
			_ = (<-held).ReplyError(unix.EPERM)
		}
	}()
	for range n {
		s.recv()
	}
	if s.c.Stats().Starved == 0 {
		t.Error("no reader waited for a slot")
	}
}

// TestBlock has every handler block at once, having said so: each gets a thread,
// up to the cap, and the mount serves on.
func TestBlock(t *testing.T) { testBlocked(t, func(r *Request) { r.Block() }) }

// TestBlockUnsaid is the same with handlers that block without a word.
func TestBlockUnsaid(t *testing.T) { testBlocked(t, func(*Request) {}) }

func testBlocked(t *testing.T, say func(*Request)) {
	const threads = 8
	gate := make(chan struct{})
	var open sync.Once
	t.Cleanup(func() { open.Do(func() { close(gate) }) })
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Header.Nodeid == 1 {
			say(r)
			<-gate
		}
		_ = r.ReplyError(unix.EPERM)
	}}, &Options{Threads: threads})
	for i := range threads - 1 {
		s.getattr(1)
		s.want(s.getattr(2), unix.EPERM) // somebody still serves
		eventually(t, "it blocks", func() bool { return s.c.Stats().InFlight == i+1 })
	}
	if n := s.c.Stats().Threads; n > threads {
		t.Errorf("%d threads, cap %d", n, threads)
	}
	open.Do(func() { close(gate) })
	for range threads - 1 {
		s.recv()
	}
	s.want(s.getattr(2), unix.EPERM)
}

// TestRetire checks that a thread which the handler has spoilt serves nothing
// after that request.
func TestRetire(t *testing.T) {
	var mu sync.Mutex
	spoilt := map[int]bool{}
	s := serving(t, &funcs{serve: func(r *Request) {
		mu.Lock()
		if spoilt[unix.Gettid()] {
			t.Error("a retired thread serves")
		}
		spoilt[unix.Gettid()] = true
		mu.Unlock()
		r.Thread().Retire()
		_ = r.ReplyError(unix.EPERM)
	}}, nil)
	// thread ids do not come back so soon
	for range 100 {
		s.want(s.getattr(1), unix.EPERM)
	}
	mu.Lock()
	defer mu.Unlock()
	if spoilt[os.Getpid()] {
		t.Error("the process's first thread served")
	}
}

// TestStuck checks that Serve returns although a handler does not, that it names
// the request, and that nothing is written any more when the handler comes back.
func TestStuck(t *testing.T) {
	gate, back := make(chan struct{}), make(chan error, 1)
	ended := make(chan struct{})
	s := serving(t, &funcs{serve: func(r *Request) {
		<-gate
		back <- r.ReplyError(unix.EPERM)
	}, done: func() { close(ended) }}, &Options{DrainTimeout: 50 * time.Millisecond})
	s.getattr(77)
	eventually(t, "it is in service", func() bool { return s.c.Stats().InFlight == 1 })
	err := s.wait()
	if Errno(err) != unix.ETIMEDOUT || !strings.Contains(err.Error(), "GETATTR") || !strings.Contains(err.Error(), "77") {
		t.Errorf("Serve: %v", err)
	}
	if err := s.c.NotifyResend(); err != ErrUnmounted {
		t.Errorf("notification after the end: %v", err)
	}
	select {
	case <-ended:
		t.Error("Done was called with a handler at work")
	default:
	}
	close(gate)
	if err := <-back; err != unix.ENOENT {
		t.Errorf("late reply: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("Done was not called")
	}
}

// TestCycles opens and closes many connections and counts what is left.
func TestCycles(t *testing.T) {
	count := func() (goroutines, fds int) {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(d)
	}
	g0, f0 := count()
	n := 1000
	if testing.Short() {
		n = 100
	}
	for range n {
		t.Run("", func(t *testing.T) {
			s := serving(t, &funcs{serve: func(r *Request) { _ = r.ReplyError(unix.EPERM) }}, nil)
			s.want(s.getattr(1), unix.EPERM)
			if err := s.wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
	eventually(t, "goroutines and descriptors as before", func() bool {
		g, f := count()
		return g <= g0 && f <= f0
	})
}

// TestAllocs gates the way of a request: none.
func TestAllocs(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Header.Opcode == protocol.OpRead {
			_ = r.Reply(0, int(r.ReadIn().Size))
			return
		}
		_ = r.Reply(104, 0)
	}}, nil)
	head := protocol.InHeader{Len: 56, Opcode: protocol.OpGetattr, Nodeid: 1}
	get := append(append([]byte(nil), protocol.BytesOf(&head)...), make([]byte, 16)...)
	head.Len, head.Opcode = 80, protocol.OpRead
	read := append(append([]byte(nil), protocol.BytesOf(&head)...), protocol.BytesOf(&protocol.ReadIn{Size: 4096})...)
	if n := testing.AllocsPerRun(2000, func() {
		for _, msg := range [][]byte{get, read} {
			s.unique += 2
			protocol.ViewOf[protocol.InHeader](msg).Unique = s.unique
			_, err := unix.Write(s.fd, msg)
			for err == unix.EINTR {
				_, err = unix.Write(s.fd, msg)
			}
			if err != nil {
				t.Fatal(err)
			}
			n, err := unix.Read(s.fd, s.buf)
			for err == unix.EINTR {
				n, err = unix.Read(s.fd, s.buf)
			}
			if n < 100 || err != nil {
				t.Fatal(n, err)
			}
		}
	}); n > 0.05 {
		t.Errorf("%v allocations for two requests", n)
	}
}
