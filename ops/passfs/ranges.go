package passfs

import "github.com/fusewire/fusewire/sg/unix"

// lockRange is a lock on the bytes start to end, both included.
type lockRange struct {
	start, end uint64
	typ        uint32 // F_RDLCK or F_WRLCK
	pid        uint32
}

// ranges is one owner's locks on one file, sorted, without overlap.
type ranges []lockRange

// conflict returns the first range that keeps another owner from a lock of
// typ on start to end.
func (h ranges) conflict(typ uint32, start, end uint64) *lockRange {
	for n := range h {
		l := &h[n]
		if l.start > end {
			break
		}
		if l.end >= start && (typ == unix.F_WRLCK || l.typ == unix.F_WRLCK) {
			return l
		}
	}
	return nil
}

// set replaces what is held on l's bytes by l, or by nothing (F_UNLCK).
// Neighbours of one type and pid become one.
func (h *ranges) set(l lockRange) {
	old := *h
	out := make(ranges, 0, len(old)+2)
	put := func(x lockRange) {
		if n := len(out); n > 0 {
			if p := &out[n-1]; p.typ == x.typ && p.pid == x.pid && p.end+1 == x.start {
				p.end = x.end
				return
			}
		}
		out = append(out, x)
	}
	placed := l.typ == unix.F_UNLCK
	for _, x := range old {
		if x.start < l.start {
			y := x
			y.end = min(x.end, l.start-1)
			put(y)
		}
		if x.end > l.end {
			if !placed {
				put(l)
				placed = true
			}
			x.start = max(x.start, l.end+1)
			put(x)
		}
	}
	if !placed {
		put(l)
	}
	*h = out
}
