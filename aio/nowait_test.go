package aio

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// needTry skips where there is no RWF_NOWAIT at all: old kernels, emulators.
func needTry(t *testing.T) {
	t.Helper()
	op := rw(Read, 0, 0, 1, nil)
	op.FD = -1
	if Do(op); op.Err == unix.ENOSYS {
		t.Skip("no preadv2 here")
	}
	op.FD = open(t, t.TempDir(), 0, []byte("x"))
	op.Flags = unix.RWF_NOWAIT
	Do(op)
	if op.Err == unix.EOPNOTSUPP || op.Err == unix.ENOSYS {
		t.Skipf("no RWF_NOWAIT here: %v", op.Err)
	}
}

// TestTry: what is in the page cache is read at once, on the submitter's thread
// and by no back end; unless something of its file is queued, or the op says that
// it waits, or syncs.
func TestTry(t *testing.T) {
	needTry(t)
	content := bytes.Repeat([]byte("0123456789"), 1000)
	fd := open(t, t.TempDir(), 0, content)
	var b [100]byte
	if _, err := unix.Pread(fd, b[:], 0); err != nil {
		t.Fatal(err)
	}
	g, l := newGate(10), newLog()
	s := New(g, Config{Try: true})
	read := func(f func(*Op)) *Op {
		op := rw(Read, 1, 9, 20, l.add)
		op.FD = fd
		f(op)
		s.Submit(op)
		return op
	}
	op := read(func(*Op) {})
	if l.len() != 1 || op.N != 20 || op.Err != 0 || string(op.Vec.Segs()[0].Mem) != "90123456789012345678" {
		t.Fatalf("%d done; %d, %v", l.len(), op.N, op.Err)
	}
	// At the end of the file, and beyond.
	if op = read(func(op *Op) { op.Off = 9990 }); l.len() != 2 || op.N != 10 || op.Err != 0 {
		t.Errorf("%d done; %d, %v", l.len(), op.N, op.Err)
	}
	if op = read(func(op *Op) { op.Off = 99999 }); l.len() != 3 || op.N != 0 || op.Err != 0 {
		t.Errorf("%d done; %d, %v", l.len(), op.N, op.Err)
	}
	// Errors are results.
	if op = read(func(op *Op) { op.FD = -1 }); l.len() != 4 || op.N != 0 || op.Err != unix.EBADF {
		t.Errorf("%d done; %d, %v", l.len(), op.N, op.Err)
	}
	if st := s.Stats(); st.Inline != 4 || st.Submitted != 0 || g.started != 0 {
		t.Errorf("%+v", st)
	}
	read(func(op *Op) { op.Waits = true })
	if g.count() != 1 {
		t.Errorf("%d with the back end", g.count())
	}
	read(func(*Op) {}) // something is queued
	if g.count() != 2 {
		t.Errorf("%d with the back end", g.count())
	}
	g.pass()
	g.pass()
	for _, flag := range []int{unix.RWF_DSYNC, unix.RWF_SYNC, unix.RWF_APPEND} {
		read(func(op *Op) { op.Kind, op.Flags = Write, flag })
		if g.count() != 1 {
			t.Errorf("flags %#x: %d with the back end", flag, g.count())
		}
		g.pass()
	}
	read(func(*Op) {})
	if st := s.Stats(); st.Inline != 5 || st.Submitted != 5 {
		t.Errorf("%+v", st)
	}
	s.Close()
}

