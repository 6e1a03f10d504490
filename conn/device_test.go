package conn

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

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

func (d *script) WriteReply([]syscall.Iovec) (int, error) {
	d.mu.Lock()
	d.replies++
	d.mu.Unlock()
	return 0, nil
}
func (d *script) WriteNotify(v []syscall.Iovec) (int, error) { return d.WriteReply(v) }
func (d *script) WaitRequest(int) bool                       { d.mu.Lock(); d.waits++; d.mu.Unlock(); return true }
func (d *script) Wake()                                      {}
func (d *script) Close() error                               { d.closed.Add(1); return nil }

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
