package aio

// file is what the scheduler knows of a Key while ops of it are under way.
type file struct {
	key         uint64
	next        *file // in its bucket, or among the free
	first, last *hold // in the order of submission
	changes     int   // holds that change the file

	sorted  [2]*Op // Read, Write: ready or held ones that may be merged, the highest offset
	tail    [2]int64
	running int // units with the back end

	held               ops
	heldBytes          int64
	heldSince          int64
	heldPrev, heldNext *file
}

// hold is an op's claim to a range of a file.
type hold struct {
	_          [0]func() // not comparable: no code for it
	op         *Op
	file       *file
	prev, next *hold
	lo, hi     int64
	changes    bool
	syncs      bool
}

// blocks reports whether later must wait for h.
func (h *hold) blocks(later *hold) bool {
	switch {
	case h.op == later.op:
		return false
	case later.syncs:
		return h.changes
	}
	return (h.changes || later.changes) && h.lo < later.hi && later.lo < h.hi
}

const buckets = 256 // a power of two

// files is a hash table whose entries are kept for reuse: a map would allocate.
type files struct {
	table [buckets]*file
	free  *file
}

func hash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> 56 }

// get returns the key's file, making one if need be.
func (t *files) get(key uint64) *file {
	b := &t.table[hash(key)%buckets]
	for f := *b; f != nil; f = f.next {
		if f.key == key {
			return f
		}
	}
	f := t.free
	if f == nil {
		f = new(file)
	} else {
		t.free = f.next
	}
	*f = file{key: key, next: *b, tail: [2]int64{-1, -1}}
	*b = f
	return f
}

// put drops a file that nothing holds.
func (t *files) put(f *file) {
	p := &t.table[hash(f.key)%buckets]
	for *p != f {
		p = &(*p).next
	}
	*p = f.next
	f.next = t.free
	t.free = f
}

const forever = int64(^uint64(0) >> 1)

// claim fills op's holds and links them, and counts what they wait for.
func (t *files) claim(op *Op) {
	h := &op.holds[0]
	*h = hold{op: op, lo: op.Off}
	op.holds[1] = hold{}
	switch op.Kind {
	case Read:
		h.hi = op.Off + int64(op.Vec.Len())
	case Write:
		h.hi, h.changes = op.Off+int64(op.Vec.Len()), true
		if op.appends() {
			h.lo, h.hi = 0, forever
		}
	case Fsync, Fdatasync:
		h.syncs = true // of no range: nothing waits for it
	case Fallocate:
		h.hi, h.changes = op.Off+op.Len, true
		if op.Mode&moves != 0 {
			h.hi = forever // all that follows moves
		}
	case CopyRange:
		h.hi, h.changes = op.Off+op.Len, true
		src := &op.holds[1]
		*src = hold{op: op, lo: op.Off2, hi: op.Off2 + op.Len}
		if op.Len == 0 {
			src.lo, src.hi = 0, 0
		}
		t.link(src, op.Key2)
	}
	if h.hi == h.lo {
		h.lo, h.hi = 0, 0 // nothing, which overlaps nothing
	}
	t.link(h, op.Key)
}

func (t *files) link(h *hold, key uint64) {
	f := t.get(key)
	if h.changes || f.changes > 0 {
		for e := f.first; e != nil; e = e.next {
			if e.blocks(h) {
				h.op.blockers++
			}
		}
	}
	h.file, h.prev = f, f.last
	if f.last != nil {
		f.last.next = h
	} else {
		f.first = h
	}
	f.last = h
	if h.changes {
		f.changes++
	}
}

// unlink drops a hold, and calls free for every op that waited for nothing else.
func (s *Scheduler) unlink(h *hold) {
	f := h.file
	if f == nil {
		return
	}
	if f.changes > 0 && !h.syncs {
		for l := h.next; l != nil; l = l.next {
			if h.blocks(l) {
				l.op.blockers--
				if l.op.blockers == 0 && l.op.state == blocked {
					s.release(l.op)
				}
			}
		}
	}
	if h.changes {
		f.changes--
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		f.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		f.last = h.prev
	}
	*h = hold{}
	if f.first == nil {
		s.files.put(f)
	}
}
