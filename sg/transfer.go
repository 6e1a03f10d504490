package sg

import "github.com/fusewire/fusewire/sg/unix"

// way is the direction and kind of a transfer.
type way uint8

const (
	pread way = iota // from an offset of a file
	pwrite
	read // from a stream
	write
)

func (w way) reads() bool { return w == pread || w == read }

// Preadv reads from offset off of a file into v, by as many calls of preadv(2)
// or preadv2(2) as it takes. It returns how many bytes arrived. Fewer than v.Len() without an
// error means the end of the file, or of a file range of v's. An error is a
// unix.Errno, and the bytes before it are good. A negative off is EINVAL: there
// is no file position here.
//
// flags are RWF_*. With any, a file range needs v.Bounce, and a kernel without
// preadv2(2) fails with ENOSYS. With RWF_NOWAIT the call that would wait fails
// with EAGAIN, or is short before it.
func Preadv(fd int, v *Vec, off int64, flags int) (int, error) {
	return all(pread, fd, v, off, flags)
}

// Pwritev writes v to a file from offset off on. All of it was written, or there
// is an error, or a file range of v's ended early. With RWF_APPEND, or on a file
// opened with O_APPEND, the kernel decides where, once a call. Else as [Preadv].
func Pwritev(fd int, v *Vec, off int64, flags int) (int, error) {
	return all(pwrite, fd, v, off, flags)
}

// Readv fills v from a stream: a pipe, a socket, a device. Else as [Preadv].
func Readv(fd int, v *Vec) (int, error) { return all(read, fd, v, 0, 0) }

// Writev writes v to a stream. Else as [Pwritev].
func Writev(fd int, v *Vec) (int, error) { return all(write, fd, v, 0, 0) }

// PreadvOnce is Preadv with one successful system call: what is left is the
// caller's business. It takes the memory up to the first file range, or the
// file range that v begins with, and no more than [MaxIovecs] segments.
func PreadvOnce(fd int, v *Vec, off int64, flags int) (int, error) {
	return once(pread, fd, v, off, flags)
}

// PwritevOnce is Pwritev as [PreadvOnce] is Preadv.
func PwritevOnce(fd int, v *Vec, off int64, flags int) (int, error) {
	return once(pwrite, fd, v, off, flags)
}

// ReadvOnce is Readv as [PreadvOnce] is Preadv: for streams that have messages.
func ReadvOnce(fd int, v *Vec) (int, error) { return once(read, fd, v, 0, 0) }

// WritevOnce is Writev as [PreadvOnce] is Preadv: a message written whole, if v
// is memory in no more than [MaxIovecs] segments.
func WritevOnce(fd int, v *Vec) (int, error) { return once(write, fd, v, 0, 0) }

func once(w way, fd int, v *Vec, off int64, flags int) (int, error) {
	if !validRange(off, v.n) {
		return 0, unix.EINVAL
	}
	if v.n == 0 {
		return 0, nil
	}
	n, e := step(w, fd, &cursor{segs: v.Segs()}, v.Bounce, off, flags)
	return n, asError(e)
}

func all(w way, fd int, v *Vec, off int64, flags int) (n int, err error) {
	if !validRange(off, v.n) {
		return 0, unix.EINVAL
	}
	c := cursor{segs: v.Segs()}
	for n < v.n {
		m, e := step(w, fd, &c, v.Bounce, off+int64(n), flags)
		memory := c.segs[0].Mem != nil
		n += m
		c.advance(m)
		switch {
		case e == unix.EINVAL && n > 0 && w == pread && atEnd(fd, off+int64(n)):
			return n, nil // a direct read cannot ask at an odd offset whether this is the end
		case e != 0:
			return n, e
		case m == 0 && memory && !w.reads():
			return n, unix.EIO // neither progress nor a reason: never try for ever
		case m == 0:
			return n, nil
		}
	}
	return n, nil
}

// atEnd says whether a regular file has nothing at off or beyond.
func atEnd(fd int, off int64) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && off >= st.Size
}

// step moves what one system call can, from the cursor on, which has something.
func step(w way, fd int, c *cursor, bounce []byte, off int64, flags int) (int, unix.Errno) {
	switch {
	case c.segs[0].Mem == nil:
		s := c.segs[0].part(c.skip, c.segs[0].Len-c.skip)
		return moveRange(w, fd, &s, bounce, off, flags)
	case len(c.segs) <= fewIovecs:
		var iov [fewIovecs]unix.Iovec
		return vectored(w, fd, iov[:c.iovecs(iov[:])], off, flags)
	}
	return stepMany(w, fd, c, off, flags)
}

// fewIovecs is how many descriptions do not need stepMany's frame.
const fewIovecs = 16

// stepMany is step with room for all the kernel takes: 16 KiB of stack, which
// small transfers must not pay for.
//
//go:noinline
func stepMany(w way, fd int, c *cursor, off int64, flags int) (int, unix.Errno) {
	var iov [MaxIovecs]unix.Iovec
	return vectored(w, fd, iov[:c.iovecs(iov[:])], off, flags)
}

// positioned returns the call for a transfer at an offset: the one with flags
// only if there are any, for it is missing from emulators and some sandboxes.
func positioned(w way, flags int) uintptr {
	switch {
	case w == pread && flags == 0:
		return unix.SYS_PREADV
	case w == pread:
		return unix.SYS_PREADV2
	case flags == 0:
		return unix.SYS_PWRITEV
	}
	return unix.SYS_PWRITEV2
}

// offsetWords splits an offset as preadv(2) and its like want it on every
// architecture: the low word first, whatever the byte order; 64-bit kernels take
// it all from the low one. No register pair needs aligning, for neither word is
// a 64-bit argument. Two shifts, for one by all of a word's bits is no shift at
// all in the kernel's C.
func offsetWords(off int64) (low, high uintptr) {
	const half = 16 << (^uintptr(0) >> 63) // of a word's bits
	return uintptr(off), uintptr(uint64(off) >> half >> half)
}

func asError(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// errno undoes asError, for calls that return an error.
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
