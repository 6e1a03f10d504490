package ops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

func TestErrno(t *testing.T) {
	_, notExist := os.Open("/nonexistent/file")
	for _, c := range []struct {
		err  error
		want unix.Errno
	}{
		{unix.ENOENT, unix.ENOENT},
		{notExist, unix.ENOENT},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", unix.EXDEV)), unix.EXDEV},
		{errors.Join(errors.New("x"), unix.EPERM), unix.EPERM},
		{errors.New("x"), unix.EIO},
		{context.Canceled, unix.EIO},
		{unix.Errno(0), unix.EIO},
		{unix.Errno(511), unix.Errno(511)},
		{unix.Errno(512), unix.EIO}, // ERESTARTSYS, the kernel's own
		{unix.Errno(math.MaxUint32), unix.EIO},
		{fmt.Errorf("%w", unix.Errno(513)), unix.EIO},
		{Later, unix.EIO},
	} {
		if got := Errno(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// A reply the kernel refuses has given it nothing: all is taken back.
func TestLostReplies(t *testing.T) {
	f := &full{}
	k := serve(t, f, nil)
	plus := "forget 100 1; forget 101 1"
	want := map[protocol.Opcode]string{
		protocol.OpLookup: "forget 77 1", protocol.OpSymlink: "forget 77 1", protocol.OpMknod: "forget 77 1",
		protocol.OpMkdir: "forget 77 1", protocol.OpLink: "forget 77 1",
		protocol.OpOpen: "cancel 5 11 false", protocol.OpOpendir: "cancel 5 13 true",
		protocol.OpCreate:  "cancel 77 16 false; forget 77 1",
		protocol.OpTmpfile: "cancel 77 16 false; forget 77 1",
	}
	for _, q := range requests {
		w := q.call
		if s := want[q.op]; s != "" {
			w += "; " + s
		}
		if q.op == protocol.OpReaddirplus {
			// Room for "." (160 bytes) and two entries of 160.
			q.req.Arg = arg(protocol.ReadIn{Offset: 1, Size: 500})
			w = "readdirplus 1 500; " + plus
		}
		k.lost(q.op, 5, q.req)
		// The next request is served after the take-back only if by the same
		// reader, so wait.
		eventually(t, q.op.String(), func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.calls) >= 1+strings.Count(w, ";")
		})
		if got := f.take(); got != w {
			t.Errorf("%v: %q, want %q", q.op, got, w)
		}
	}
	// Nothing is taken back for an error.
	f.set(unix.EPERM, 0)
	for _, q := range requests {
		k.lost(q.op, 5, q.req)
	}
	f.set(nil, 0)
	k.unmount()
	if got := f.take(); strings.Contains(got, "forget") || strings.Contains(got, "cancel") {
		t.Errorf("after errors: %q", got)
	}
}

// A handler that claims more than it had room for has a bug: the caller gets an
// error, never bytes that were not written.
func TestTooMuch(t *testing.T) {
	f := &full{}
	k := serve(t, f, nil)
	for _, n := range []int{1 << 20, -100} {
		f.set(nil, n)
		for op, want := range map[protocol.Opcode]unix.Errno{
			protocol.OpRead: unix.EIO, protocol.OpWrite: unix.EIO, protocol.OpIoctl: unix.EIO,
			protocol.OpReadlink: unix.ENAMETOOLONG,
		} {
			for _, q := range requests {
				if q.op != op {
					continue
				}
				if e, _ := k.call(op, 5, q.req); e != want {
					t.Errorf("%v with n %d: %v, want %v", op, n, e, want)
				}
			}
		}
	}
	f.set(nil, 4096-6)
	if e, _ := k.call(protocol.OpReadlink, 5, rq{}); e != unix.ENAMETOOLONG {
		t.Errorf("target of 4096 bytes: %v", e)
	}
	f.set(nil, 4095-6)
	if e, b := k.call(protocol.OpReadlink, 5, rq{}); e != 0 || len(b) != 4095 {
		t.Errorf("target of 4095 bytes: %v, %d", e, len(b))
	}
	f.set(nil, 0)
	for op, r := range map[protocol.Opcode]rq{
		protocol.OpGetxattr:  {Arg: arg(protocol.GetxattrIn{Size: 4}), Name: []byte("user.a")},
		protocol.OpListxattr: {Arg: arg(protocol.GetxattrIn{Size: 3})},
	} {
		if e, _ := k.call(op, 5, r); e != unix.ERANGE {
			t.Errorf("%v into less: %v", op, e)
		}
	}
	// A size beyond the slot is clamped, and read no further.
	if e, b := k.call(protocol.OpRead, 5, rq{Arg: arg(protocol.ReadIn{Size: math.MaxUint32})}); e != 0 || len(b) < 64<<10 {
		t.Errorf("READ of 4 GiB: %v, %d bytes", e, len(b))
	}
	if e, b := k.call(protocol.OpReaddir, 5, rq{Arg: arg(protocol.ReadIn{Size: 31})}); e != unix.EINVAL || len(b) != 0 {
		t.Errorf("READDIR without room for one: %v, %d bytes", e, len(b))
	}
}

// laters finishes what it is told to from goroutines, in every order relative to
// the handler's return.
type laters struct {
	full
	how int
	wg  sync.WaitGroup
}

func (l *laters) finish(r *Request, n int, err error) (int, error) {
	l.wg.Add(1)
	done := make(chan struct{})
	fin := func() {
		defer l.wg.Done()
		r.Finish(n, err)
		if r.Finish(n+1, unix.EBADF) != nil {
			l.note("second Finish failed")
		}
		close(done)
	}
	switch l.how % 6 {
	case 0: // after the return, most likely
		go func() { time.Sleep(time.Millisecond); fin() }()
	case 1: // any time
		go fin()
	case 2: // before the return
		go fin()
		<-done
	case 3: // before, detached: sent at once
		r.Detach()
		r.Detach()
		go fin()
		<-done
	case 4: // by the handler itself
		fin()
	case 5: // finished, then detached
		go fin()
		<-done
		r.Detach()
	}
	return 0, Later
}

func (l *laters) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error) {
	return l.finish(r, copy(dst, "later"), nil)
}
func (l *laters) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	return l.finish(r, len(data), nil)
}
func (l *laters) Lookup(r *Request, name []byte, out *protocol.EntryOut) error {
	fill(out)
	_, err := l.finish(r, 0, nil)
	return err
}
func (l *laters) Flush(r *Request, in *protocol.FlushIn) error {
	_, err := l.finish(r, 0, unix.EDQUOT)
	return err
}
func (l *laters) Readdirplus(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	l.full.Readdirplus(r, in, d)
	l.take()
	_, err := l.finish(r, 0, nil)
	return err
}

