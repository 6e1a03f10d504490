package conn

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// kernel is the other end of a channel: a SOCK_SEQPACKET socket on which a test
// plays the kernel.
type kernel struct {
	t      *testing.T
	fd     int
	unique uint64
	buf    []byte
}

// funcs is a Handler made of functions; those that are nil do the least.
type funcs struct {
	init   func(*Conn, *protocol.InitIn, *protocol.InitOut) error
	serve  func(*Request)
	forget func(nodeid, nlookup uint64)
	done   func()
}

func (f *funcs) Init(c *Conn, in *protocol.InitIn, out *protocol.InitOut) error {
	if f.init != nil {
		return f.init(c, in, out)
	}
	return nil
}

func (f *funcs) Serve(r *Request) {
	if f.serve != nil {
		f.serve(r)
		return
	}
	_ = r.ReplyError(unix.ENOSYS)
}

func (f *funcs) Forget(nodeid, nlookup uint64) {
	if f.forget != nil {
		f.forget(nodeid, nlookup)
	}
}

func (f *funcs) Done() {
	if f.done != nil {
		f.done()
	}
}

// session is a connection being served.
type session struct {
	*kernel
	c    *Conn
	done chan struct{}
	err  error
	logs *logs
}

type logs struct {
	mu sync.Mutex
	s  []string
}

func (l *logs) add(s string) { l.mu.Lock(); l.s = append(l.s, s); l.mu.Unlock() }
func (l *logs) has(sub string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.s {
		if strings.Contains(s, sub) {
			return true
		}
	}
	return false
}

// start serves h over a socket; INIT has not been sent.
func start(t *testing.T, h Handler, o *Options) *session {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	}
	dev, err := NewFuseDevice(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	tv := unix.NsecToTimeval(int64(10 * time.Second))
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	if o == nil {
		o = &Options{}
	}
	if o.MaxWrite == 0 {
		o.MaxWrite = 64 << 10
	}
	s := &session{
		kernel: &kernel{t: t, fd: fds[0], buf: make([]byte, 1<<20)},
		done:   make(chan struct{}),
		logs:   &logs{},
	}
	o.Log = s.logs.add
	s.c = New(dev, o)
	go func() {
		s.err = s.c.Serve(h)
		close(s.done)
	}()
	t.Cleanup(func() {
		s.close()
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			t.Error("Serve did not return")
		}
	})
	return s
}

// serving is start, with INIT done.
func serving(t *testing.T, h Handler, o *Options) *session {
	t.Helper()
	s := start(t, h, o)
	s.sendInit(&protocol.InitIn{Major: 7, Minor: 45, MaxReadahead: 128 << 10, Flags: 0x73fffffb, Flags2: 0x7fd})
	if h, _ := s.recv(); h.Error != 0 {
		t.Fatalf("INIT: %d", h.Error)
	}
	select {
	case <-s.c.Ready():
	case <-time.After(5 * time.Second):
		t.Fatal("not ready")
	}
	return s
}

func (s *session) sendInit(in *protocol.InitIn) uint64 {
	return s.send(protocol.OpInit, 0, protocol.BytesOf(in))
}

// wait unmounts and returns what Serve did.
func (s *session) wait() error {
	s.t.Helper()
	s.close()
	return s.result()
}

func (s *session) result() error {
	s.t.Helper()
	select {
	case <-s.done:
		return s.err
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<16)
		s.t.Fatalf("Serve did not return\n%s", buf[:runtime.Stack(buf, true)])
		return nil
	}
}

func (k *kernel) close() {
	if k.fd >= 0 {
		unix.Close(k.fd)
		k.fd = -1
	}
}

// send sends one request with a new id, which it returns.
func (k *kernel) send(op protocol.Opcode, nodeid uint64, parts ...[]byte) uint64 {
	k.t.Helper()
	k.unique += 2
	k.sendAs(k.unique, op, nodeid, parts...)
	return k.unique
}

func (k *kernel) sendAs(unique uint64, op protocol.Opcode, nodeid uint64, parts ...[]byte) {
	k.t.Helper()
	n := 40
	for _, p := range parts {
		n += len(p)
	}
	h := protocol.InHeader{Len: uint32(n), Opcode: op, Unique: unique, Nodeid: nodeid, Uid: 1000, Gid: 1000, Pid: 7}
	k.raw(append([][]byte{protocol.BytesOf(&h)}, parts...)...)
}

func (k *kernel) raw(parts ...[]byte) {
	k.t.Helper()
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	for {
		_, err := unix.Write(k.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			k.t.Fatalf("send: %v", err)
		}
		return
	}
}

// recv returns the next message; the body is valid until the next call.
func (k *kernel) recv() (protocol.OutHeader, []byte) {
	k.t.Helper()
	for {
		n, err := unix.Read(k.fd, k.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			k.t.Fatalf("recv: %v", err)
		}
		if n < 16 {
			k.t.Fatalf("recv: %d bytes", n)
		}
		h := *protocol.ViewOf[protocol.OutHeader](k.buf)
		if int(h.Len) != n {
			k.t.Fatalf("recv: len %d in a message of %d", h.Len, n)
		}
		return h, k.buf[16:n]
	}
}

// want receives a bare reply.
func (k *kernel) want(unique uint64, errno unix.Errno) {
	k.t.Helper()
	h, body := k.recv()
	if h.Unique != unique || h.Error != -int32(errno) || len(body) != 0 {
		k.t.Fatalf("reply to %#x: %d, %d bytes; want %#x: %d", h.Unique, h.Error, len(body), unique, -int32(errno))
	}
}

// silent fails if a message arrives within d.
func (k *kernel) silent(d time.Duration) {
	k.t.Helper()
	p := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(p, int(d/time.Millisecond)); n > 0 {
		h, _ := k.recv()
		k.t.Fatalf("unexpected message %+v", h)
	}
}

// eventually polls cond for a few seconds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("did not happen: %s", what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
