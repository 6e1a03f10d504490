package conn

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestBeforeInit sends requests before INIT: none reaches the handler.
func TestBeforeInit(t *testing.T) {
	s := start(t, &funcs{
		serve:  func(*Request) { t.Error("served") },
		forget: func(uint64, uint64) { t.Error("forgot") },
	}, nil)
	s.want(s.send(protocol.OpStatfs, 1), unix.EIO)
	s.send(protocol.OpForget, 1, protocol.BytesOf(&protocol.ForgetIn{Nlookup: 1}))
	s.sendInit(offer(45, all))
	if h, _ := s.recv(); h.Error != 0 {
		t.Fatal(h)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
}

// TestGoexit checks that a handler that ends its goroutine costs its request and
// its thread, nothing more.
func TestGoexit(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Op() == protocol.OpStatfs {
			runtime.Goexit()
		}
		_ = r.ReplyError(0)
	}}, &Options{Threads: 1})
	for range 5 {
		s.want(s.send(protocol.OpStatfs, 1), unix.EIO)
		s.want(s.send(protocol.OpAccess, 1, protocol.BytesOf(&protocol.AccessIn{})), 0)
	}
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if st := s.c.Stats(); st.Panics != 5 || st.SlotsUsed != 0 {
		t.Errorf("%+v", st)
	}
}

// tape is a Tap that keeps everything.
type tape struct {
	mu sync.Mutex
	s  []string
}

func (t *tape) put(s string, err error) {
	if err != nil {
		s += " " + err.Error()
	}
	t.mu.Lock()
	t.s = append(t.s, s)
	t.mu.Unlock()
}
func (t *tape) Request(r *protocol.Request, raw []byte) {
	t.put("> "+r.Header.Opcode.String()+" "+string(raw[40:]), nil)
}
func (t *tape) Reply(op protocol.Opcode, msg []byte, err error) {
	t.put("< "+op.String()+" "+string(msg[16:]), err)
}
func (t *tape) Notify(msg []byte, err error) { t.put("! "+string(msg[32:]), err) }

// TestTap checks that a tap sees every message: a reply once it is written, when
// another reader may be at the next request already.
func TestTap(t *testing.T) {
	tap := &tape{}
	tail := []byte("-vector")
	s := serving(t, &funcs{serve: func(r *Request) {
		if r.Op() == protocol.OpReadlink {
			iov := make([]syscall.Iovec, 1)
			iov[0].Base = &tail[0]
			iov[0].SetLen(len(tail))
			_ = r.ReplyVec(copy(r.Out(), "pang"), iov, len(tail))
			return
		}
		_ = r.Reply(0, copy(r.Payload(), "pong"))
	}}, &Options{Trace: tap})
	s.send(protocol.OpLookup, 1, []byte("ping\x00"))
	s.recv()
	s.send(protocol.OpReadlink, 1)
	s.recv()
	if err := s.c.NotifyInvalEntry(1, []byte("name"), false); err != nil {
		t.Fatal(err)
	}
	s.recv()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	text := strings.Join(tap.s, "\n")
	for _, w := range [][2]string{{"> INIT", "< INIT"}, {"> LOOKUP ping\x00\n", "< LOOKUP pong"},
		{"> READLINK \n", "< READLINK pang-vector"}, {"> INIT", "! name\x00"}} {
		if i, j := strings.Index(text, w[0]), strings.Index(text, w[1]); i < 0 || j < i {
			t.Errorf("no %q and then %q in %q", w[0], w[1], text)
		}
	}
	if len(tap.s) != 7 {
		t.Errorf("%d messages, want 7: %q", len(tap.s), tap.s)
	}
}

// TestSlotShrinks checks that a reader with nothing to do gives the memory of a
// large request back.
func TestSlotShrinks(t *testing.T) {
	const size = 512 << 10
	var slot atomic.Pointer[Request]
	s := serving(t, &funcs{serve: func(r *Request) {
		slot.Store(r)
		_ = r.Reply(0, copy(r.Payload(), make([]byte, size)))
	}}, &Options{MaxWrite: size, Threads: 1})
	resident := func() int {
		mem, n := slot.Load().mem, 0
		vec := make([]byte, len(mem)/unix.Getpagesize())
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&vec[0]))); e != 0 {
			t.Fatal(e)
		}
		for _, v := range vec {
			n += int(v&1) * unix.Getpagesize()
		}
		return n
	}
	s.send(protocol.OpRead, 1, protocol.BytesOf(&protocol.ReadIn{Size: size}))
	s.recv()
	eventually(t, "the slot shrinks", func() bool { return resident() <= keepBytes+unix.Getpagesize() })
}

