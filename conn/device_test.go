package conn

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// script is a Device whose reads give what it is told: INIT, then a list of
// errors, then STATFS once, then the last error for ever.
type script struct {
	mu      sync.Mutex
	init    []byte
	errs    []unix.Errno
	last    unix.Errno
	asked   bool
	replies int
	waits   int
	closed  atomic.Int32
}

func (d *script) ReadRequest(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.init != nil {
		n := copy(b, d.init)
		d.init = nil
		return n, nil
	}
	if len(d.errs) > 0 {
		e := d.errs[0]
		d.errs = d.errs[1:]
		return 0, e
	}
	if !d.asked {
		d.asked = true
		return copy(b, protocol.BytesOf(&protocol.InHeader{Len: 40, Opcode: protocol.OpStatfs, Unique: 4, Nodeid: 1})), nil
	}
	if d.last == 0 {
		return 0, nil
	}
	return 0, d.last
}

func (d *script) WriteReply([]unix.Iovec) (int, error) {
	d.mu.Lock()
	d.replies++
	d.mu.Unlock()
	return 0, nil
}
func (d *script) WriteNotify(v []unix.Iovec) (int, error) { return d.WriteReply(v) }
func (d *script) WaitRequest(int) bool                    { d.mu.Lock(); d.waits++; d.mu.Unlock(); return true }
func (d *script) Wake()                                   {}
func (d *script) Close() error                            { d.closed.Add(1); return nil }

// TestReadErrors checks what each result of read(2) does to a connection.
func TestReadErrors(t *testing.T) {
	const again = 3
	for _, c := range []struct {
		name string
		errs []unix.Errno // before a request that must still be served
		last unix.Errno   // after it
		want error
	}{
		{"unmount", nil, unix.ENODEV, nil},
		{"end of file", nil, 0, nil},
		{"socket reset", nil, unix.ECONNRESET, nil},
		{"abort", nil, unix.ECONNABORTED, ErrAborted},
		{"signal", []unix.Errno{unix.EINTR, unix.EINTR}, unix.ENODEV, nil},
		{"aborted request", []unix.Errno{unix.ENOENT}, unix.ENODEV, nil},
		{"non-blocking", []unix.Errno{unix.EAGAIN, unix.EAGAIN, unix.EAGAIN}, unix.ENODEV, nil},
		{"no memory for a while", []unix.Errno{unix.ENOMEM, unix.EFAULT, unix.ENOMEM}, unix.ENODEV, nil},
		{"a lone abort", []unix.Errno{unix.ECONNABORTED}, unix.ENODEV, nil},
		{"taken away", nil, unix.EPERM, unix.EPERM},
		{"buffer too small", nil, unix.EINVAL, unix.EINVAL},
		{"bad descriptor", nil, unix.EBADF, unix.EBADF},
	} {
		init := append(append([]byte(nil),
			protocol.BytesOf(&protocol.InHeader{Len: 104, Opcode: protocol.OpInit, Unique: 2})...),
			protocol.BytesOf(offer(45, all))...)
		d := &script{init: init, errs: c.errs, last: c.last}
		done := 0
		conn := New(d, &Options{Threads: 1})
		err := conn.Serve(&funcs{done: func() { done++ }})
		if !errors.Is(err, c.want) || err != nil && c.want == nil {
			t.Errorf("%s: Serve returned %v, want %v", c.name, err, c.want)
		}
		if d.replies != 2 || done != 1 || d.closed.Load() != 1 {
			t.Errorf("%s: %d replies, Done %d times, closed %d times", c.name, d.replies, done, d.closed.Load())
		}
		if c.name == "non-blocking" && d.waits != again {
			t.Errorf("waited %d times for a non-blocking descriptor, want %d", d.waits, again)
		}
	}
}

// TestServeOnce checks that a connection is not served twice.
func TestServeOnce(t *testing.T) {
	s := serving(t, &funcs{}, nil)
	if err := s.c.Serve(&funcs{}); !errors.Is(err, unix.EALREADY) {
		t.Errorf("second Serve: %v", err)
	}
	s.want(s.send(protocol.OpStatfs, 1), unix.ENOSYS)
}

