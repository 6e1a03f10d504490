package aio

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/sg"
)

// nowait tries ops with RWF_NOWAIT, and remembers which file systems do not know
// it: a table indexed by a hash of Op.Dev. A file system that displaces another
// costs that one a vain system call now and then.
type nowait struct {
	table [64]atomic.Uint64 // Dev's upper 62 bits or so, and what it cannot
}

// cannot is the bit of a kind.
func cannot(k Kind) uint64 { return 1 << k }

// try carries op out if that needs no waiting, and says so.
func (t *nowait) try(op *Op) bool {
	slot := &t.table[hash(op.Dev)%64]
	known := slot.Load()
	if known>>2 == op.Dev<<2>>2 && known&cannot(op.Kind) != 0 {
		return false
	}
	if op.Flags&(unix.RWF_DSYNC|unix.RWF_SYNC|unix.RWF_APPEND) != 0 {
		return false // waits whatever else it says; cannot be begun twice
	}
	var n int
	var err error
	if op.Kind == Read {
		n, err = sg.Preadv(op.FD, &op.Vec, op.Off, op.Flags|unix.RWF_NOWAIT)
	} else {
		n, err = sg.Pwritev(op.FD, &op.Vec, op.Off, op.Flags|unix.RWF_NOWAIT)
	}
	switch e := errno(err); e {
	case unix.EAGAIN:
		return false // all of it again: it is the same data, to the same place
	case unix.EOPNOTSUPP, unix.ENOSYS:
		if n > 0 {
			return false
		}
		if known>>2 != op.Dev<<2>>2 {
			known = op.Dev << 2
		}
		slot.Store(known | cannot(op.Kind))
		return false
	default:
		op.N, op.Err = n, e
		return true
	}
}
