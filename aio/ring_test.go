package aio

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio/uring"
)

// forbidden reports errors of where io_uring is absent or switched off.
func forbidden(err error) bool { return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) }

func newRing(t testing.TB, depth int) *Ring {
	t.Helper()
	r, err := NewRing(depth)
	if forbidden(err) {
		t.Skipf("no io_uring here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRingCancel: a read that waits for a pipe ends with EINTR when it is
// cancelled; another one beside it does not, and gets its data.
func TestRingCancel(t *testing.T) {
	s := New(newRing(t, 4), Config{})
	var p, q [2]int
	for _, x := range []*[2]int{&p, &q} {
		if err := unix.Pipe2(x[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(x[0])
		defer unix.Close(x[1])
	}
	for range 50 {
		l := newLog()
		a, b := rw(Read, 1, 0, 10, l.add), rw(Read, 2, 0, 3, l.add)
		a.FD, b.FD = p[0], q[0]
		s.Submit(a)
		s.Submit(b)
		if s.Cancel(a) {
			t.Error("cancelled before it began")
		}
		l.wait(1)
		if l.at(0) != a || l.len() != 1 || a.Err != unix.EINTR || a.N != 0 {
			t.Fatalf("%d done; %d, %v", l.len(), a.N, a.Err)
		}
		if _, err := unix.Write(q[1], []byte("abc")); err != nil {
			t.Fatal(err)
		}
		l.wait(2)
		if b.N != 3 || b.Err != 0 || s.Cancel(b) {
			t.Errorf("%d, %v", b.N, b.Err)
		}
	}
	if st := s.Stats(); st.Cancelled != 0 || st.Failed != 50 {
		t.Errorf("%+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRingShort: what arrives in pieces is waited for, across segments.
func TestRingShort(t *testing.T) {
	s := New(newRing(t, 4), Config{})
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	l := newLog()
	op := &Op{FD: p[0], Done: l.add}
	b := make([]byte, 10)
	for _, cut := range [][]byte{b[:2], b[2:3], b[3:9], b[9:]} {
		_ = op.Vec.AppendMem(cut)
	}
	s.Submit(op)
	for _, w := range []string{"0", "123", "45", "678"} {
		if _, err := unix.Write(p[1], []byte(w)); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(p[1])
	l.wait(1)
	if op.N != 9 || op.Err != 0 || string(b[:9]) != "012345678" || op.Vec.Len() != 10 {
		t.Errorf("%d, %v, %q", op.N, op.Err, b)
	}
	s.Close()
}

// TestRingMany: more segments than a system call takes.
func TestRingMany(t *testing.T) {
	s := New(newRing(t, 4), Config{})
	fd := open(t, t.TempDir(), 0, nil)
	l := newLog()
	w, r := &Op{Kind: Write, FD: fd, Done: l.add}, &Op{FD: fd, Done: l.add}
	in, out := make([]byte, 3*2500), make([]byte, 3*2500)
	for i := range 2500 {
		in[3*i] = byte(i)
		in[3*i+1] = byte(i >> 8)
		_ = w.Vec.AppendMem(in[3*i : 3*i+3 : 3*i+3])
		_ = r.Vec.AppendMem(out[3*i : 3*i+3 : 3*i+3])
	}
	s.Submit(w)
	s.Submit(r)
	s.Drain()
	if w.N != len(in) || w.Err != 0 || r.N != len(in) || r.Err != 0 || string(in) != string(out) {
		t.Errorf("wrote %d, %v; read %d, %v", w.N, w.Err, r.N, r.Err)
	}
	s.Close()
}

// TestRingOddEnd: EINVAL after a short read is the end of the file if it is there,
// which file systems that align strictly say of an odd offset; else it is an error.
func TestRingOddEnd(t *testing.T) {
	fd := open(t, t.TempDir(), 0, []byte("01234"))
	for _, c := range []struct {
		kind Kind
		done int
		err  unix.Errno
	}{{Read, 5, 0}, {Read, 4, unix.EINVAL}, {Read, 0, unix.EINVAL}, {Write, 5, unix.EINVAL}} {
		s := New(newGate(1), Config{})
		op := rw(c.kind, 1, 0, 10, nil)
		op.FD = fd
		s.Submit(op)
		r := &Ring{slots: []slot{{op: op, done: c.done}}}
		r.completed(0, uring.CQE{Res: -int32(unix.EINVAL)})
		if op.N != c.done || op.Err != c.err || len(r.free) != 1 {
			t.Errorf("%+v: %d, %v", c, op.N, op.Err)
		}
		s.Close()
	}
}