// TestTryCold: what is not in the page cache is left to the back end; in part, all
// of it.
func TestTryCold(t *testing.T) {
	needTry(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	fd := open(t, t.TempDir(), 0, content)
	if err := unix.Fsync(fd); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	w := NewWorkers(1)
	s := New(w, Config{Try: true})
	l := newLog()
	op := rw(Read, 1, 0, len(content), l.add)
	op.FD = fd
	s.Submit(op)
	l.wait(1)
	if op.N != len(content) || !bytes.Equal(op.Vec.Segs()[0].Mem, content) {
		t.Errorf("%d, %v", op.N, op.Err)
	}
	s.Drain()
	l = newLog()
	op.Done = l.add
	clear(op.Vec.Segs()[0].Mem)
	s.Submit(op)
	l.wait(1)
	s.Drain()
	if st := s.Stats(); st.Inline+st.Submitted != 2 || st.Inline == 0 || !bytes.Equal(op.Vec.Segs()[0].Mem, content) {
		t.Errorf("%+v", st)
	}
	s.Close()
}

// TestTryRemembered: a file system that does not know RWF_NOWAIT is asked once
// for reads and once for writes, others are not taken for it.
func TestTryRemembered(t *testing.T) {
	needTry(t)
	var n nowait
	// Files of /proc that are no sequences know no RWF_NOWAIT.
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	op := rw(Read, 1, 0, 10, nil)
	op.FD, op.Dev = fd, 12345
	if n.try(op) {
		t.Fatalf("/proc knows RWF_NOWAIT: %d, %v", op.N, op.Err)
	}
	op.FD = -1 // would be EBADF, a result
	if n.try(op) {
		t.Error("asked again")
	}
	op.Kind = Write
	if !n.try(op) || op.Err != unix.EBADF {
		t.Error("writes were not asked for, but for reads")
	}
	op.FD = fd
	if n.try(op) {
		t.Errorf("/proc writes know RWF_NOWAIT: %d, %v", op.N, op.Err)
	}
	op.FD = -1
	op.Kind = Read
	if n.try(op) {
		t.Error("reads are forgotten")
	}
	op.Kind = Write
	if n.try(op) {
		t.Error("writes asked again")
	}
	for dev := range uint64(1000) {
		op.Dev = dev
		if !n.try(op) {
			t.Errorf("device %d is taken for another", dev)
		}
	}
}

// TestShard: the word's parts do not run into each other.
func TestShard(t *testing.T) {
	h := new(shard)
	for range 1000 {
		if !h.enter() {
			t.Fatal("not entered")
		}
	}
	h.slow(1)
	if h.enter() {
		t.Error("entered though something is queued")
	}
	h.giveUp()
	for range slowMask - 1 {
		h.slow(1)
	}
	if h.enter() || h.done() != 0 {
		t.Error("the most that can be queued looks like nothing")
	}
	h.giveUp()
	for range slowMask {
		h.slow(-1)
	}
	for range 500 {
		h.leave()
		h.giveUp()
	}
	if h.done() != 500 || h.word.Load() != 500<<32 {
		t.Errorf("%d done, word %#x", h.done(), h.word.Load())
	}
	h.word.Add(doneOne * (1<<32 - 501))
	h.enter()
	h.leave()
	if h.done() != 1<<32 || h.word.Load() != 0 {
		t.Errorf("%d done, word %#x", h.done(), h.word.Load())
	}
	h.close()
	if h.enter() {
		t.Error("entered though closed")
	}
	if !h.word.CompareAndSwap(shut|1, shut) {
		t.Errorf("word %#x", h.word.Load())
	}
	h.drain()
}

// TestStatsText: the text, whole.
func TestStatsText(t *testing.T) {
	st := Stats{Inline: 1, Submitted: 2, Done: 3, Failed: 4, Cancelled: 5, Started: 6, Merged: 7, Retried: 8, Expired: 9,
		Waited: 10, Bytes: 11, Ops: 12, Depth: 13, Waiting: 14, PeakOps: 15, PeakDepth: 16, InFlight: 17, PeakBytes: 18}
	st.count(&Op{N: 5}, 999)
	st.count(&Op{N: 5}, 1000)
	st.count(&Op{Kind: Fsync, N: 5, Err: unix.EIO}, 5000)
	st.count(&Op{}, 1<<62)
	b, err := st.AppendText([]byte("aio "))
	const want = "aio inline=1 submitted=2 done=7 failed=5 cancelled=5 started=6 merged=7 retried=8 expired=9 waited=10 " +
		"bytes=21 ops=12 depth=13 waiting=14 in_flight=17 peak_ops=15 peak_depth=16 peak_bytes=18 " +
		"<1us=1 <2us=1 <8us=1 >=67108864us=1"
	if err != nil || string(b) != want {
		t.Errorf("%v\n%s\n%s", err, b, want)
	}
}
