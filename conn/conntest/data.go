package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// direct reports whether I/O on f bypasses the page cache.
func (f *File) direct() bool {
	return f.open&protocol.FopenDirectIO != 0 || f.flags&unix.O_DIRECT != 0
}

// maxRead is the most bytes of one READ.
func (k *Kernel) maxRead() int {
	n := k.maxPages * k.page
	if k.o.MaxRead != 0 {
		n = min(n, max(4096, int(k.o.MaxRead)))
	}
	return n
}

// maxSend is the most bytes of one WRITE.
func (k *Kernel) maxSend() int {
	n := min(k.maxPages*k.page, k.maxWrite)
	if !k.has(protocol.InitBigWrites) {
		n = min(n, k.page)
	}
	return n
}

// Read is read(2): at the file position.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// Write is write(2): at the file position, or with O_APPEND at the end.
func (f *File) Write(p []byte) (int, error) {
	n, end, err := f.write(p, f.pos, nil)
	f.pos = end
	return n, err
}

// SeekTo sets the file position.
func (f *File) SeekTo(pos int64) { f.pos = pos }

// ReadAt is pread(2): at the end of the file it returns 0 and no error.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.readAt(p, off, nil) }

func (f *File) readAt(p []byte, off int64, a *AIO) (int, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return 0, e
	}
	if f.flags&unix.O_ACCMODE == unix.O_WRONLY {
		return 0, unix.EBADF
	}
	if off < 0 {
		return 0, unix.EINVAL
	}
	if len(p) == 0 {
		return 0, nil
	}
	first, last := off/int64(k.page), (off+int64(len(p))-1)/int64(k.page)
	if f.open&protocol.FopenDirectIO != 0 { // fuse_direct_read_iter
		k.writeRange(f.c, f.ino, first, last)
		var n int
		var e unix.Errno
		if a != nil && f.flags&unix.O_DIRECT != 0 {
			n, e = k.directIO(f, p, off, false, a)
		} else {
			n, e = k.directRead(f, p, off)
		}
		return n, errno(e)
	}
	// fuse_cache_read_iter
	i := f.ino
	if k.has(protocol.InitAutoInvalData) || off+int64(len(p)) > int64(i.attr.Size) {
		if e := k.update(f.c, i, f, unix.STATX_SIZE); e != 0 {
			return 0, e
		}
	}
	n := 0
	if f.flags&unix.O_DIRECT != 0 { // generic_file_read_iter
		k.writeRange(f.c, i, first, last)
		var e unix.Errno
		if n, e = k.directIO(f, p, off, false, a); e != 0 || n == len(p) {
			return n, errno(e)
		}
	}
	m, e := k.cachedRead(f, p[n:], off+int64(n))
	if n > 0 {
		e = 0
	}
	return n + m, errno(e)
}

// sendRead is one READ, flagged as a direct one if owner is set.
func (k *Kernel) sendRead(f *File, off int64, size int, owner bool) ([]byte, unix.Errno) {
	in := protocol.ReadIn{Fh: f.fh, Offset: uint64(off), Size: uint32(size), Flags: f.flags}
	if owner {
		in.ReadFlags, in.LockOwner = protocol.ReadLockowner, f.c.owner
	}
	return k.call(f.c, &body{op: protocol.OpRead, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in), size: size})
}

// short complains about a READ that ended before the end of the file.
func (k *Kernel) short(f *File, off int64, asked, got int, size uint64, effect string) {
	if i := f.ino; k.ownsSize(i) && len(i.dirty)+len(i.flights) > 0 {
		return // what makes the file as long has not been sent
	}
	if k.o.Shared || got >= asked || uint64(off)+uint64(got) >= size {
		return
	}
	k.report(&request{op: protocol.OpRead, nodeid: f.ino.nodeid}, 0,
		fmt.Sprintf("%d of %d bytes at %d, in a file of %d", got, asked, off, size), effect)
}

// directRead is fuse_direct_io: one READ after the other, none after a short one.
func (k *Kernel) directRead(f *File, p []byte, off int64) (int, unix.Errno) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, k.directMax(false, done))
		size, version := f.ino.attr.Size, f.ino.version
		b, e := k.sendRead(f, off+int64(done), n, true)
		if e != 0 {
			if done > 0 {
				break
			}
			return 0, e
		}
		copy(p[done:], b)
		if version == f.ino.version {
			k.short(f, off+int64(done), n, len(b), size, "read(2) returns less than there is")
		}
		f.ino.inval |= invalAtime
		done += len(b)
		if len(b) < n {
			break
		}
	}
	return done, 0
}

// WriteAt is pwrite(2); with O_APPEND, as on Linux, at the end all the same.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, _, err := f.write(p, off, nil)
	return n, err
}

