package wb

import (
	"math"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
)

// Task is what is asked of a File. It is the File's from the call that begins it
// until it is over; who asked may use it again then. If the call returns false it
// is not over yet, and Wait has to be called: from then on, perhaps at once, Done
// is called. It may be called on a thread of the engine, which it must not keep.
type Task struct {
	_ [0]func() // not comparable: no code for it
	issue

	Off    int64
	Data   []byte      // Write: from where; Read: to where
	Len    int64       // Claim, Sync: of the range; what ends behind the last offset has no end
	Append bool        // Write: at the end of the file, which Off is set to
	Owner  Owner       // Write, and the descriptor of Read and Sync
	Fsync  bool        // Sync: makes what was written durable
	Data0  bool        // Sync: as fdatasync(2)
	Handle *Handle     // Sync: reports its errors; nil: those of the time of the Sync
	Cut    int64       // Claim: from here on nothing has to be written, Release drops it; negative: all has
	Done   func(*Task) // see above

	// N is how many bytes were read or written.
	N int
	// Err is why not all was. That of a Claim does not keep it from being granted.
	Err unix.Errno
	// Through says that the back end is to be asked: for all of a Read, for what
	// lies behind the first N bytes of a Write, of which Off is the first.
	Through bool

	kind  kind
	state state
	armed bool // Done may be called
	over  bool
	waits bool // counted in File.waiting
	set   bool // Off is what it is to be
	lo    int64
	hi    int64
	goal  uint64 // Sync, Claim: waits for what is not younger
	errs  uint32 // errseq.seq when it began
	need  int64  // Write: File.ended from which it is answered
	num   uint64 // Read: of File.reads
	file  *File
	ended func(*aio.Op) // opDone, bound once
	link  *Task
}

type kind uint8

const (
	writes kind = iota
	reads
	syncs
	claims
)

type state uint8

const (
	queued state = iota
	slowed       // Write: all is in the cache
	atWork       // Read, Sync: with the engine
	held         // Claim: granted
)

// overlaps reports whether two tasks have a byte in common.
func (t *Task) overlaps(u *Task) bool { return t.lo < u.hi && u.lo < t.hi }

// begin is what all calls do: t goes as far as it can.
func (f *File) begin(t *Task, k kind, lo, n int64) bool {
	var w work
	t.kind, t.state, t.file = k, queued, f
	t.armed, t.over, t.waits, t.set = false, false, false, false
	t.N, t.Err, t.Through = 0, 0, false
	t.lo, t.hi = lo, lo+n
	if n < 0 || t.hi < lo {
		t.hi = math.MaxInt64
	}
	if t.Append && k == writes {
		t.lo, t.hi = 0, math.MaxInt64
	}
	f.mu.Lock()
	t.errs, t.goal = f.errs.seq, f.seq
	if k == claims && t.Cut != 0 || k == syncs {
		f.rush()
	}
	if !f.advance(len(f.tasks), t, &w) {
		f.tasks = append(f.tasks, t)
	}
	f.pump(&w)
	f.settle(&w)
	over := t.over
	f.mu.Unlock()
	f.c.perform(&w)
	return over
}

// Wait is called once for a task that was not over when it began.
func (f *File) Wait(t *Task) {
	f.mu.Lock()
	over := t.over
	t.armed = true
	f.mu.Unlock()
	if over {
		t.Done(t)
	}
}

// finish ends t, or grants it.
func (t *Task) finish(w *work) {
	t.over = true
	if t.armed {
		w.finish(t)
	}
}

// Sync waits until what was dirty in the range when it was called has been written,
// and then, with Fsync, until the back end has made it durable. Owner may be nil
// without Fsync.
func (f *File) Sync(t *Task) bool { return f.begin(t, syncs, t.Off, t.Len) }

// Claim has the range to itself: what was dirty has been written, or if that failed
// there is Err, and neither Reads nor Writes of the range are at work until Release.
// In between the caller may change the file in the back end: its size only if the
// range is all of it (0, -1), and there is no Err.
func (f *File) Claim(t *Task) bool { return f.begin(t, claims, t.Off, t.Len) }

// Release ends a granted Claim. done says that the back end was changed as
// planned: what is dirty from Cut on is dropped.
func (f *File) Release(t *Task, done bool) {
	var w work
	f.mu.Lock()
	if done && t.Cut >= 0 {
		f.cut(t.Cut)
	}
	if done && f.owner != nil && t.hi > f.back {
		// What was changed may lie behind the end as we know it, if that was moved
		// by a flight which has not been heard of yet.
		if n, err := f.owner.Size(); err == nil {
			f.back = max(f.back, min(n, t.hi))
		}
	}
	f.forget(t)
	f.step(&w)
	f.mu.Unlock()
	f.c.perform(&w)
}

