package wb

import "github.com/fusewire/fusewire/aio"

// Read reads into Data what the writers see. If nothing of it is held back Through
// says so: the caller reads from the back end.
func (f *File) Read(t *Task) bool {
	if !f.busy.Load() {
		t.N, t.Err, t.Through = 0, 0, true
		return true
	}
	return f.begin(t, reads, t.Off, int64(len(t.Data)))
}

// read advances a Read that nothing bars.
func (f *File) read(t *Task, w *work) bool {
	if f.owner == nil || t.hi <= f.back && !f.touches(t) {
		t.Through = true
		t.finish(w)
		return true
	}
	n := min(max(f.size-t.Off, 0), int64(len(t.Data)))
	if f.cover(t.Data[:n], t.Off) {
		t.N = int(n)
		t.finish(w)
		return true
	}
	f.reads++
	t.num, t.state = f.reads, atWork
	t.op.Kind, t.op.Off, t.op.Flags = aio.Read, t.Off, 0
	t.op.Vec.Reset()
	_ = t.op.Vec.AppendMem(t.Data) // one segment cannot be too long
	t.submit(w)
	return false
}

// touches reports whether something of t's range is dirty, or flies.
func (f *File) touches(t *Task) bool {
	size := f.c.size
	for _, fl := range f.flights {
		if a, b := fl.bounds(size); a < t.hi && t.lo < b {
			return true
		}
	}
	i, _ := f.find(t.lo / int64(size))
	for ; i < len(f.dirty) && f.dirty[i].begin(size) < t.hi; i++ {
		if f.dirty[i].end(size) > t.lo {
			return true
		}
	}
	return false
}

// cover fills dst, which is what lies at off, from what is dirty or flies and
// reports whether that was enough.
func (f *File) cover(dst []byte, off int64) bool {
	size := int64(f.c.size)
	for len(dst) > 0 {
		index := off / size
		lo := int32(off - index*size)
		hi := min(int32(size), lo+int32(min(len(dst), int(size))))
		// the newest first, and what is older up to where that begins
		src, hi := []byte(nil), hi
		if i, ok := f.find(index); ok {
			src, hi = f.dirty[i].from(lo, hi)
		}
		for i := 0; src == nil && i < len(f.flights); i++ {
			if ch := f.flights[i].chunk(index); ch != nil {
				src, hi = ch.from(lo, hi)
			}
		}
		n := int(hi - lo)
		switch {
		case src != nil:
			copy(dst, src)
		case off >= f.back:
			clear(dst[:n]) // a hole, or will be one
		default:
			return false
		}
		dst, off = dst[n:], off+int64(n)
	}
	return true
}

// from returns what is dirty at lo, but not from hi on, and how far that goes. nil:
// nothing is dirty up to there.
func (ch *chunk) from(lo, hi int32) ([]byte, int32) {
	if i := ch.at(lo + 1); i < len(ch.spans) {
		s := ch.spans[i]
		if s.lo > lo {
			return nil, min(hi, s.lo)
		}
		hi = min(hi, s.hi)
		return ch.mem[lo:hi], hi
	}
	return nil, hi
}

// fill ends a Read that the back end had a part in: what it may not have had, or
// got while it was reading, is laid over.
func (f *File) fill(t *Task) {
	n := t.op.N
	if t.Err = t.op.Err; t.Err == 0 {
		if m := int(min(max(f.size-t.Off, 0), int64(len(t.Data)))); m > n {
			clear(t.Data[n:m])
			n = m
		}
		t.N = n
		for _, ch := range f.landed {
			if ch.upto >= t.num {
				f.overlay(t, ch)
			}
		}
		for _, fl := range f.flights {
			for _, ch := range fl.chunks {
				f.overlay(t, ch)
			}
		}
		for _, ch := range f.dirty {
			f.overlay(t, ch)
		}
	}
	oldest := ^uint64(0)
	for _, u := range f.tasks {
		if u != t && u.kind == reads && u.state == atWork {
			oldest = min(oldest, u.num)
		}
	}
	n = 0
	for _, ch := range f.landed {
		if ch.upto >= oldest {
			f.landed[n] = ch
			n++
		} else {
			f.release(ch)
		}
	}
	clear(f.landed[n:])
	f.landed = f.landed[:n]
}

func (f *File) overlay(t *Task, ch *chunk) {
	size := int64(f.c.size)
	a := ch.index * size
	lo, hi := max(t.Off, a), min(t.Off+int64(t.N), a+size)
	if lo < hi {
		ch.overlay(t.Data[lo-t.Off:hi-t.Off], int32(lo-a), int32(hi-a))
	}
}
