package ops

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// kernel plays the kernel's side on a SOCK_SEQPACKET pair, and may refuse
// replies as the real one does.
type kernel struct {
	t      testing.TB
	fd     int
	unique uint64
	req    protocol.Request
	hdr    protocol.InHeader
	out    []byte
	in     []byte
	served chan error
	c      *conn.Conn
	dev    *device
	mu     sync.Mutex
	logged []string
}

// device refuses replies to requests while lose is set.
type device struct {
	*conn.FuseDevice
	lose  atomic.Bool
	tries atomic.Int32
}

func (d *device) WriteReply(iov []syscall.Iovec) (int, error) {
	if d.lose.Load() {
		d.tries.Add(1)
		return 0, unix.ENOENT
	}
	return d.FuseDevice.WriteReply(iov)
}

const allFlags = uint64(0x7fd)<<32 | 0x73fffffb

// serve serves h with INIT done.
func serve(t testing.TB, fs any, o *conn.Options) *kernel {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		// A reply of 64 KiB and more is one packet.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	}
	tv := unix.NsecToTimeval(int64(20 * time.Second))
	if err := unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	dev, err := conn.NewFuseDevice(fds[1])
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	if o == nil {
		o = &conn.Options{}
	}
	if o.MaxWrite == 0 {
		o.MaxWrite = 64 << 10
	}
	k := &kernel{t: t, fd: fds[0], in: make([]byte, 1<<20), served: make(chan error, 1), dev: &device{FuseDevice: dev}}
	o.Log = func(s string) { k.mu.Lock(); k.logged = append(k.logged, s); k.mu.Unlock() }
	k.c = conn.New(k.dev, o)
	go func() { k.served <- k.c.Serve(New(fs)) }()
	t.Cleanup(k.unmount)
	flags := uint64(allFlags)
	in := protocol.InitIn{Major: 7, Minor: 45, MaxReadahead: 1 << 17, Flags: uint32(flags), Flags2: uint32(flags >> 32)}
	if e, _ := k.call(protocol.OpInit, 0, protocol.Request{Arg: protocol.BytesOf(&in)}); e != 0 {
		t.Fatalf("INIT: %v", e)
	}
	<-k.c.Ready()
	return k
}

// unmount ends the connection and waits for Serve.
func (k *kernel) unmount() {
	if k.fd < 0 {
		return
	}
	unix.Close(k.fd)
	k.fd = -1
	select {
	case err := <-k.served:
		if err != nil {
			k.t.Errorf("Serve: %v", err)
		}
	case <-time.After(20 * time.Second):
		k.t.Error("Serve did not return")
	}
}

// send sends one request and returns its unique.
func (k *kernel) send(op protocol.Opcode, nodeid uint64, r protocol.Request) uint64 {
	k.unique += 2
	k.hdr = protocol.InHeader{Opcode: op, Unique: k.unique, Nodeid: nodeid, Uid: 1000, Gid: 100, Pid: 7}
	k.req = r
	k.req.Header = &k.hdr
	// Append writes the arguments; the length is known only then.
	k.out = k.req.Append(k.out[:0])
	protocol.ViewOf[protocol.InHeader](k.out).Len = uint32(len(k.out))
	for {
		if _, err := unix.Write(k.fd, k.out); err == nil {
			return k.unique
		} else if err != unix.EINTR {
			k.t.Fatalf("send %v: %v", op, err)
		}
	}
}

// recv returns the next reply; body is valid until the next recv.
func (k *kernel) recv() (unique uint64, errno unix.Errno, body []byte) {
	for {
		n, err := unix.Read(k.fd, k.in)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 16 {
			k.t.Fatalf("recv: %d, %v", n, err)
		}
		h := protocol.ViewOf[protocol.OutHeader](k.in)
		if int(h.Len) != n {
			k.t.Fatalf("reply says %d bytes and has %d", h.Len, n)
		}
		if h.Error > 0 || h.Error <= -512 || h.Error != 0 && n != 16 {
			k.t.Fatalf("reply with error %d and %d bytes: the kernel refuses it", h.Error, n)
		}
		return h.Unique, unix.Errno(-h.Error), k.in[16:n]
	}
}

func (k *kernel) call(op protocol.Opcode, nodeid uint64, r protocol.Request) (unix.Errno, []byte) {
	k.t.Helper()
	want := k.send(op, nodeid, r)
	unique, e, body := k.recv()
	if unique != want {
		k.t.Fatalf("%v: reply to %d, not %d", op, unique, want)
	}
	return e, body
}

// lost sends a request whose reply the kernel refuses, and waits until then.
func (k *kernel) lost(op protocol.Opcode, nodeid uint64, r protocol.Request) {
	k.t.Helper()
	before := k.dev.tries.Load()
	k.dev.lose.Store(true)
	k.send(op, nodeid, r)
	eventually(k.t, "reply refused", func() bool { return k.dev.tries.Load() > before })
	k.dev.lose.Store(false)
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
