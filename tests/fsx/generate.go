package main

import (
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

var pageSize = os.Getpagesize()

// generator draws programs that are always valid for the model as it is.
type generator struct {
	rng    *rand.Rand
	m      *model
	w      int   // whose turn it is
	most   int64 // bytes a file may have
	chunk  int64 // bytes of an op
	lo, hi int64 // apart: the worker's range; else 0 and most
	apart  bool
	within bool // io_uring reads stay within the file
}

func (g *generator) chance(n int) bool { return g.rng.IntN(n) == 0 }

// span is an offset and a length.
func (g *generator) span() (off, n int64) {
	top := g.hi
	if i := g.m.names["a"]; !g.apart && i != nil && !g.chance(6) {
		top = min(g.hi, i.size()+g.chunk/2) // mostly where there is something
	}
	off = g.lo + g.rng.Int64N(max(top-g.lo, 1))
	switch g.rng.IntN(4) {
	case 0:
		n = 1 + g.rng.Int64N(100)
	case 1:
		n = int64(pageSize) * (1 + g.rng.Int64N(4))
		if g.chance(2) {
			off &^= int64(pageSize - 1)
		}
	default:
		n = 1 + g.rng.Int64N(g.chunk)
	}
	off = max(off, g.lo)
	return off, min(n, g.hi-off, g.chunk)
}

// pages is a span of whole pages, of at least one.
func (g *generator) pages() (off, n int64) {
	p := int64(pageSize)
	lo, hi := (g.lo+p-1)&^(p-1), g.hi&^(p-1)
	off, n = g.span()
	off = min(max(off&^(p-1), lo), hi-p)
	return off, max(min(n&^(p-1), hi-off), p)
}

// pick returns an open file of the worker's that can do it, -1 if there is none.
func (g *generator) pick(can func(*handle) bool) int {
	first := g.rng.IntN(slots)
	for k := range slots {
		s := (first + k) % slots
		if h := g.m.files[g.w][s]; h != nil && can(h) {
			return s
		}
	}
	return -1
}

// next draws an op.
func (g *generator) next() op {
	if !g.apart && g.chance(3) {
		g.w = g.rng.IntN(len(g.m.files))
	}
	for {
		o := op{W: g.w, X: g.rng.Uint64()}
		o.Off, o.N = g.span()
		if g.draw(&o) {
			return o
		}
	}
}

// draw fills in the rest of o, and says whether it could.
func (g *generator) draw(o *op) bool {
	switch r := g.rng.IntN(100); {
	case r < 8:
		return g.openOrClose(o)
	case r < 30:
		return g.read(o)
	case r < 54:
		return g.write(o)
	case r < 60:
		return g.mapped(o, "mapread")
	case r < 69:
		return g.mapped(o, "mapwrite")
	case r < 74:
		return g.copy(o)
	case r < 80:
		return g.fallocate(o)
	case r < 82:
		o.Kind = []string{"fsync", "fdatasync", "aiofsync", "ringfsync"}[g.rng.IntN(4)]
		o.S = g.pick((*handle).writes)
		return o.S >= 0
	case r < 86:
		o.Kind = []string{"drop", "syncrange"}[g.rng.IntN(2)]
		o.S = g.pick((*handle).reads)
		return o.S >= 0
	case g.apart:
		return false
	case r < 91:
		return g.truncate(o)
	case r < 94:
		o.Kind, o.S = "seek", g.pick((*handle).reads)
		o.Mode = []int{unix.SEEK_DATA, unix.SEEK_HOLE}[g.rng.IntN(2)]
		return o.S >= 0
	case r < 97:
		o.Kind, o.S = "stat", g.pick(func(*handle) bool { return true })
		if o.S < 0 || g.chance(2) {
			o.A, o.S = g.name(), 0
		}
		return true
	case r < 98:
		o.Kind, o.A = "whole", g.name()
		return true
	}
	o.Kind = []string{"rename", "rename", "exchange", "unlink"}[g.rng.IntN(4)]
	o.A, o.B = g.name(), g.name()
	return g.chance(2)
}

// name is mostly "a".
func (g *generator) name() string {
	return []string{"a", "a", "a", "a", "b", "c"}[g.rng.IntN(6)]
}

func (g *generator) openOrClose(o *op) bool {
	o.S = g.rng.IntN(slots)
	if g.m.files[g.w][o.S] != nil {
		o.Kind = "close"
		return true
	}
	o.Kind, o.A = "open", "a"
	o.Mode = []int{unix.O_RDWR, unix.O_RDWR, unix.O_RDWR, unix.O_RDONLY, unix.O_WRONLY}[g.rng.IntN(5)]
	if g.chance(20) {
		o.Mode |= []int{unix.O_SYNC, unix.O_DSYNC}[g.rng.IntN(2)]
	}
	direct := g.chance(3)
	if !g.apart {
		o.A = g.name()
		if g.m.names[o.A] == nil || g.chance(3) {
			o.Mode |= unix.O_CREAT
		}
		if g.chance(20) {
			o.Mode |= unix.O_TRUNC
			if o.Mode&unix.O_ACCMODE == unix.O_RDONLY {
				o.Mode |= unix.O_RDWR
			}
		}
		if g.chance(4) {
			o.Mode |= unix.O_APPEND
			direct = false // where the file ends is seldom aligned
		}
	}
	if direct {
		o.Mode |= unix.O_DIRECT
	}
	return true
}

func (g *generator) read(o *op) bool {
	o.Kind, o.S = []string{"read", "read", "read", "aioread", "ringread"}[g.rng.IntN(5)], g.pick((*handle).reads)
	if o.S >= 0 && g.m.files[g.w][o.S].direct() {
		o.Off, o.N = g.pages()
	}
	if o.Kind == "ringread" && o.S >= 0 && g.within {
		o.N = min(o.N, g.m.files[g.w][o.S].i.size()-o.Off)
	}
	return o.S >= 0 && o.N > 0
}

func (g *generator) write(o *op) bool {
	o.Kind, o.S = []string{"write", "write", "write", "aiowrite", "ringwrite"}[g.rng.IntN(5)], g.pick((*handle).writes)
	if o.S < 0 {
		return false
	}
	h := g.m.files[g.w][o.S]
	if h.direct() {
		o.Off, o.N = g.pages()
		if g.apart {
			o.Kind = "write" // see doc.go
		}
	}
	if h.appends() {
		o.Mode = 1
		return h.i.size()+o.N <= g.most
	}
	return true
}

func (g *generator) mapped(o *op, kind string) bool {
	both := func(h *handle) bool { return h.reads() && h.writes() }
	can := both
	if kind == "mapread" {
		can = (*handle).reads
	}
	o.Kind, o.S = kind, g.pick(can)
	if o.S < 0 {
		return false
	}
	h := g.m.files[g.w][o.S]
	if both(h) {
		o.Mode = 1
	}
	if g.apart {
		o.Off, o.N = g.pages() // a page that others write to directly is not coherent
		return true
	}
	size, p := h.i.size(), int64(pageSize)
	end := size
	if kind == "mapread" {
		end = (size + p - 1) &^ (p - 1)
	}
	if o.Off >= size {
		return false
	}
	o.N = min(o.N, end-o.Off)
	return true
}

func (g *generator) copy(o *op) bool {
	o.Kind = "copy"
	o.S2 = g.pick(func(h *handle) bool { return h.reads() && !h.direct() })
	o.S = g.pick(func(h *handle) bool { return h.writes() && !h.direct() && !h.appends() })
	if o.S < 0 || o.S2 < 0 {
		return false
	}
	o.Off2, _ = g.span()
	o.N = min(o.N, g.hi-o.Off2)
	far := o.Off2+o.N <= o.Off || o.Off+o.N <= o.Off2
	return far || g.m.files[g.w][o.S].i != g.m.files[g.w][o.S2].i
}

func (g *generator) fallocate(o *op) bool {
	o.Kind, o.S = "fallocate", g.pick((*handle).writes)
	if o.S < 0 {
		return false
	}
	const keep = unix.FALLOC_FL_KEEP_SIZE
	h := g.m.files[g.w][o.S]
	switch g.rng.IntN(8) {
	case 0:
		o.Mode = 0
	case 1:
		o.Mode = keep
	case 2:
		o.Mode = unix.FALLOC_FL_ZERO_RANGE
	case 3:
		o.Mode = unix.FALLOC_FL_ZERO_RANGE | keep
	case 4: // of whole pages inside the file
		o.Mode = []int{unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE}[g.rng.IntN(2)]
		o.Off, o.N = g.pages()
		return !g.apart && o.Off+o.N < h.i.size() && h.i.size()+o.N <= g.most
	default:
		o.Mode = unix.FALLOC_FL_PUNCH_HOLE | keep
	}
	return true
}

func (g *generator) truncate(o *op) bool {
	o.Kind, o.S, o.N = "truncate", g.pick((*handle).writes), 0
	if o.S < 0 || g.chance(4) {
		o.A, o.S = g.name(), 0
	}
	if i := g.m.names["a"]; i != nil && g.chance(3) {
		o.Off = max(i.size()-g.rng.Int64N(int64(2*pageSize)), 0) // nearby
	}
	return g.chance(2)
}