// TestMonitorSleeps checks that an idle connection has no periodic wake-ups.
func TestMonitorSleeps(t *testing.T) {
	s := serving(t, &funcs{}, nil)
	for range 3 {
		s.want(s.send(protocol.OpStatfs, 1), unix.ENOSYS)
		eventually(t, "the monitor parks", s.c.monIdle.Load)
	}
}

// TestNotReused checks that after Serve nothing is written to whatever has got
// the descriptor's number since.
func TestNotReused(t *testing.T) {
	s := serving(t, &funcs{}, nil)
	fd := s.c.port.(*FuseDevice).fd
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	var p [2]int
	must(t, unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if fd != p[0] && fd != p[1] {
		must(t, unix.Dup3(p[1], fd, unix.O_CLOEXEC))
		defer unix.Close(fd)
	}
	_, open := s.c.BackingOpen(0)
	for _, err := range []error{open, s.c.BackingClose(1), s.c.NotifyInvalInode(1, 0, 0),
		s.c.NotifyStore(1, 0, []byte("x")), s.c.NotifyResend()} {
		if !errors.Is(err, ErrUnmounted) || !errors.Is(err, unix.ENODEV) {
			t.Errorf("after the end: %v", err)
		}
	}
	if n, err := unix.Read(p[0], make([]byte, 100)); err != unix.EAGAIN {
		t.Errorf("%d bytes were written to somebody else's descriptor (%v)", n, err)
	}
}

// TestListWhileServing reads the list of requests and the counters while
// requests are answered in every way there is, from everywhere.
func TestListWhileServing(t *testing.T) {
	s := serving(t, &funcs{serve: func(r *Request) {
		copy(r.Out(), r.Name)
		done := make(chan struct{})
		switch r.Unique() / 2 % 4 {
		case 0:
			_ = r.Reply(8, 0)
		case 1:
			r.Detach()
			go func() { _ = r.Reply(8, 0) }()
		case 2: // detached elsewhere, before Serve returns
			go func() { r.Detach(); close(done); _ = r.Reply(8, 0) }()
			<-done
		case 3: // answered elsewhere, before Serve returns
			go func() { _ = r.Reply(8, 0); close(done) }()
			<-done
		}
	}}, &Options{Threads: 4, IdleThreads: 4})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-stop:
				return
			default:
			}
			for l := range strings.Lines(string(s.c.AppendInflight(nil))) {
				if !strings.Contains(l, "LOOKUP") || !strings.HasSuffix(l, "\n") {
					t.Errorf("in flight: %q", l)
				}
			}
			s.c.Stats()
		}
	}()
	names := map[uint64]string{}
	for i := 0; i < 3000; i += 20 {
		for range 20 {
			name := string([]byte{'n', byte('a' + i%26), byte('a' + i/26%26)})
			names[s.send(protocol.OpLookup, 1, []byte(name+"\x00"))] = name
		}
		for range 20 {
			h, b := s.recv()
			if w, ok := names[h.Unique]; !ok || string(b[:3]) != w {
				t.Fatalf("reply %d: %q, want %q", h.Unique, b, w)
			}
			delete(names, h.Unique)
		}
	}
	close(stop)
	wg.Wait()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if st := s.c.Stats(); st.InFlight != 0 || st.SlotsUsed != 0 || st.Double+st.Unanswered+st.Panics != 0 {
		t.Errorf("%+v", st)
	}
}

// TestThreadsLeave checks that connections leave no OS thread behind.
func TestThreadsLeave(t *testing.T) {
	threads := func() int {
		d, err := os.ReadDir("/proc/self/task")
		must(t, err)
		return len(d)
	}
	before := 0
	for i := range 60 {
		s := serving(t, &funcs{serve: func(r *Request) { r.Block(); _ = r.ReplyError(0) }}, &Options{IdleThreads: 4})
		s.want(s.send(protocol.OpStatfs, 1), 0)
		if err := s.wait(); err != nil {
			t.Fatal(err)
		}
		if i == 9 { // the runtime has what it keeps
			time.Sleep(50 * time.Millisecond)
			before = threads()
		}
	}
	eventually(t, "threads end", func() bool { return threads() <= before+6 })
}