// again answers some requests at once by Finish, and once more when the slot
// serves the next one.
type again struct{ last, next chan *Request }

func (a *again) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error) {
	r.Finish(0, unix.ENODATA)
	a.last <- r
	return 0, Later
}

func (a *again) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	r.Detach()
	a.next <- r
	return 0, Later
}

// TestFinishTwice: a Finish too many answers nobody else's request.
func TestFinishTwice(t *testing.T) {
	a := &again{make(chan *Request, 1), make(chan *Request, 1)}
	k := serve(t, a, &conn.Options{Threads: 1, IdleThreads: 1})
	for range 20 {
		if e, _ := k.call(protocol.OpRead, 1, rq{Arg: arg(protocol.ReadIn{Size: 10})}); e != unix.ENODATA {
			t.Fatal(e)
		}
		spent := <-a.last
		done := make(chan unix.Errno)
		go func() {
			e, _ := k.call(protocol.OpWrite, 1, rq{Arg: arg(protocol.WriteIn{Size: 3}), Data: []byte("abc")})
			done <- e
		}()
		r := <-a.next
		if err := spent.Finish(0, unix.EBADF); err != nil {
			t.Error(err)
		}
		if err := r.Finish(3, nil); err != nil {
			t.Error(err)
		}
		if e := <-done; e != 0 {
			t.Fatalf("the second request got %v", e)
		}
	}
	k.unmount()
}

// ending keeps a LOOKUP, and takes its time to forget.
type ending struct {
	full
	held chan *Request
}

func (e *ending) Lookup(r *Request, name []byte, out *protocol.EntryOut) error {
	fill(out)
	r.Detach()
	e.held <- r
	return Later
}

func (e *ending) Forget(id, n uint64) {
	time.Sleep(20 * time.Millisecond)
	e.full.Forget(id, n)
}

// TestTakeBackBeforeDone: what a reply after the end would have given is taken back
// before Done.
func TestTakeBackBeforeDone(t *testing.T) {
	e := &ending{held: make(chan *Request, 1)}
	k := serve(t, e, nil)
	k.send(protocol.OpLookup, 1, rq{Name: []byte("n")})
	r := <-e.held
	done := make(chan bool)
	go func() {
		defer close(done)
		k.unmount()
	}()
	eventually(t, "the end is known", r.Interrupted)
	if r.Finish(0, nil) == nil {
		t.Error("a reply was taken after the end")
	}
	<-done
	if got := e.take(); got != "forget 77 1; done" {
		t.Errorf("%q", got)
	}
}

