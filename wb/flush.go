package wb

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
)

// flight is chunks that are being written: neighbours, in ascending order. They do
// not change meanwhile; who writes there gets a chunk of his own. What is
// contiguous is one op, and one comes after the other.
type flight struct {
	issue
	file      *File
	chunks    []*chunk
	oldest    uint64 // the least first
	extending bool   // makes the file longer in the back end
	err       unix.Errno

	// The op is about the spans from here on, up to there.
	chunkAt, spanAt, chunkTo, spanTo int
	want                             int // its bytes

	link *flight // among the free
}

// bounds are where it begins and ends.
func (fl *flight) bounds(size int) (lo, hi int64) {
	return fl.chunks[0].begin(size), fl.chunks[len(fl.chunks)-1].end(size)
}

// chunk returns the one with that index, if it has it.
func (fl *flight) chunk(index int64) *chunk {
	if i := index - fl.chunks[0].index; i >= 0 && i < int64(len(fl.chunks)) {
		return fl.chunks[i]
	}
	return nil
}

// newFlight returns one of those that are kept for reuse.
func (c *Cache) newFlight(f *File) *flight {
	c.mu.Lock()
	fl := c.free
	if fl != nil {
		c.free = fl.link
	}
	c.mu.Unlock()
	if fl == nil {
		fl = new(flight)
		fl.op.Done = fl.done
	}
	fl.file, fl.oldest, fl.extending, fl.err, fl.link = f, ^uint64(0), false, 0, nil
	fl.chunkAt, fl.spanAt, fl.chunkTo, fl.spanTo = 0, 0, 0, 0
	return fl
}

func (c *Cache) freeFlight(fl *flight) {
	clear(fl.chunks)
	fl.chunks, fl.file = fl.chunks[:0], nil
	fl.op.Vec.Reset()
	c.mu.Lock()
	fl.link = c.free
	c.free = fl
	c.mu.Unlock()
}

// pump begins as many flights as there may be, if there is a reason to.
func (f *File) pump(w *work) {
	c := f.c
	for len(f.dirty) > 0 && len(f.flights) < c.fileOps {
		press := f.waiting > 0 || int32(len(f.dirty)) >= c.fileMax/4 || c.used.Load() >= c.max/4 && len(f.dirty)*c.size >= c.maxWrite
		if !press && !f.rushing {
			return
		}
		i := f.pick(press)
		if i < 0 {
			return
		}
		f.depart(i, w)
	}
}

// pick returns the chunk to begin a flight with: the first one, in the file, that
// there is a reason to write. But what makes the file longer is written in turn, lest
// a crash leave a hole where data was to come first. (What lies before it, and there
// is no reason to write yet, came later: then there was a hole.) What could not be
// written waits until a Sync asks for it, or its time has come, or nothing else is
// left to make room for who waits.
func (f *File) pick(press bool) int {
	found, failed, extending := false, -1, f.extending()
	for i, ch := range f.dirty {
		old := f.rushing && ch.first <= f.goal
		stuck := f.stuck(ch)
		if (extending || stuck) && ch.end(f.c.size) > f.back {
			return -1 // all that follows makes it longer, too
		}
		found = found || old
		switch {
		case stuck:
		case ch.fails > 0 && !old:
			if failed < 0 {
				failed = i
			}
		case old, press:
			return i
		}
	}
	f.rushing = found
	if f.waiting > 0 && len(f.flights) == 0 {
		return failed
	}
	return -1
}

// extending reports whether a flight makes the file longer.
func (f *File) extending() bool {
	for _, fl := range f.flights {
		if fl.extending {
			return true
		}
	}
	return false
}

// stuck reports whether ch may not be written now: an older state of it flies, or
// somebody is about to drop it.
func (f *File) stuck(ch *chunk) bool {
	for _, fl := range f.flights {
		if fl.chunk(ch.index) != nil {
			return true
		}
	}
	size := f.c.size
	for _, t := range f.tasks {
		if t.kind == claims && t.state == held && ch.begin(size) < t.hi && t.lo < ch.end(size) {
			return true
		}
	}
	return false
}

