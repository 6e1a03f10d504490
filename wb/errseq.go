package wb

import "github.com/fusewire/fusewire/sg/unix"

// errseq is what went wrong with a file's data, as the kernel's errseq_t
// (lib/errseq.c): an error is reported once to each open file, and once to the
// next that is opened if nobody was told.
type errseq struct {
	err  unix.Errno
	seq  uint32
	seen bool
}

// Handle is an open file, as far as it has been told of errors. It belongs to the
// File that it was given to.
type Handle struct{ since uint32 }

func (e *errseq) set(err unix.Errno) {
	e.err, e.seen = err, false
	e.seq++
}

// sample begins h.
func (e *errseq) sample(h *Handle) {
	h.since = e.seq
	if !e.seen && e.seq != 0 {
		h.since--
	}
}

// check returns what h has not been told, once.
func (e *errseq) check(h *Handle) unix.Errno {
	if h.since == e.seq {
		return 0
	}
	h.since, e.seen = e.seq, true
	return e.err
}
