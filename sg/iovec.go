package sg

import "github.com/fusewire/fusewire/sg/unix"

// MaxIovecs is how many segments one system call takes: the kernel's IOV_MAX.
const MaxIovecs = 1024

// Iovecs describes memory segments to the kernel, from segment number first on,
// until dst or [MaxIovecs] is reached, a file range, or the end. It returns how
// many. What is described must be kept alive as long as the kernel uses it.
func (v *Vec) Iovecs(dst []unix.Iovec, first int) int {
	segs := v.Segs()
	if first < 0 || first >= len(segs) {
		return 0
	}
	c := cursor{segs: segs[first:]}
	return c.iovecs(dst)
}

// cursor is a place in a vector: skip bytes into the first of segs.
type cursor struct {
	segs []Seg
	skip int
}

// iovecs is Iovecs from the cursor on.
func (c *cursor) iovecs(dst []unix.Iovec) int {
	n := min(len(dst), len(c.segs), MaxIovecs)
	skip := c.skip
	for i := range n {
		b := c.segs[i].Mem
		if b == nil {
			return i
		}
		dst[i].Base = &b[skip]
		dst[i].SetLen(len(b) - skip)
		skip = 0
	}
	return n
}

// advance moves the cursor on by n bytes.
func (c *cursor) advance(n int) {
	n += c.skip
	for len(c.segs) > 0 && n >= c.segs[0].Len {
		n -= c.segs[0].Len
		c.segs = c.segs[1:]
	}
	c.skip = n
}
