package sg

import "github.com/fusewire/fusewire/sg/unix"

// ErrTooLong is the error of a vector whose length an int cannot hold.
const ErrTooLong = unix.EOVERFLOW

// Seg is one piece of a [Vec], never empty: memory, or if Mem is nil Len bytes
// of the file FD at Off.
type Seg struct {
	Mem []byte
	FD  int
	Off int64
	Len int // of Mem too
}

// Vec is an ordered list of segments, to be read or written as if they were
// one. The zero Vec is empty and ready. It does not own what it refers to. It
// allocates only to grow beyond every length it ever had, never for the first
// two segments. Methods that change it need it to themselves; transfers only
// look at it, so several may run at once unless they share a Bounce. A Vec must
// not be copied by assignment: use [Vec.AppendVec].
type Vec struct {
	// Bounce is memory through which a transfer moves a file range that the
	// kernel cannot copy by itself; without it such a transfer fails. Reset
	// leaves it alone.
	Bounce []byte

	n          int    // bytes
	head, tail int    // the segments in use are store()[head:tail]
	few        [2]Seg // most vectors are this short
	many       []Seg  // once grown, instead of few; its length is its capacity
}

// store returns all places for segments, in use or not.
func (v *Vec) store() []Seg {
	if v.many != nil {
		return v.many
	}
	return v.few[:]
}

// Segs returns the segments, which the caller may look at until v changes.
func (v *Vec) Segs() []Seg { return v.store()[v.head:v.tail:v.tail] }

// Len returns the number of bytes.
func (v *Vec) Len() int { return v.n }

// Reset empties v, and lets go of what it refers to but not of its own memory.
func (v *Vec) Reset() {
	clear(v.Segs())
	v.n, v.head, v.tail = 0, 0, 0
}

// push adds a segment that was checked.
func (v *Vec) push(s Seg) {
	at := v.store()
	if v.tail == len(at) {
		old := at[v.head:v.tail]
		if v.head < len(at)/2 || v.head == 0 {
			v.many = make([]Seg, 2*len(at)+4)
			copy(v.many, old)
			v.few = [len(v.few)]Seg{}
			at = v.many
		} else {
			clear(at[copy(at, old):])
		}
		v.head, v.tail = 0, len(old)
	}
	at[v.tail] = s
	v.tail++
	v.n += s.Len
}

// fits says whether n more bytes can be counted.
func (v *Vec) fits(n int) bool { return v.n+n >= v.n }

// AppendMem adds memory, nothing if it is empty. The only error is [ErrTooLong],
// here and below, and with any error v is as it was.
func (v *Vec) AppendMem(b []byte) error {
	if !v.fits(len(b)) {
		return ErrTooLong
	}
	if len(b) > 0 {
		v.push(Seg{Mem: b, FD: -1, Len: len(b)})
	}
	return nil
}

// AppendFile adds n bytes of a file from offset off on. The file has to allow
// pread(2) to be read from and pwrite(2) to be written to. It fails with EINVAL
// if there can be no such range.
func (v *Vec) AppendFile(fd int, off int64, n int) error {
	if fd < 0 || !validRange(off, n) {
		return unix.EINVAL
	}
	if !v.fits(n) {
		return ErrTooLong
	}
	if n > 0 {
		v.push(Seg{FD: fd, Off: off, Len: n})
	}
	return nil
}

// AppendVec adds the segments of w, which may be v.
func (v *Vec) AppendVec(w *Vec) error {
	if !v.fits(w.n) {
		return ErrTooLong
	}
	for i := range w.tail - w.head {
		v.push(w.Segs()[i]) // looked up each time: a push into w itself moves them
	}
	return nil
}

// part returns the n bytes of s from off on, both within s.
func (s *Seg) part(off, n int) Seg {
	if s.Mem != nil {
		return Seg{Mem: s.Mem[off : off+n], FD: -1, Len: n}
	}
	return Seg{FD: s.FD, Off: s.Off + int64(off), Len: n}
}

// Slice appends to dst the n bytes of v from off on; dst must not be v. It fails
// with EINVAL unless they are within v.
func (v *Vec) Slice(dst *Vec, off, n int) error {
	if dst == v || off < 0 || n < 0 || off > v.n || n > v.n-off {
		return unix.EINVAL
	}
	if !dst.fits(n) {
		return ErrTooLong
	}
	for i := range v.Segs() {
		if n == 0 {
			break
		}
		s := &v.Segs()[i]
		if off >= s.Len {
			off -= s.Len
			continue
		}
		k := min(n, s.Len-off)
		dst.push(s.part(off, k))
		off, n = 0, n-k
	}
	return nil
}

// Split moves to the end of rest all but the first n bytes of v; rest must not
// be v. It fails with EINVAL unless 0 <= n <= v.Len().
func (v *Vec) Split(n int, rest *Vec) error {
	if err := v.Slice(rest, n, v.n-max(n, 0)); err != nil {
		return err
	}
	for v.n > n {
		s := &v.store()[v.tail-1]
		if cut := v.n - n; cut < s.Len {
			*s = s.part(0, s.Len-cut)
			v.n = n
		} else {
			v.n -= s.Len
			*s = Seg{}
			v.tail--
		}
	}
	return nil
}

// Advance drops the first n bytes. It fails with EINVAL unless
// 0 <= n <= v.Len().
func (v *Vec) Advance(n int) error {
	if n < 0 || n > v.n {
		return unix.EINVAL
	}
	v.n -= n
	for n > 0 {
		s := &v.store()[v.head]
		if n < s.Len {
			*s = s.part(n, s.Len-n)
			break
		}
		n -= s.Len
		*s = Seg{}
		v.head++
	}
	if v.head == v.tail {
		v.head, v.tail = 0, 0
	}
	return nil
}

// Coalesce joins neighbours: memory that goes on where the segment before it
// ended, within its capacity, and file ranges that go on in the same file.
//
// Memory that only happens to be adjacent is never joined: what lies behind a
// slice's capacity is somebody else's, and the slice does not keep it alive.
func (v *Vec) Coalesce() {
	segs := v.Segs()
	if len(segs) == 0 {
		return
	}
	last := 0
	for _, s := range segs[1:] {
		if !segs[last].join(&s) {
			last++
			segs[last] = s
		}
	}
	clear(segs[last+1:])
	v.tail = v.head + last + 1
}

// join extends s by t if t goes on where s ends.
func (s *Seg) join(t *Seg) bool {
	switch n := len(s.Mem); {
	case s.Mem == nil:
		if t.Mem != nil || t.FD != s.FD || t.Off != s.Off+int64(s.Len) {
			return false
		}
	case t.Mem == nil || cap(s.Mem)-n < len(t.Mem) || &s.Mem[:n+1][n] != &t.Mem[0]:
		return false
	default:
		s.Mem = s.Mem[: n+len(t.Mem) : n+min(cap(s.Mem)-n, cap(t.Mem))]
	}
	s.Len += t.Len
	return true
}
