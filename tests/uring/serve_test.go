package uring

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// TestRingMoreCallersThanDepth: all are in service at once, though a queue has one
// entry only to begin with: what is detached is made up for.
func TestRingMoreCallersThanDepth(t *testing.T) {
	const callers = 40
	var in atomic.Int32
	all := make(chan struct{})
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpGetxattr {
			return false
		}
		r.Detach()
		if in.Add(1) == callers {
			close(all)
		}
		go func() {
			<-all
			if err := r.Reply(0, 1); err != nil {
				t.Error(err)
			}
		}()
		return true
	}}, conn.Options{RingDepth: 1})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			b := make([]byte, 8)
			err := again(func() error { _, err := unix.Getxattr(filepath.Join(s.dir, "f"), "user.x", b); return err })
			if err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Errorf("%d of %d are in service", in.Load(), callers)
		_ = s.m.Abort()
		<-done
	}
	if st := s.c.Stats(); st.Entries < callers || st.Detached < callers {
		t.Errorf("%s", st.AppendText(nil))
	}
}

// TestRingCallersBeyondSlots: what there is no slot for waits its turn.
func TestRingCallersBeyondSlots(t *testing.T) {
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpStatfs {
			return false
		}
		r.Detach()
		time.AfterFunc(time.Millisecond, func() { _ = r.Reply(80, 0) })
		return true
	}}, conn.Options{RingDepth: 1, Threads: 1, Slots: 2*possible(t) + 4})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				if err := s.statfs(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if st := s.c.Stats(); st.SlotsUsed > 2*possible(t)+4 {
		t.Errorf("%s", st.AppendText(nil))
	}
}

// TestRingData: every way to answer brings the right bytes, whatever their number.
func TestRingData(t *testing.T) {
	var how atomic.Int32
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpRead || how.Load() == 0 {
			return false
		}
		in := r.ReadIn()
		n := int(min(int64(in.Size), fileSize-int64(in.Offset)))
		b := r.Payload()[:n]
		if how.Load() == 1 {
			b = make([]byte, n)
		}
		for i := range b {
			b[i] = pattern(int64(in.Offset) + int64(i))
		}
		iov := func(b []byte) (v syscall.Iovec) { v.Base = &b[0]; v.SetLen(len(b)); return v }
		switch {
		case n < 3:
			_ = r.ReplyVec(0, []syscall.Iovec{iov(b)}, n)
		case how.Load() == 3: // through each other: the middle is where the end will be
			m := n / 3
			x, y := bytes.Clone(b[m:2*m]), bytes.Clone(b[2*m:])
			copy(b[m:], y)
			copy(b[m+len(y):], x)
			_ = r.ReplyVec(0, []syscall.Iovec{iov(b[:m]), iov(b[m+len(y):]), iov(b[m : m+len(y)])}, n)
		default:
			_ = r.ReplyVec(0, []syscall.Iovec{iov(b[:1]), iov(b[1 : n/2+1]), iov(b[n/2+1:])}, n)
		}
		return true
	}}, conn.Options{MaxWrite: 64 << 10})
	f, err := unix.Open(filepath.Join(s.dir, "f"), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(f)
	b := make([]byte, 300<<10)
	for h := range int32(4) {
		how.Store(h)
		for i, n := range []int{1, 2, 3, 511, 4096, 4097, 65536, 65537, 200000, len(b)} {
			off := int64(fileSize - n - i*777)
			got := 0
			must(t, again(func() error { got, err = unix.Pread(f, b[:n], off); return err }))
			if got != n {
				t.Fatalf("way %d: read %d of %d", h, got, n)
			}
			for k := range n {
				if b[k] != pattern(off+int64(k)) {
					t.Fatalf("way %d, %d bytes at %d: byte %d is wrong", h, n, off, k)
				}
			}
		}
	}
}