func (f *File) write(p []byte, off int64, a *AIO) (n int, end int64, err error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.flags&unix.O_ACCMODE == unix.O_RDONLY { // directories, too
		return 0, off, unix.EBADF
	}
	if e := f.begin(false); e != 0 {
		return 0, off, e
	}
	if off < 0 {
		return 0, off, unix.EINVAL
	}
	if len(p) == 0 {
		return 0, off, nil
	}
	i := f.ino
	cached := f.open&protocol.FopenDirectIO == 0
	back := false // fuse_cache_write_iter
	if cached && k.ownsSize(i) {
		if e := k.update(f.c, i, f, unix.STATX_SIZE|unix.STATX_MODE); e != 0 {
			return 0, off, e
		}
		back = !k.has(protocol.InitHandleKillprivV2) || !f.c.dropsSuid(i)
	}
	unlock := k.lockWrite(f, len(p), off)
	defer unlock()
	if f.flags&unix.O_APPEND != 0 { // as the kernel knows the size, even if it is old
		off = int64(i.attr.Size)
	}
	if cached {
		if e := k.needKillpriv(f.c, i, true); e != 0 {
			return 0, off, e
		}
	}
	var e unix.Errno
	switch {
	case f.direct():
		if cached && k.ownsSize(i) {
			k.stampTimes(i)
		}
		k.writeRange(f.c, i, off/int64(k.page), (off+int64(len(p))-1)/int64(k.page))
		if !cached && (a == nil || f.flags&unix.O_DIRECT == 0) { // fuse_direct_write_iter
			n, e = k.writeThrough(f, p, off, true)
			break
		}
		k.dropPages(i, off, int64(len(p)))
		n, e = k.directIO(f, p, off, true, a)
		k.dropPages(i, off, int64(len(p)))
	case back:
		n, e = k.writeCached(f, p, off)
	default:
		if k.ownsSize(i) {
			k.stampTimes(i)
		}
		n, e = k.writeThrough(f, p, off, false)
	}
	return n, off + int64(n), errno(e)
}

// dropsSuid is fs/attr.c: setattr_should_drop_suidgid: a write of c clears bits
// of the mode, so that it must not wait in the cache.
func (c *Client) dropsSuid(i *inode) bool {
	m := i.attr.Mode
	return c.Uid != 0 && (m&unix.S_ISUID != 0 || m&unix.S_ISGID != 0 && (m&unix.S_IXGRP != 0 || !c.member(i.attr.Gid)))
}

// writeThrough is fuse_perform_write, or fuse_direct_io: one WRITE after the
// other, none after a short one.
func (k *Kernel) writeThrough(f *File, p []byte, off int64, direct bool) (int, unix.Errno) {
	i := f.ino
	if off+int64(len(p)) > int64(i.attr.Size) {
		i.unstable++
		defer func() { i.unstable-- }()
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n := min(k.directMax(true, done), len(p)-done)
		if !direct {
			n = k.fillWrite(i, at, min(k.maxSend(), len(p)-done))
		}
		in := protocol.WriteIn{Fh: f.fh, Offset: uint64(at), Size: uint32(n), Flags: f.flags}
		if direct {
			in.WriteFlags, in.LockOwner = protocol.WriteLockowner, f.c.owner
		}
		if k.has(protocol.InitHandleKillprivV2) && f.c.Uid != 0 { // no CAP_FSETID
			in.WriteFlags |= protocol.WriteKillSuidgid
		}
		if !direct {
			k.lockPages(f.c, i)
			first, last := at/int64(k.page), (at+int64(n)-1)/int64(k.page)
			k.wait(f.c, func() bool { return !i.writing(first, last) })
		}
		b, e := k.call(f.c, &body{op: protocol.OpWrite, nodeid: i.nodeid, arg: protocol.BytesOf(&in), data: p[done : done+n]})
		wrote := 0
		if e == 0 {
			wrote = int(view[protocol.WriteOut](b).Size)
			if wrote > n {
				k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0,
					fmt.Sprintf("%d bytes written of %d", wrote, n), "EIO to the caller")
				wrote, e = 0, unix.EIO
			}
		}
		if direct {
			k.dropPages(i, at, int64(n))
		} else {
			k.wrotePages(i, p[done:done+wrote], at, n)
			k.unlock(&i.plock)
		}
		i.inval |= invalWrote // fuse_write_update_attr
		if wrote > 0 {
			i.attr.Size = max(i.attr.Size, uint64(at)+uint64(wrote))
			k.attrs++
			i.version = k.attrs
		}
		done += wrote
		if e != 0 || wrote < n {
			if done > 0 {
				return done, 0
			}
			if e == 0 && !direct {
				e = unix.EIO
			}
			return done, e
		}
	}
	return done, 0
}
