package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// CopyRange is copy_file_range(2) from one file to another, or to itself, of
// n bytes. Where the server has no COPY_FILE_RANGE it reads and writes.
func (f *File) CopyRange(off int64, to *File, toOff, n int64) (int64, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return 0, e
	}
	if e := to.begin(false); e != 0 {
		return 0, e
	}
	// fs/read_write.c: generic_copy_file_checks
	switch {
	case f.flags&unix.O_ACCMODE == unix.O_WRONLY, to.flags&unix.O_ACCMODE == unix.O_RDONLY, to.flags&unix.O_APPEND != 0:
		return 0, unix.EBADF
	case off < 0 || toOff < 0 || n < 0:
		return 0, unix.EINVAL
	case off+n < off || toOff+n < toOff:
		return 0, unix.EOVERFLOW
	}
	n = max(0, min(n, int64(f.ino.attr.Size)-off))
	if f.ino == to.ino && off < toOff+n && toOff < off+n {
		return 0, unix.EINVAL
	}
	if n == 0 {
		return 0, nil
	}
	done, e := k.copyRange(f, off, to, toOff, n)
	if e == unix.EOPNOTSUPP { // splice_copy_file_range
		return k.copySlow(f, off, to, toOff, n)
	}
	return done, errno(e)
}

// copyRange is fs/fuse/file.c: __fuse_copy_file_range.
func (k *Kernel) copyRange(f *File, off int64, to *File, toOff, n int64) (int64, unix.Errno) {
	in, out := f.ino, to.ino
	if k.o.Minor < 28 || k.no[protocol.OpCopyFileRange] {
		return 0, unix.EOPNOTSUPP
	}
	if k.ownsSize(in) {
		k.lock(f.c, &in.lock)
		e := k.flushPages(f.c, in)
		k.unlock(&in.lock)
		if e != 0 {
			return 0, e
		}
	}
	k.lock(f.c, &out.lock)
	defer k.unlock(&out.lock)
	if k.ownsSize(out) {
		if e := k.flushPages(f.c, out); e != 0 {
			return 0, e
		}
	} else if uint64(toOff+n) > out.attr.Size {
		out.unstable++
		defer func() { out.unstable-- }()
	}
	if e := k.needKillpriv(f.c, out, true); e != 0 { // file_modified
		return 0, e
	}
	copied, e := k.sendCopy(f, off, to, toOff, n)
	if e != 0 {
		return 0, e
	}
	// Whole pages go, those that were written in part as well.
	page := int64(k.page)
	out.drops++
	for p := toOff / page; copied > 0 && p*page < toOff+copied; p++ {
		delete(out.pages, p)
		delete(out.dirty, p)
	}
	if k.ownsSize(out) {
		k.stampTimes(out)
	}
	if copied > 0 {
		k.grown(out, uint64(toOff+copied))
	}
	in.until = min(in.until, k.now) // atime
	return copied, 0
}

// sendCopy sends COPY_FILE_RANGE_64, or without that COPY_FILE_RANGE, whose
// result has 32 bits.
func (k *Kernel) sendCopy(f *File, off int64, to *File, toOff, n int64) (int64, unix.Errno) {
	in := protocol.CopyFileRangeIn{FhIn: f.fh, OffIn: uint64(off), NodeidOut: to.ino.nodeid, FhOut: to.fh, OffOut: uint64(toOff), Len: uint64(n)}
	op := protocol.OpCopyFileRange64
	var b []byte
	e := unix.ENOSYS
	if k.o.Minor >= 45 {
		b, e = k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	}
	copied := uint64(0)
	if e == unix.ENOSYS {
		k.no[op] = true
		op = protocol.OpCopyFileRange
		in.Len = min(in.Len, uint64(1<<32-int64(k.page)))
		b, e = k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
		if e == unix.ENOSYS {
			k.no[op] = true
			return 0, unix.EOPNOTSUPP
		}
		if e == 0 {
			copied = uint64(view[protocol.WriteOut](b).Size)
		}
	} else if e == 0 {
		copied = view[protocol.CopyFileRangeOut](b).BytesCopied
	}
	if copied > in.Len {
		k.report(&request{op: op, nodeid: f.ino.nodeid}, 0,
			fmt.Sprintf("%d bytes copied of %d", copied, in.Len), "EIO to the caller")
		e = unix.EIO
	}
	return int64(copied), e
}

// copySlow reads and writes, a pipe's worth at a time. k.mu is held.
func (k *Kernel) copySlow(f *File, off int64, to *File, toOff, n int64) (int64, error) {
	k.mu.Unlock()
	defer k.mu.Lock()
	buf := make([]byte, min(n, int64(16*k.page)))
	done := int64(0)
	for done < n {
		r, err := f.ReadAt(buf[:min(int64(len(buf)), n-done)], off+done)
		w := 0
		if err == nil && r > 0 {
			w, err = to.WriteAt(buf[:r], toOff+done)
		}
		done += int64(w)
		if err != nil && done == 0 {
			return 0, err
		}
		if err != nil || w < r || r == 0 {
			break
		}
	}
	return done, nil
}