// TestRingRequestsWithPayload: what a request carries survives until it is answered,
// and the data of the reply lie elsewhere until then.
func TestRingRequestsWithPayload(t *testing.T) {
	value := bytes.Repeat([]byte("value"), 13000)
	var mu sync.Mutex // what happens in the kernel between the two orders nothing for Go
	var wrote []byte
	take := func() []byte { mu.Lock(); defer mu.Unlock(); b := wrote; wrote = nil; return b }
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		switch r.Op() {
		case protocol.OpGetxattr:
			if string(r.Name) == "security.capability" {
				return false
			}
			p := r.Payload()
			n := copy(p, append(bytes.Clone(r.Name), value...))
			if string(r.Name) != "user.long-name" {
				t.Errorf("the name is %q", r.Name)
			}
			if r.GetxattrIn().Size == 0 {
				protocol.ViewOf[protocol.GetxattrOut](r.Out()).Size = uint32(n)
				_ = r.Reply(8, 0)
				return true
			}
			_ = r.Reply(0, n)
		case protocol.OpSetxattr:
			mu.Lock()
			wrote = bytes.Clone(r.Data)
			mu.Unlock()
			_ = r.ReplyError(0)
		case protocol.OpWrite:
			mu.Lock()
			wrote = append(wrote, r.Data...)
			mu.Unlock()
			protocol.ViewOf[protocol.WriteOut](r.Out()).Size = uint32(len(r.Data))
			_ = r.Reply(8, 0)
		default:
			return false
		}
		return true
	}}, conn.Options{})
	file := filepath.Join(s.dir, "f")
	b := make([]byte, 65536)
	n, err := unix.Getxattr(file, "user.long-name", b)
	if err != nil || string(b[:n]) != "user.long-name"+string(value) {
		t.Errorf("getxattr: %d, %v", n, err)
	}
	long := bytes.Repeat([]byte("x"), 65536)
	err = unix.Setxattr(file, "user.y", long, 0)
	if got := take(); err != nil || !bytes.Equal(got, long) {
		t.Errorf("setxattr: %v, %d bytes", err, len(got))
	}
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	data := make([]byte, 300000)
	for i := range data {
		data[i] = pattern(int64(i))
	}
	n, err = 0, nil
	must(t, again(func() error { n, err = unix.Pwrite(fd, data, 0); return err }))
	if got := take(); n != len(data) || !bytes.Equal(got, data) {
		t.Errorf("write: %d, %d bytes came", n, len(got))
	}
}

// TestRingElsewhere: a handler that waits for a request of the same CPU waits on
// another thread, again and again.
func TestRingElsewhere(t *testing.T) {
	gate := make(chan struct{})
	var first atomic.Int32
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		switch r.Op() {
		case protocol.OpStatfs:
			first.Add(1)
			if r.Elsewhere() {
				return true
			}
			<-gate
			return false
		case protocol.OpGetattr:
			gate <- struct{}{}
		}
		return false
	}}, conn.Options{})
	for range 20 {
		var wg sync.WaitGroup
		before := first.Load()
		wg.Go(func() {
			on(0, func() {
				if err := s.statfs(); err != nil {
					t.Error(err)
				}
			})
		})
		eventually(t, "it is elsewhere", func() bool { return first.Load() == before+2 })
		on(0, func() {
			var st unix.Stat_t
			if err := again(func() error { return unix.Stat(s.dir, &st) }); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	if st := s.c.Stats(); st.Moved != 20 || st.Workers != 1 {
		t.Errorf("%s", st.AppendText(nil))
	}
}

// TestRingBadHandlers: a panic, a runtime.Goexit and Retire cost the request at most.
// The thread that did it runs no handler again; its ring goes on.
func TestRingBadHandlers(t *testing.T) {
	for _, bad := range []struct {
		name string
		do   func(r *conn.Request)
		err  error
	}{
		{"panic", func(*conn.Request) { panic("meant") }, unix.EIO},
		{"goexit", func(*conn.Request) { runtime.Goexit() }, unix.EIO},
		{"retire", func(r *conn.Request) { r.Thread().Retire() }, nil},
	} {
		t.Run(bad.name, func(t *testing.T) {
			var mu sync.Mutex
			retired := map[*conn.Thread]bool{}
			var tids sync.Map
			s := onRing(t, &handler{serve: func(r *conn.Request) bool {
				mu.Lock()
				if retired[r.Thread()] {
					t.Error("a thread that was given up runs a handler")
				}
				tids.Store(unix.Gettid(), true)
				if r.Op() != protocol.OpStatfs {
					mu.Unlock()
					return false
				}
				retired[r.Thread()] = true
				mu.Unlock()
				bad.do(r)
				return false
			}}, conn.Options{})
			for range 6 {
				for cpu := range runtime.NumCPU() {
					on(cpu, func() {
						if err := s.statfs(); err != bad.err {
							t.Errorf("statfs: %v, want %v", err, bad.err)
						}
						if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil {
							t.Error(err)
						}
					})
				}
			}
			if st := s.c.Stats(); st.Moved == 0 || st.InFlight != 0 {
				t.Errorf("%s", st.AppendText(nil))
			}
		})
	}
}

// TestRingInterrupt: the INTERRUPT, which comes on the device, reaches the request,
// which came on a ring.
func TestRingInterrupt(t *testing.T) {
	waits := make(chan struct{}, 1)
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpStatfs {
			return false
		}
		r.Detach()
		r.OnInterrupt(func(r *conn.Request) { _ = r.ReplyError(unix.EINTR) })
		waits <- struct{}{}
		return true
	}}, conn.Options{})
	for range 10 {
		tid := make(chan int, 1)
		got := make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			tid <- unix.Gettid()
			var st unix.Statfs_t
			got <- unix.Statfs(s.dir, &st)
		}()
		<-waits
		must(t, unix.Tgkill(unix.Getpid(), <-tid, unix.SIGURG))
		select {
		case err := <-got:
			if err != unix.EINTR {
				t.Errorf("statfs: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the signal was to no avail")
		}
	}
	if n := s.c.Stats().Interrupts; n < 10 {
		t.Errorf("%d interrupts", n)
	}
}

