package wb

// Write puts Data into the cache: over, unless there is no room or too much of it
// is taken. If even waiting would be in vain, because others have all the room,
// Through says so. The memory of Data is the cache's until the task is over.
func (f *File) Write(t *Task) bool { return f.begin(t, writes, t.Off, int64(len(t.Data))) }

// write advances a Write that nothing bars.
func (f *File) write(t *Task, w *work) bool {
	ok := f.put(t)
	c := f.c
	if !ok && !t.Through {
		if !t.waits {
			t.waits = true
			f.waiting++
			c.stats.slowed.Add(1)
		}
		return false
	}
	if t.waits {
		t.waits = false
		f.waiting--
	}
	if t.Through {
		c.stats.passed.Add(1)
		t.finish(w)
		return true
	}
	c.stats.writes.Add(1)
	w.press = c.used.Load() > c.max/2
	if need := f.toll(int64(len(t.Data))); need > 0 {
		t.need, t.state = f.ended+need, slowed
		f.waiting++
		c.stats.slowed.Add(1)
		return false
	}
	t.finish(w)
	return true
}

// put copies as much as there is room for, and reports whether that was all.
func (f *File) put(t *Task) bool {
	c := f.c
	if f.owner == nil && !f.open(t) {
		t.Through = true
		return false
	}
	if t.Append && !t.set {
		t.Off, t.set = f.size, true
		t.lo = t.Off
	}
	size := int64(c.size)
	f.seq++
	for t.N < len(t.Data) {
		off := t.Off + int64(t.N)
		index := off / size
		lo := int(off - index*size)
		n := min(int(size)-lo, len(t.Data)-t.N)
		i, have := f.find(index)
		if !have {
			ch := f.grow()
			if ch == nil {
				t.Through = len(f.dirty) == 0 && len(f.flights) == 0
				return false
			}
			ch.index, ch.first = index, f.seq
			f.insert(i, ch)
		}
		ch := f.dirty[i]
		if !ch.room(int32(lo), int32(lo+n)) {
			return false // until it has been written: waiting sees to that
		}
		copy(ch.mem[lo:lo+n], t.Data[t.N:])
		ch.buf.Touched(lo + n)
		f.bytes.Add(ch.add(int32(lo), int32(lo+n)))
		t.N += n
		// The end is there for others to append behind as soon as any of it is.
		f.size = max(f.size, t.Off+int64(len(t.Data)))
	}
	f.mtime = c.now()
	return true
}

// open takes the file out of rest, if there is room for it.
func (f *File) open(t *Task) bool {
	c := f.c
	if c.closing.Load() || f.count >= c.fileMax || c.used.Load() >= c.max || c.nDirty.Load() >= c.files {
		return false
	}
	size, err := t.Owner.Size()
	if err != nil || !t.Owner.Keep() {
		return false
	}
	f.hold(t.Owner, size)
	return true
}

// grow returns another chunk for the file, if there is room.
func (f *File) grow() *chunk {
	if f.count >= f.c.fileMax {
		return nil
	}
	ch := f.c.take()
	if ch != nil {
		f.count++
	}
	return ch
}

// toll is how much has to be written before a Write of n bytes is answered:
// nothing while less than half of the room is taken, all of n when there is none
// left. So writers come down to the speed of the back end, the more the less room
// there is (mm/page-writeback.c: balance_dirty_pages does it by pauses).
func (f *File) toll(n int64) int64 {
	c := f.c
	level := max(int64(f.count)*256/int64(c.fileMax), int64(c.used.Load())*256/int64(c.max))
	return min(n*max(level-128, 0)/128, f.bytes.Load())
}
