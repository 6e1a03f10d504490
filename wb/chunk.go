package wb

import "github.com/fusewire/fusewire/sg"

// span is a range of dirty bytes within a chunk.
type span struct {
	lo, hi int32
}

// maxSpans is how many a chunk may have before the next one has to wait for it to
// be written: who writes every other byte gets to know it.
const maxSpans = 64

// chunk is a slot of the arena that holds dirty bytes of a file. It is in one of
// File.dirty, where it may be written to, a flight, and File.landed, where it may
// not.
type chunk struct {
	_     [0]func() // not comparable: no code for it
	buf   *sg.Buf
	mem   []byte
	index int64  // in the file, in chunks
	first uint64 // the number of the write that its oldest byte came with
	fails int    // flights that could not write it
	bad   bool   // ... of which this one may be
	upto  uint64 // landed: reads up to this one need it
	spans []span // sorted, not touching
}

// bytes is how much of it is dirty.
func (ch *chunk) bytes() (n int64) {
	for i := range ch.spans {
		n += int64(ch.spans[i].hi - ch.spans[i].lo)
	}
	return n
}

// end is where its last dirty byte ends, in the file.
func (ch *chunk) end(size int) int64 {
	return ch.index*int64(size) + int64(ch.spans[len(ch.spans)-1].hi)
}

// begin is where its first dirty byte is.
func (ch *chunk) begin(size int) int64 { return ch.index*int64(size) + int64(ch.spans[0].lo) }

// at returns which span ends behind lo, or how many there are.
func (ch *chunk) at(lo int32) int {
	i := 0
	for i < len(ch.spans) && ch.spans[i].hi < lo {
		i++
	}
	return i
}

// add makes lo to hi dirty and returns how many bytes were not before.
func (ch *chunk) add(lo, hi int32) (more int64) {
	i := ch.at(lo)
	j, a, b := i, lo, hi
	for ; j < len(ch.spans) && ch.spans[j].lo <= hi; j++ {
		s := ch.spans[j]
		a, b = min(a, s.lo), max(b, s.hi)
		more -= int64(s.hi - s.lo)
	}
	more += int64(b - a)
	if i == j {
		ch.spans = append(ch.spans, span{})
		copy(ch.spans[i+1:], ch.spans[i:])
	} else {
		ch.spans = append(ch.spans[:i+1], ch.spans[j:]...)
	}
	ch.spans[i] = span{lo: a, hi: b}
	return more
}

// room reports whether add can be called for lo to hi.
func (ch *chunk) room(lo, hi int32) bool {
	if len(ch.spans) < maxSpans {
		return true
	}
	i := ch.at(lo)
	return i < len(ch.spans) && ch.spans[i].lo <= hi
}

// cut makes clean what lies from lo on and returns how many bytes that were.
func (ch *chunk) cut(lo int32) (n int64) {
	for i := len(ch.spans) - 1; i >= 0 && ch.spans[i].hi > lo; i-- {
		s := &ch.spans[i]
		from := max(s.lo, lo)
		n += int64(s.hi - from)
		if s.hi = from; s.lo == s.hi {
			ch.spans = ch.spans[:i]
		}
	}
	return n
}

// overlay copies what is dirty of lo to hi to dst, which is what lies at lo.
func (ch *chunk) overlay(dst []byte, lo, hi int32) {
	for i := range ch.spans {
		a, b := max(ch.spans[i].lo, lo), min(ch.spans[i].hi, hi)
		if a < b {
			copy(dst[a-lo:], ch.mem[a:b])
		}
	}
}

// under adds to ch the spans of old, which are older.
func (ch *chunk) under(old *chunk) (more int64) {
	for _, s := range old.spans {
		for lo := s.lo; lo < s.hi; {
			i := ch.at(lo + 1)
			hi := s.hi
			if i < len(ch.spans) {
				if x := ch.spans[i]; x.lo <= lo {
					lo = x.hi
					continue
				} else {
					hi = min(hi, x.lo)
				}
			}
			copy(ch.mem[lo:hi], old.mem[lo:hi])
			more += ch.add(lo, hi)
			lo = hi
		}
	}
	return more
}
