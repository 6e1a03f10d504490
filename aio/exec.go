package aio

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/sg"
)

// Do carries op out by system calls on this thread, and sets N and Err: what back
// ends do that have nothing better.
func Do(op *Op) {
	var n int
	var err error
	switch op.Kind {
	case Read:
		n, err = sg.Preadv(op.FD, &op.Vec, op.Off, op.Flags)
	case Write:
		n, err = sg.Pwritev(op.FD, &op.Vec, op.Off, op.Flags)
	case Fsync:
		err = again(func() error { return unix.Fsync(op.FD) })
	case Fdatasync:
		err = again(func() error { return unix.Fdatasync(op.FD) })
	case Fallocate:
		err = again(func() error { return unix.Fallocate(op.FD, op.Mode, op.Off, op.Len) })
	case CopyRange:
		n, err = copyRange(op)
	}
	op.N, op.Err = n, errno(err)
}

// again repeats what a signal interrupted, as Go's runtime sends them.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// copyRange copies until all is done, or the source ends.
func copyRange(op *Op) (done int, err error) {
	const most = 1 << 30 // an int, and what the kernel takes at a time, everywhere
	in, out := op.Off2, op.Off
	for left := op.Len; left > 0; {
		n, err := unix.CopyFileRange(op.FD2, &in, op.FD, &out, int(min(left, most)), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		case n == 0:
			return done, nil
		}
		done += n
		left -= int64(n)
	}
	return done, nil
}

func errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	e, ok := err.(unix.Errno)
	if !ok {
		return unix.EIO
	}
	return e
}

// inMemory reports whether op's data is in memory, all of it.
func inMemory(op *Op) bool {
	for _, seg := range op.Vec.Segs() {
		if seg.Mem == nil {
			return false
		}
	}
	return true
}