func TestLater(t *testing.T) {
	for how := range 6 {
		l := &laters{how: how}
		k := serve(t, l, nil)
		for range 50 {
			if e, b := k.call(protocol.OpRead, 1, rq{Arg: arg(protocol.ReadIn{Size: 10})}); e != 0 || string(b) != "later" {
				t.Fatalf("READ: %v %q", e, b)
			}
			if e, b := k.call(protocol.OpWrite, 1, rq{Arg: arg(protocol.WriteIn{Size: 3}), Data: []byte("abc")}); e != 0 || !bytes.Equal(b, arg(protocol.WriteOut{Size: 3})) {
				t.Fatalf("WRITE: %v %x", e, b)
			}
			if e, b := k.call(protocol.OpLookup, 1, rq{Name: []byte("n")}); e != 0 || !bytes.Equal(b, entryBytes()) {
				t.Fatalf("LOOKUP: %v %x", e, b)
			}
			if e, _ := k.call(protocol.OpFlush, 1, rq{Arg: arg(protocol.FlushIn{})}); e != unix.EDQUOT {
				t.Fatalf("FLUSH: %v", e)
			}
			if e, b := k.call(protocol.OpReaddirplus, 1, rq{Arg: arg(protocol.ReadIn{Size: 400})}); e != 0 || !bytes.Equal(b, plusBytes()) {
				t.Fatalf("READDIRPLUS: %v %x", e, b)
			}
		}
		k.lost(protocol.OpReaddirplus, 1, rq{Arg: arg(protocol.ReadIn{Size: 500})})
		k.lost(protocol.OpLookup, 1, rq{Name: []byte("n")})
		k.unmount()
		l.wg.Wait()
		if got := l.take(); got != "forget 100 1; forget 101 1; forget 77 1; done" {
			t.Errorf("how %d: %q", how, got)
		}
		if n := k.c.Stats().Double; n != 0 {
			t.Errorf("how %d: %d replies reached conn twice", how, n)
		}
	}
}

// Many requests in flight, finished by other goroutines while the slots are
// reused.
func TestLaterConcurrent(t *testing.T) {
	l := &laters{how: 1}
	k := serve(t, l, &conn.Options{Slots: 32})
	const n = 2000
	go func() {
		for range n {
			k.send(protocol.OpRead, 1, rq{Arg: arg(protocol.ReadIn{Size: 10})})
			if k.unique%64 == 0 {
				runtime.Gosched()
			}
		}
	}()
	seen := map[uint64]bool{}
	for range n {
		u, e, b := k.recv()
		if e != 0 || string(b) != "later" || seen[u] {
			t.Fatalf("reply to %d: %v %q, seen %v", u, e, b, seen[u])
		}
		seen[u] = true
	}
	k.unmount() // no handler starts a goroutine any more
	l.wg.Wait()
}

// racing finishes from another goroutine at the same moment as it detaches.
type racing struct{}

func (f *racing) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error) {
	n := copy(dst, "raced")
	var ready atomic.Bool
	go func() {
		ready.Store(true)
		r.Finish(n, nil)
	}()
	for !ready.Load() {
		runtime.Gosched()
	}
	for i := uint64(0); i < in.Offset; i++ {
		ready.Load()
	}
	r.Detach()
	return 0, Later
}

func TestFinishRacesDetach(t *testing.T) {
	k := serve(t, &racing{}, nil)
	for i := range 5000 {
		if e, b := k.call(protocol.OpRead, 1, rq{Arg: arg(protocol.ReadIn{Size: 10, Offset: uint64(i % 64)})}); e != 0 || string(b) != "raced" {
			t.Fatalf("%v %q", e, b)
		}
	}
	if n := k.c.Stats().Double; n != 0 {
		t.Errorf("%d replies reached conn twice", n)
	}
}

// The window between the two halves of such a Finish, by hand.
func (f *racing) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	r.state.Store(claimed)
	r.n, r.err = len(data), nil
	r.Detach()
	if r.state.Load() != handed {
		panic("not handed over")
	}
	if err := r.stored(); err != nil {
		panic(err)
	}
	return 0, Later
}

// Symlink finishes with a number where none belongs.
func (l *laters) Symlink(r *Request, name, target []byte, out *protocol.EntryOut) error {
	fill(out)
	_, err := l.finish(r, 5, nil)
	return err
}

func TestFinishHandedOver(t *testing.T) {
	k := serve(t, &racing{}, nil)
	e, b := k.call(protocol.OpWrite, 1, rq{Arg: arg(protocol.WriteIn{Size: 3}), Data: []byte("abc")})
	if e != 0 || !bytes.Equal(b, arg(protocol.WriteOut{Size: 3})) {
		t.Errorf("%v %x", e, b)
	}
	l := &laters{how: 2}
	k = serve(t, l, nil)
	if e, _ := k.call(protocol.OpSymlink, 1, rq{Name: []byte("n"), Name2: []byte("t")}); e != unix.EIO {
		t.Errorf("a number of bytes for SYMLINK: %v", e)
	}
	k.unmount()
	if got := l.take(); got != "forget 77 1; done" {
		t.Errorf("%q", got)
	}
}

type panics struct{}

func (panics) Getattr(r *Request, in *protocol.GetattrIn, out *protocol.AttrOut) error {
	panic("on purpose")
}
func (panics) Lookup(r *Request, name []byte, out *protocol.EntryOut) error { return unix.ENOENT }

func TestPanicIsEIO(t *testing.T) {
	k := serve(t, panics{}, nil)
	for range 3 {
		if e, _ := k.call(protocol.OpGetattr, 1, rq{Arg: arg(protocol.GetattrIn{})}); e != unix.EIO {
			t.Fatalf("%v", e)
		}
		if e, _ := k.call(protocol.OpLookup, 1, rq{Name: []byte("n")}); e != unix.ENOENT {
			t.Fatalf("after the panic: %v", e)
		}
	}
	k.unmount()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !strings.Contains(strings.Join(k.logged, "\n"), "on purpose") {
		t.Errorf("not logged: %q", k.logged)
	}
}
