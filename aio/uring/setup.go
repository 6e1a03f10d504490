package uring

import "github.com/fusewire/fusewire/sg/unix"

// Options of a ring. The zero value is a plain one.
type Options struct {
	Flags     uint32 // Setup*
	CQEntries uint32 // size of the completion queue; 0 is twice the submission queue's
	WQFD      int    // with SetupAttachWQ, a ring whose kernel threads to share
}

// Setup makes a ring with room for entries submissions, rounded up to a power of
// two. The error is an *Error: ENOSYS without io_uring, EPERM where it is
// forbidden, EINVAL for a flag this kernel has not, ENOMEM beyond RLIMIT_MEMLOCK
// where it is charged (to 5.11, and in 6.18).
func Setup(entries uint32, o Options) (*Ring, error) {
	if o.Flags&SetupSQPoll != 0 {
		return nil, &Error{Op: "setup", Err: unix.EINVAL}
	}
	p := params{flags: o.Flags, cqEntries: o.CQEntries}
	if o.CQEntries != 0 {
		p.flags |= SetupCQSize
	}
	if o.Flags&SetupAttachWQ != 0 {
		p.wqFD = uint32(o.WQFD)
	}
	fd, e := sysSetup(entries, &p)
	if e != 0 {
		return nil, &Error{Op: "setup", Err: e}
	}
	r := &Ring{fd: fd, enterFD: fd, flags: p.flags, features: p.features}
	if e := r.attach(&p); e != 0 {
		_ = r.Close()
		return nil, &Error{Op: "mmap", Err: e}
	}
	return r, nil
}

// SetupBest is Setup with the flags of want that this kernel has: where it says
// EINVAL the newest flag is dropped, and so on, down to those in need. What came
// out is in Flags.
func SetupBest(entries uint32, want, need uint32, o Options) (*Ring, error) {
	// Newest first, with what depends on them.
	drops := [...]uint32{SetupSQEMixed, SetupNoSQArray, SetupDeferTaskrun, SetupSingleIssuer,
		SetupSQE128, SetupCoopTaskrun | SetupTaskrunFlag, SetupSubmitAll}
	o.Flags = want | need
	for _, drop := range drops {
		r, err := Setup(entries, o)
		if e, ok := err.(*Error); !ok || e.Err != unix.EINVAL {
			return r, err
		}
		o.Flags = o.Flags&^drop | need
	}
	return Setup(entries, o)
}