// cut drops what is dirty from off on.
func (f *File) cut(off int64) {
	size := int64(f.c.size)
	for n := len(f.dirty) - 1; n >= 0 && f.dirty[n].end(int(size)) > off; n-- {
		ch := f.dirty[n]
		f.bytes.Add(-ch.cut(int32(max(off-ch.index*size, 0))))
		if len(ch.spans) > 0 {
			break
		}
		f.remove(n, n+1)
		f.release(ch)
	}
	f.size, f.back = min(f.size, off), min(f.back, off)
}

// forget takes t out of the tasks.
func (f *File) forget(t *Task) {
	for i, u := range f.tasks {
		if u == t {
			n := i + copy(f.tasks[i:], f.tasks[i+1:])
			f.tasks[n] = nil
			f.tasks = f.tasks[:n]
			return
		}
	}
}

// step takes every task as far as it can go, after any change.
func (f *File) step(w *work) {
	n := 0
	for i := 0; i < len(f.tasks); i++ {
		t := f.tasks[i]
		f.tasks[i] = nil
		f.tasks[n] = t
		if !f.advance(n, t, w) {
			n++
		}
	}
	clear(f.tasks[n:])
	f.tasks = f.tasks[:n]
	f.pump(w)
	f.settle(w)
}

// barred reports whether t has to wait for one of the first n tasks.
func (f *File) barred(n int, t *Task) bool {
	for _, e := range f.tasks[:n] {
		switch {
		case e.kind == writes && e.state == queued && t.kind == writes: // in turn
			return true
		case !e.overlaps(t) || e.kind == syncs || e.state == slowed:
		case e.kind == claims || t.kind == claims:
			return true
		}
	}
	return false
}

// advance reports whether t, behind the first n tasks, has left the list.
func (f *File) advance(n int, t *Task, w *work) bool {
	switch {
	case t.kind == writes && t.state == slowed:
		if f.ended < t.need && f.owner != nil {
			return false
		}
		f.waiting--
		t.finish(w)
		return true
	case t.state != queued, t.kind != syncs && f.barred(n, t):
		return false
	}
	switch t.kind {
	case writes:
		return f.write(t, w)
	case reads:
		return f.read(t, w)
	case syncs:
		if f.older(t) {
			return false
		}
		if t.Fsync {
			t.state = atWork
			t.op.Kind = aio.Fsync
			if t.Data0 {
				t.op.Kind = aio.Fdatasync
			}
			t.op.Vec.Reset()
			t.submit(w)
			return false
		}
		t.Err = f.report(t)
		t.finish(w)
		return true
	default:
		if f.older(t) {
			return false
		}
		t.state = held
		t.Handle = nil
		t.Err = f.report(t)
		t.finish(w)
		return false
	}
}

// report is the error for t.
func (f *File) report(t *Task) unix.Errno {
	if t.Handle != nil {
		return f.errs.check(t.Handle)
	}
	if f.errs.seq != t.errs {
		return f.errs.err
	}
	return 0
}

// older reports whether something that t waits for is dirty, or flies. What could
// not be written is younger by then.
func (f *File) older(t *Task) bool {
	size := f.c.size
	for _, fl := range f.flights {
		if fl.oldest <= t.goal || t.kind == claims {
			if a, b := fl.bounds(size); a < t.hi && t.lo < b {
				return true
			}
		}
	}
	hi := t.hi
	if t.kind == claims && t.Cut >= 0 {
		hi = min(hi, t.Cut)
	}
	for _, ch := range f.dirty {
		if ch.first <= t.goal && ch.begin(size) < hi && t.lo < ch.end(size) {
			return true
		}
	}
	return false
}

// submit has the engine carry t's op out.
func (t *Task) submit(w *work) {
	if t.ended == nil {
		t.ended = t.opDone
	}
	t.op.FD, t.op.Key, t.op.Waits, t.op.Done = t.Owner.FD(), t.file.key, true, t.ended
	w.submit(&t.issue)
}

// opDone is the end of what the engine did for t.
func (t *Task) opDone(op *aio.Op) {
	var w work
	f := t.file
	f.mu.Lock()
	if t.kind == syncs {
		if t.Err = f.report(t); t.Err == 0 {
			t.Err = op.Err
		}
	} else {
		f.fill(t)
	}
	f.forget(t)
	t.finish(&w)
	f.step(&w)
	f.mu.Unlock()
	f.c.perform(&w)
}
