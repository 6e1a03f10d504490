package sg

import "github.com/fusewire/fusewire/sg/unix"

// moveRange moves bytes between fd and the file range s, in the kernel if it
// can, else through bounce. 0 bytes without an error: whoever gives has ended.
func moveRange(w way, fd int, s *Seg, bounce []byte, off int64, flags int) (int, unix.Errno) {
	e := unix.EOPNOTSUPP // copies in the kernel know no flags
	n := 0
	if flags == 0 {
		for n, e = copyRange(w, fd, s, off); e == unix.EINTR; {
			n, e = copyRange(w, fd, s, off)
		}
	}
	switch {
	case len(bounce) == 0:
		return n, e
	case e == 0 && n == 0: // perhaps not the end: files of /proc have no size
	case e == unix.EOPNOTSUPP, e == unix.EINVAL, e == unix.EXDEV, e == unix.ENOSYS,
		e == unix.EBADF: // O_APPEND; a descriptor that is bad fails again below
	default:
		return n, e
	}
	b := bounce[:min(len(bounce), s.Len)]
	if w.reads() {
		return relay(w, fd, off, flags, pwrite, s.FD, s.Off, 0, b)
	}
	return relay(pread, s.FD, s.Off, flags&unix.RWF_NOWAIT, w, fd, off, flags, b)
}

// copyRange asks the kernel to do it.
func copyRange(w way, fd int, s *Seg, off int64) (int, unix.Errno) {
	at := s.Off
	switch w {
	case pread:
		n, err := unix.CopyFileRange(fd, &off, s.FD, &at, s.Len, 0)
		return max(n, 0), errno(err)
	case pwrite:
		n, err := unix.CopyFileRange(s.FD, &at, fd, &off, s.Len, 0)
		return max(n, 0), errno(err)
	case read: // only from pipes
		n, err := unix.Splice(fd, nil, s.FD, &at, s.Len, 0)
		return max(int(n), 0), errno(err)
	}
	n, err := unix.Sendfile(fd, s.FD, &at, s.Len)
	return max(n, 0), errno(err)
}

// relay reads once into b and writes all of what came. If writing fails, what
// was read from a stream and not written is lost.
func relay(r way, from int, fromOff int64, rflags int, w way, to int, toOff int64, wflags int, b []byte) (n int, e unix.Errno) {
	var iov [1]unix.Iovec
	iov[0].Base = &b[0]
	iov[0].SetLen(len(b))
	got, e := vectored(r, from, iov[:], fromOff, rflags)
	if e != 0 {
		return 0, e
	}
	copied.Add(uint64(got))
	for n < got {
		iov[0].Base = &b[n]
		iov[0].SetLen(got - n)
		m, e := vectored(w, to, iov[:], toOff+int64(n), wflags)
		if e == 0 && m == 0 {
			e = unix.EIO
		}
		if e != 0 {
			return n, e
		}
		n += m
	}
	return n, 0
}