// TestRingManyLarge: reads and writes of 1 MiB, from several threads, with more memory
// than entries may keep; each byte is looked at.
func TestRingManyLarge(t *testing.T) {
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpWrite {
			return false
		}
		off := int64(r.WriteIn().Offset)
		for i, c := range r.Data {
			if c != pattern(off+int64(i)) {
				_ = r.ReplyError(unix.EBADMSG)
				return true
			}
		}
		protocol.ViewOf[protocol.WriteOut](r.Out()).Size = uint32(len(r.Data))
		_ = r.Reply(8, 0)
		return true
	}}, conn.Options{MaxWrite: 1 << 20, RingDepth: 16})
	var wg sync.WaitGroup
	for w := range int64(6) {
		wg.Go(func() {
			f, err := unix.Open(filepath.Join(s.dir, "f"), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer unix.Close(f)
			b := make([]byte, 1<<20)
			for i := range int64(20) {
				off := (w + i) % 8 << 20
				n := len(b) >> (i % 3)
				clear(b)
				got := 0
				err := again(func() (err error) { got, err = unix.Pread(f, b[:n], off); return err })
				for k := range b[:n] {
					if b[k] != pattern(off+int64(k)) {
						t.Errorf("%d bytes at %d, %v: byte %d is wrong", got, off, err, k)
						return
					}
				}
				err = again(func() (err error) { got, err = unix.Pwrite(f, b[:n], off); return err })
				if err != nil || got != n {
					t.Errorf("write: %d, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestRingMemory: entries hold memory for what passed through them, within bounds, and
// no longer than it takes.
func TestRingMemory(t *testing.T) {
	s := onRing(t, &handler{}, conn.Options{MaxWrite: 1 << 20, RingDepth: 32})
	f, err := unix.Open(filepath.Join(s.dir, "f"), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(f)
	idle := s.c.Stats()
	b := make([]byte, 1<<20)
	peak := 0
	for i := range int64(200) {
		clear(b)
		off := i % 7 << 20
		must(t, again(func() error { _, err := unix.Pread(f, b, off); return err }))
		for k := range b {
			if b[k] != pattern(off+int64(k)) {
				t.Fatalf("read %d: byte %d is wrong", i, k)
			}
		}
		peak = max(peak, s.c.Stats().Memory)
	}
	if peak < 1<<20 || peak > 36<<20 {
		t.Errorf("%d bytes in use, for 32 entries a CPU that saw 1 MiB each", peak)
	}
	eventually(t, "memory is given back", func() bool { return s.c.Stats().Memory <= 2*possible(t)*32*16<<10 })
	if idle.Memory > 1<<20 {
		t.Errorf("%d bytes before the first request", idle.Memory)
	}
}

// TestRingTrace: the tap sees whole messages.
func TestRingTrace(t *testing.T) {
	tap := &tap{t: t}
	s := onRing(t, &handler{}, conn.Options{Trace: tap})
	if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil {
		t.Error(err)
	}
	must(t, s.statfs())
	if tap.seen.Load() < 2 {
		t.Error("nothing was seen")
	}
}

type tap struct {
	t    *testing.T
	seen atomic.Int32
}

func (p *tap) Request(r *protocol.Request, raw []byte) {
	var again protocol.Request
	if err := again.Decode(append(make([]byte, 0, len(raw)), raw...), &protocol.Params{Minor: protocol.KernelMinorVersion}); err != nil {
		p.t.Errorf("%v: %v", r.Op(), err)
	} else if int(again.Header.Len) != len(raw) || string(again.Name) != string(r.Name) {
		p.t.Errorf("%v: %d bytes, name %q", r.Op(), len(raw), again.Name)
	}
}

func (p *tap) Reply(op protocol.Opcode, msg []byte, err error) {
	if op == protocol.OpLookup && len(msg) != 16+128 || op == protocol.OpStatfs && len(msg) != 16+80 || err != nil {
		p.t.Errorf("%v: %d bytes, %v", op, len(msg), err)
	}
	p.seen.Add(1)
}

func (p *tap) Notify([]byte, error) {}
