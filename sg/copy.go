package sg

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

var copied atomic.Uint64

// Copied returns how many bytes this package ever copied in user space, or
// moved through a Bounce. Tests of paths that must not copy look at it before
// and after.
func Copied() uint64 { return copied.Load() }

// CopyTo copies from v into b as much as both have, reading file ranges.
func (v *Vec) CopyTo(b []byte) (int, error) { return v.copy(b, true) }

// CopyFrom copies b into v as far as both reach, writing to file ranges.
func (v *Vec) CopyFrom(b []byte) (int, error) { return v.copy(b, false) }

func (v *Vec) copy(b []byte, out bool) (n int, err error) {
	segs := v.Segs()
	for i := range segs {
		s := &segs[i]
		part := b[n:min(len(b), n+min(s.Len, len(b)-n))]
		if len(part) == 0 {
			break
		}
		k := len(part)
		switch {
		case s.Mem == nil && out:
			k, err = fileCopy(pread, s, part)
		case s.Mem == nil:
			k, err = fileCopy(pwrite, s, part)
		case out:
			copy(part, s.Mem)
		default:
			copy(s.Mem, part)
		}
		n += k
		copied.Add(uint64(k))
		if err != nil || k < len(part) {
			break
		}
	}
	return n, err
}

// fileCopy transfers b from or to the start of a file range.
func fileCopy(w way, s *Seg, b []byte) (int, error) {
	one := [1]Seg{{Mem: b, FD: -1, Len: len(b)}}
	c := cursor{segs: one[:]}
	n := 0
	for n < len(b) {
		m, e := step(w, s.FD, &c, nil, s.Off+int64(n), 0)
		if e == 0 && m == 0 && w == pwrite {
			e = unix.EIO
		}
		if e != 0 || m == 0 {
			return n, asError(e)
		}
		n += m
		c.advance(m)
	}
	return n, nil
}