// depart begins a flight with the chunk i of dirty and those that continue it.
func (f *File) depart(i int, w *work) {
	c := f.c
	size := int32(c.size)
	fl := c.newFlight(f)
	extending, total := f.extending(), 0
	j := i
	for ; j < len(f.dirty); j++ {
		ch := f.dirty[j]
		extends := ch.end(c.size) > f.back
		if j > i {
			p := f.dirty[j-1]
			if ch.index != p.index+1 || ch.spans[0].lo != 0 || p.spans[len(p.spans)-1].hi != size ||
				total+c.size > c.maxWrite || ch.fails > 0 || extends && extending || f.stuck(ch) {
				break
			}
		}
		fl.extending = fl.extending || extends
		fl.oldest = min(fl.oldest, ch.first)
		fl.chunks = append(fl.chunks, ch)
		total += int(ch.bytes())
	}
	f.remove(i, j)
	f.flights = append(f.flights, fl)
	fl.load()
	w.submit(&fl.issue)
}

// load makes the op of what comes next and is contiguous, and reports whether there
// is anything.
func (fl *flight) load() bool {
	if fl.chunkAt == len(fl.chunks) {
		return false
	}
	size := int32(fl.file.c.size)
	op := &fl.op
	op.Vec.Reset()
	at, span := fl.chunkAt, fl.spanAt
	ch := fl.chunks[at]
	op.Kind, op.FD, op.Key, op.Waits = aio.Write, fl.file.owner.FD(), fl.file.key, true
	op.Off = ch.index*int64(size) + int64(ch.spans[span].lo)
	for {
		s := ch.spans[span]
		_ = op.Vec.AppendMem(ch.mem[s.lo:s.hi]) // MaxWrite and a chunk at most
		if span++; span < len(ch.spans) {
			break
		}
		span = 0
		if at++; at == len(fl.chunks) {
			break
		}
		if ch = fl.chunks[at]; s.hi != size || ch.spans[0].lo != 0 {
			break
		}
	}
	fl.chunkTo, fl.spanTo, fl.want = at, span, op.Vec.Len()
	return true
}

// done is the op's end.
func (fl *flight) done(op *aio.Op) {
	var w work
	f := fl.file
	s := &f.c.stats
	f.mu.Lock()
	err := op.Err
	if err == 0 && op.N < fl.want {
		err = unix.EIO
	}
	s.ops.Add(1)
	s.written.Add(int64(op.N))
	if err != 0 {
		s.failed.Add(1)
		fl.err = err
		f.errs.set(err)
		last := fl.chunkTo
		if fl.spanTo > 0 {
			last++
		}
		for _, ch := range fl.chunks[fl.chunkAt:last] {
			ch.bad = true
		}
	}
	if op.N > 0 {
		f.back = max(f.back, op.Off+int64(op.N))
	}
	fl.chunkAt, fl.spanAt = fl.chunkTo, fl.spanTo
	if fl.load() {
		w.submit(&fl.issue)
	} else {
		f.land(fl, &w)
		f.step(&w)
	}
	f.mu.Unlock()
	f.c.perform(&w)
}

// land ends a flight.
func (f *File) land(fl *flight, w *work) {
	for i, x := range f.flights {
		if x == fl {
			n := i + copy(f.flights[i:], f.flights[i+1:])
			f.flights[n] = nil
			f.flights = f.flights[:n]
			break
		}
	}
	reading := false
	for _, t := range f.tasks {
		reading = reading || t.kind == reads && t.state == atWork
	}
	for _, ch := range fl.chunks {
		n := ch.bytes()
		f.ended += n
		switch {
		case ch.bad && ch.fails+1 < f.c.tries:
			f.keep(ch)
		case ch.bad:
			w.lost, w.err = w.lost+n, fl.err
			f.bytes.Add(-n)
			f.release(ch)
		default:
			f.bytes.Add(-n)
			if reading {
				ch.upto = f.reads
				f.landed = append(f.landed, ch)
			} else {
				f.release(ch)
			}
		}
	}
	f.c.freeFlight(fl)
}

// keep makes dirty again what could not be written, as younger than all that
// anybody waits for: he has been told.
func (f *File) keep(ch *chunk) {
	ch.bad = false
	ch.fails++
	f.seq++
	i, have := f.find(ch.index)
	if !have {
		ch.first = f.seq
		f.insert(i, ch)
		return
	}
	now := f.dirty[i]
	now.fails = max(now.fails, ch.fails)
	f.bytes.Add(now.under(ch) - ch.bytes())
	now.buf.Touched(f.c.size)
	f.release(ch)
}
