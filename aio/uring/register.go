package uring

import (
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// register makes an *Error of what the kernel says.
func (r *Ring) register(what string, op uintptr, arg unsafe.Pointer, n int) error {
	if _, e := r.sysRegister(op, arg, n); e != 0 {
		return &Error{Op: what, Err: e}
	}
	return nil
}

// RegisterRingFD registers the ring's own descriptor with the calling thread, so
// that Enter need not look it up. From then on the Ring may be entered by this
// thread only.
func (r *Ring) RegisterRingFD() error {
	r.upd = rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if err := r.register("register ring", regRingFDs, unsafe.Pointer(&r.upd), 1); err != nil {
		return err
	}
	r.enterFD, r.enterOr = int(r.upd.offset), enterRegisteredRing
	return nil
}

// UnregisterRingFD undoes RegisterRingFD, on the same thread.
func (r *Ring) UnregisterRingFD() error {
	r.upd = rsrcUpdate{offset: uint32(r.enterFD)}
	r.enterFD, r.enterOr = r.fd, 0
	return r.register("unregister ring", unregRingFDs, unsafe.Pointer(&r.upd), 1)
}

// Enable starts a ring that was set up with SetupRDisabled. With
// SetupSingleIssuer the thread that enables becomes the one to submit.
func (r *Ring) Enable() error { return r.register("enable", regEnableRings, nil, 0) }

// RegisterFiles makes fds the table of registered files; -1 leaves a gap.
func (r *Ring) RegisterFiles(fds []int32) error {
	return r.register("register files", regFiles, unsafe.Pointer(unsafe.SliceData(fds)), len(fds))
}

// RegisterFilesSparse makes a table of n gaps.
func (r *Ring) RegisterFilesSparse(n int) error {
	r.reg = rsrcRegister{nr: uint32(n), flags: rsrcSparse}
	return r.register("register files", regFiles2, unsafe.Pointer(&r.reg), int(unsafe.Sizeof(r.reg)))
}

// UpdateFiles replaces what is in the table from index at on; -1 makes a gap.
func (r *Ring) UpdateFiles(at int, fds []int32) error {
	r.upd = rsrcUpdate{offset: uint32(at), data: r.hold(unsafe.Pointer(unsafe.SliceData(fds)))}
	return r.update("update files", regFilesUpdate, unsafe.Pointer(&r.upd), len(fds), len(fds))
}

// UnregisterFiles drops the table.
func (r *Ring) UnregisterFiles() error { return r.register("unregister files", unregFiles, nil, 0) }

// RegisterBuffers makes v the table of registered buffers, whose pages the kernel
// pins. They should be of a mapping; memory of Go's heap must be kept.
func (r *Ring) RegisterBuffers(v []unix.Iovec) error {
	return r.register("register buffers", regBuffers, unsafe.Pointer(unsafe.SliceData(v)), len(v))
}

// RegisterBuffersSparse makes a table of n gaps, to be filled by UpdateBuffers
// or, for FUSE's zero copy, by the kernel.
func (r *Ring) RegisterBuffersSparse(n int) error {
	r.reg = rsrcRegister{nr: uint32(n), flags: rsrcSparse}
	return r.register("register buffers", regBuffers2, unsafe.Pointer(&r.reg), int(unsafe.Sizeof(r.reg)))
}

// UpdateBuffers replaces what is in the table from index at on; an iovec of
// nothing makes a gap.
func (r *Ring) UpdateBuffers(at int, v []unix.Iovec) error {
	r.upd2 = rsrcUpdate2{offset: uint32(at), nr: uint32(len(v)), data: r.hold(unsafe.Pointer(unsafe.SliceData(v)))}
	return r.update("update buffers", regBuffersUpdate, unsafe.Pointer(&r.upd2), int(unsafe.Sizeof(r.upd2)), len(v))
}

// UnregisterBuffers drops the table.
func (r *Ring) UnregisterBuffers() error {
	return r.register("unregister buffers", unregBuffers, nil, 0)
}

// update makes an error of updates that stopped half way, too.
func (r *Ring) update(what string, op uintptr, arg unsafe.Pointer, n, want int) error {
	done, e := r.sysRegister(op, arg, n)
	r.keep = nil
	if e == 0 && done != want {
		e = unix.EINVAL
	}
	if e != 0 {
		return &Error{Op: what, Err: e}
	}
	return nil
}

// RegisterEventFD has the kernel signal the eventfd for every completion.
func (r *Ring) RegisterEventFD(fd int) error {
	arg := int32(fd)
	return r.register("register eventfd", regEventFD, unsafe.Pointer(&arg), 1)
}

// UnregisterEventFD undoes RegisterEventFD.
func (r *Ring) UnregisterEventFD() error {
	return r.register("unregister eventfd", unregEventFD, nil, 0)
}

// MaxWorkers limits the kernel threads that run what would block: bounded is for
// regular files and block devices, unbounded for the rest. Zero leaves a limit as
// it is.
func (r *Ring) MaxWorkers(bounded, unbounded int) error {
	arg := [2]uint32{uint32(bounded), uint32(unbounded)}
	return r.register("limit workers", regIOWQMaxWorkers, unsafe.Pointer(&arg), 2)
}
