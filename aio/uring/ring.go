package uring

import (
	"sync/atomic"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// Error is what setting up and registering fail with. It unwraps to a unix.Errno.
type Error struct {
	_ [0]func() // not comparable: no code for it

	Op  string // "setup", "mmap", "register files" ...
	Err unix.Errno
}

// Error returns "io_uring op: errno".
func (e *Error) Error() string { return "io_uring " + e.Op + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Ring is an io_uring instance: a pair of queues and what is registered with
// it. See the package's comment for which threads may use it.
type Ring struct {
	_        [0]func() // not comparable: no code for it
	fd       int
	enterFD  int // fd, or its index once registered
	enterOr  uint32
	flags    uint32
	features uint32

	sqHead, sqTail, sqFlags, sqDropped *uint32 // in the kernel's mapping
	sqMask, sqEntries                  uint32
	sqTailOwn                          uint32 // entries handed out; published by Submit
	sqes                               unsafe.Pointer
	sqeShift                           uint8 // 6 or 7

	cqHead, cqTail, cqOverflow *uint32
	cqMask, cqEntries          uint32
	cqHeadOwn                  uint32
	cqes                       unsafe.Pointer

	maps [3]mapping

	// What a system call reads or writes by an address inside a structure. It is
	// here because a Ring is on the heap and stays where it is.
	arg  eventsArg
	ts   timespec
	upd  rsrcUpdate
	upd2 rsrcUpdate2
	reg  rsrcRegister
	keep unsafe.Pointer
}

// FD returns the ring's descriptor.
func (r *Ring) FD() int { return r.fd }

// Flags returns the Setup flags the ring has.
func (r *Ring) Flags() uint32 { return r.flags }

// Features returns what the kernel can, Feat*.
func (r *Ring) Features() uint32 { return r.features }

// Entries returns the sizes of the two queues.
func (r *Ring) Entries() (sq, cq int) { return int(r.sqEntries), int(r.cqEntries) }

// Space returns how many entries may be taken before the submission queue is
// full.
func (r *Ring) Space() int {
	return int(r.sqEntries - (r.sqTailOwn - atomic.LoadUint32(r.sqHead)))
}

// Pending returns how many entries were taken that the kernel has not consumed.
func (r *Ring) Pending() int {
	return int(r.sqTailOwn - atomic.LoadUint32(r.sqHead))
}

// Dropped returns how many entries the kernel found malformed and skipped. It
// stays 0.
func (r *Ring) Dropped() uint32 { return atomic.LoadUint32(r.sqDropped) }

// SQE takes the next submission entry, zeroed, or returns nil if the queue is
// full: Submit, then try again. The entry belongs to the caller until the next
// Submit or Enter, and must be filled by then.
func (r *Ring) SQE() *SQE {
	if r.Space() == 0 {
		return nil
	}
	s := r.sqe(r.sqTailOwn & r.sqMask)
	if r.sqeShift == 7 {
		*r.wide(r.sqTailOwn & r.sqMask) = SQE128{}
	} else {
		*s = SQE{}
	}
	r.sqTailOwn++
	return s
}

// SQE128 takes the next wide entry, zeroed, or returns nil if the queue is full.
// It returns nil too on rings with neither SetupSQE128 nor SetupSQEMixed. On the
// latter it takes two entries, which must be neighbours in memory, so that up to
// one more is spent on a no-op at the queue's end.
func (r *Ring) SQE128() *SQE128 {
	switch {
	case r.sqeShift == 7:
		if r.SQE() == nil {
			return nil
		}
		return r.wide((r.sqTailOwn - 1) & r.sqMask)
	case r.flags&SetupSQEMixed == 0:
		return nil
	}
	last := r.sqTailOwn&r.sqMask == r.sqMask
	if space := r.Space(); space < 2 || last && space < 3 {
		return nil
	}
	if last {
		r.SQE().Flags = SQECQESkipSuccess
	}
	s := r.wide(r.sqTailOwn & r.sqMask)
	*s = SQE128{}
	r.sqTailOwn += 2
	return s
}

// Close gives the ring back. The kernel cancels what is in flight, but in its own
// time: memory that requests point to must outlive the completions, so drain
// first. A second Close does nothing.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	if r.enterOr != 0 {
		_ = r.UnregisterRingFD()
	}
	r.unmap()
	fd := r.fd
	r.fd, r.enterFD = -1, -1
	return unix.Close(fd)
}