// TestNotMounted gives Serve a device that belongs to nothing, and is mounted
// later: the reader waits for it.
func TestNotMounted(t *testing.T) {
	init := append(append([]byte(nil),
		protocol.BytesOf(&protocol.InHeader{Len: 104, Opcode: protocol.OpInit, Unique: 2})...),
		protocol.BytesOf(offer(45, all))...)
	d := &late{script: script{init: init, last: unix.ENODEV}}
	d.n.Store(3)
	if err := New(d, &Options{Threads: 1}).Serve(&funcs{}); err != nil {
		t.Error(err)
	}
	if d.replies != 2 {
		t.Errorf("%d replies, want 2", d.replies)
	}
}

type late struct {
	script
	n atomic.Int32
}

func (d *late) ReadRequest(b []byte) (int, error) {
	if d.n.Add(-1) >= 0 {
		return 0, unix.EPERM
	}
	return d.script.ReadRequest(b)
}

// TestDeviceReal serves a real mount with a channel for each reader: replies go
// back on the channel that was read from, also when the request was detached or
// resent; backing ids come and go.
func TestDeviceReal(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	dev, err := NewFuseDevice(m.FD())
	must(t, err)
	c := New(dev, &Options{Clone: true, Threads: 6, IdleThreads: 3, Log: func(s string) { t.Error(s) },
		Want: DefaultWant | protocol.InitPassthrough})
	gate := make(chan struct{})
	var hold atomic.Bool
	var held atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- c.Serve(&funcs{serve: func(r *Request) {
			if r.Op() != protocol.OpStatfs {
				_ = r.ReplyError(unix.ENOSYS)
				return
			}
			answer := func() {
				protocol.ViewOf[protocol.StatfsOut](r.Out()).St.Bsize = 4096
				if err := r.Reply(80, 0); err != nil {
					t.Errorf("reply: %v", err)
				}
			}
			switch {
			case hold.Load():
				r.Block()
				held.Add(1)
				<-gate
				answer()
			case r.Unique()/2%3 == 0:
				r.Detach()
				go answer()
			default:
				answer()
			}
		}})
	}()
	<-c.Ready()
	stat := func() {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Bsize != 4096 {
			t.Errorf("statfs: %v, %d", err, st.Bsize)
		}
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 300 {
				stat()
			}
		}()
	}
	wg.Wait()
	c.mu.Lock()
	clones := len(c.clones)
	c.mu.Unlock()
	if clones < 2 {
		t.Errorf("%d clones for 3 readers", clones)
	}

	const n = 3
	hold.Store(true)
	for range n {
		wg.Add(1)
		go func() { defer wg.Done(); stat() }()
	}
	eventually(t, "requests are held", func() bool { return held.Load() == n })
	if c.Flags()&protocol.InitHasResend != 0 { // 7.40, Linux 6.9
		must(t, c.NotifyResend())
		eventually(t, "copies come in", func() bool { return c.Stats().Resent == n })
	}
	hold.Store(false)
	close(gate)
	wg.Wait()
	if got := held.Load(); got != n {
		t.Errorf("%d requests were served, want %d: a copy was served too", got, n)
	}

	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer f.Close()
	if c.Flags()&protocol.InitPassthrough != 0 { // 7.40, Linux 6.9
		id, err := c.BackingOpen(int(f.Fd()))
		if err != nil || id <= 0 {
			t.Errorf("BackingOpen: %d, %v", id, err)
		}
		if err := c.BackingClose(id); err != nil {
			t.Errorf("BackingClose: %v", err)
		}
		if err := c.BackingClose(id); !errors.Is(err, unix.ENOENT) {
			t.Errorf("BackingClose, a second time: %v", err)
		}
	}
	if err := c.NotifyInvalInode(999, 0, 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("notification about an unknown inode: %v", err)
	}
	must(t, m.Unmount())
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("Serve did not return after the unmount")
	}
	if st := c.Stats(); st.Lost+st.Refused+st.Double+st.Unanswered != 0 || st.SlotsUsed != 0 {
		t.Errorf("%+v", st)
	}
}
