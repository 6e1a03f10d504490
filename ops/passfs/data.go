package passfs

import (
	"math"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// Read answers READ, straight into the reply. Less than asked is end of file
// to the kernel (which forgets what it knew beyond), so a short read(2) is
// read on. Data the source has in memory is read at once (RWF_NOWAIT); what has
// to wait for the disk is the engine's, or without one, another reader is put on
// the device.
func (fs *FS) Read(r *ops.Request, in *protocol.ReadIn, dst []byte) (int, error) {
	f := fs.files.get(in.Fh)
	if f == nil {
		return 0, unix.EBADF
	}
	n, err := 0, error(unix.EAGAIN)
	if in.Offset > math.MaxInt64-uint64(len(dst)) {
		if in.Offset > math.MaxInt64 {
			fs.put(f)
			return 0, unix.EINVAL
		}
		dst = dst[:math.MaxInt64-in.Offset]
	}
	past := fs.writeback && in.ReadFlags&protocol.ReadLockowner != 0
	if r.ZeroCopy() {
		return 0, fs.move(r, f, int64(in.Offset), len(dst), 0, past)
	}
	if f.back() != nil && f.back().Busy() {
		if n, err, all := fs.cacheRead(r, f, dst, int64(in.Offset)); all {
			return n, err
		}
	}
	e := fs.opt.Engine
	if e == nil || !fs.opt.Slow {
		n, err = f.read(r, dst, int64(in.Offset), e == nil)
	}
	if err == ops.Elsewhere { // not Detached, nor Later: the next call finds f again
		fs.put(f)
		return 0, err
	}
	if err == unix.EAGAIN && e != nil {
		return 0, fs.submit(r, f, aio.Read, dst[n:], int64(in.Offset)+int64(n), 0, n, past)
	}
	if past && n < len(dst) && err == nil && wb.SeekNeedsFlush(f.i.writers.Load()) {
		r.Detach()
		fs.readAgain(r, f, dst[n:], int64(in.Offset)+int64(n), n)
		return 0, ops.Detached
	}
	fs.put(f)
	return n, err
}

// readAgain reads on where a detached READ has met the end of the file after done
// bytes: the kernel may hold pages back that lie further on, and then this is a hole.
// It looks for such among the pages of the range alone (mm/filemap.c:
// kiocb_write_and_wait), and takes a short answer to a direct read for the end. Direct
// reads are those with a lock owner (fs/fuse/file.c: fuse_send_read): others are pages,
// which have O_DIRECT among their flags too if somebody has mapped such a file, and
// which are locked until they are answered. As in Lseek no reader may wait.
func (fs *FS) readAgain(r *ops.Request, f *file, dst []byte, off int64, done int) {
	if !fs.locks.mayWait(r) {
		fs.put(f)
		r.Complete(0, unix.EAGAIN)
		return
	}
	go func() {
		_ = fs.conn.NotifyInvalInode(r.Nodeid(), 0, 0)
		err := error(nil)
		for n := 1; err == nil && n > 0 && len(dst) > 0; {
			n, err = preadv(f.fd, dst, off, 0)
			dst, off, done = dst[n:], off+int64(n), done+n
		}
		fs.put(f)
		fs.locks.waiters.Add(-1)
		if err != nil {
			done = 0
		}
		r.Complete(done, err)
	}()
}

// read reads at off. With wait false it returns EAGAIN, and how far it came,
// where it would have to wait, or cannot tell.
func (f *file) read(r *ops.Request, dst []byte, off int64, wait bool) (int, error) {
	done, flags := 0, unix.RWF_NOWAIT
	if f.i.mnt.memory {
		flags = 0 // tmpfs does not know RWF_NOWAIT, nor the need for it
	} else if f.slow.Load() {
		if !wait {
			return 0, unix.EAGAIN
		}
		flags = 0
		r.Block()
	}
	for done < len(dst) {
		n, err := preadv(f.fd, dst[done:], off+int64(done), flags)
		switch {
		case err == nil && n == 0:
			return done, nil
		case err == nil:
			done += n
		case flags != 0 && err == unix.EAGAIN:
			if !wait {
				return done, err
			}
			if r.Elsewhere() {
				return 0, ops.Elsewhere
			}
			flags = 0
		case flags != 0 && (err == unix.EOPNOTSUPP || err == unix.EINVAL || err == unix.ENOSYS):
			// Remembered: EOPNOTSUPP is what the descriptor cannot do, ENOSYS
			// the system.
			f.slow.Store(err != unix.EINVAL)
			if !wait {
				return done, unix.EAGAIN
			}
			flags = 0
			r.Block()
		default: // also behind a first part, which would be the end of the file
			return 0, err
		}
	}
	return done, nil
}

// Write answers WRITE.
//
// Where: at the request's offset, which the kernel has computed. For O_APPEND
// that is the end of the file as the kernel knows it; with its page cache in
// between that is where the data lies in the cache, so it is where it must go.
// Without (FOPEN_DIRECT_IO) the caller asked for the end of the file as it is
// now, and others may be appending in the source: RWF_APPEND. Pages of a
// shared mapping (FUSE_WRITE_CACHE) go to their offset in any case.
//
// O_APPEND, O_SYNC and O_DSYNC are the request's, not those of OPEN: fcntl(2)
// may have changed them.
func (fs *FS) Write(r *ops.Request, in *protocol.WriteIn, data []byte) (int, error) {
	f := fs.files.get(in.Fh)
	if f == nil {
		return 0, unix.EBADF
	}
	if in.Offset > math.MaxInt64-uint64(in.Size) {
		fs.put(f)
		return 0, unix.EFBIG
	}
	cached := in.WriteFlags&protocol.WriteCache != 0
	kill := in.WriteFlags&protocol.WriteKillSuidgid != 0
	flags := wb.Flags(in.Flags, cached, f.direct, f.appendFD)
	waits := flags&(unix.RWF_SYNC|unix.RWF_DSYNC) != 0
	if !f.dirty.Load() {
		f.dirty.Store(true)
	}
	if r.ZeroCopy() {
		if kill {
			fs.killBits(f)
		}
		return 0, fs.move(r, f, int64(in.Offset), int(in.Size), flags, !cached)
	}
	if f.back() != nil {
		return fs.cacheWrite(r, f, in, data, flags)
	}
	if fs.opt.Engine != nil && (waits || fs.opt.Slow) && fs.mayGo(f, kill) {
		fs.fsetid(r, true) // a back end may use this thread
		return 0, fs.submit(r, f, aio.Write, data, int64(in.Offset), flags, 0, !cached)
	}
	if waits && r.Elsewhere() {
		fs.put(f)
		return 0, ops.Elsewhere
	}
	fs.fsetid(r, !kill)
	n, err := f.write(data, int64(in.Offset), flags, cached)
	fs.put(f)
	return n, err
}

// write writes at off. Part of a write(2) is an answer; part of pages (whole),
// which are clean from now on, is not.
func (f *file) write(data []byte, off int64, flags int, whole bool) (int, error) {
	done := 0
	for done < len(data) {
		n, err := pwritev(f.fd, data[done:], off+int64(done), flags)
		if err == nil && n == 0 {
			err = unix.EIO
		}
		if err != nil {
			if done > 0 && !whole {
				return done, nil
			}
			return 0, err
		}
		done += n
	}
	return done, nil
}

// settle makes what FALLOCATE or COPY_FILE_RANGE did through a descriptor
// opened with O_SYNC or O_DSYNC durable; the one in the source has neither.
func (fs *FS) settle(f *file) error {
	switch wb.Sync(f.flags) {
	case unix.RWF_SYNC:
		return fs.sync(f, false)
	case unix.RWF_DSYNC:
		return fs.sync(f, true)
	}
	return nil
}

// Fallocate answers FALLOCATE. The request does not say whether the caller has
// CAP_FSETID, nor does the kernel drop suid itself: root is taken to have it.
func (fs *FS) Fallocate(r *ops.Request, in *protocol.FallocateIn) error {
	f, err := fs.file(in.Fh)
	if err != nil {
		return err
	}
	if in.Offset > math.MaxInt64 || in.Length > math.MaxInt64 {
		fs.put(f)
		return unix.EFBIG
	}
	off, n := int64(in.Offset), int64(in.Length)
	if in.Mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		off, n = 0, -1 // the size may change
	}
	_, err = fs.alone(r, f.back(), off, n, -1, func(late bool, err error) (int, error) {
		defer fs.put(f)
		if err == nil {
			err = fs.fallocate(r, f, in, late)
		}
		return 0, err
	})
	return err
}

// fallocate is Fallocate with the range to itself. late: on no thread of the
// channel's.
func (fs *FS) fallocate(r *ops.Request, f *file, in *protocol.FallocateIn, late bool) (err error) {
	if late {
		fs.lateFsetid(r.Uid() != 0)
	} else if r.Elsewhere() {
		return ops.Elsewhere
	} else {
		fs.fsetid(r, r.Uid() == 0)
	}
	f.dirty.Store(true)
	for {
		err = unix.Fallocate(f.fd, in.Mode, int64(in.Offset), int64(in.Length))
		if err != unix.EINTR || r.Interrupted() {
			break
		}
	}
	if err != nil {
		return err
	}
	return fs.settle(f)
}

// Lseek answers LSEEK: SEEK_DATA and SEEK_HOLE.
func (fs *FS) Lseek(r *ops.Request, in *protocol.LseekIn, out *protocol.LseekOut) error {
	f, err := fs.file(in.Fh)
	if err != nil {
		return err
	}
	switch {
	case in.Whence != unix.SEEK_DATA && in.Whence != unix.SEEK_HOLE:
		err = unix.EINVAL
	case in.Offset > math.MaxInt64:
		err = unix.ENXIO
	case wb.SeekNeedsFlush(f.i.writers.Load()):
		if !fs.locks.mayWait(r) {
			err = unix.EAGAIN
			break
		}
		// The kernel writes back through us, so no reader may wait for it.
		r.Shrink()
		r.Detach()
		go func() {
			_ = fs.conn.NotifyInvalInode(r.Nodeid(), 0, 0)
			err := written(f.back())
			if err == nil {
				err = f.seek(in, out)
			}
			fs.put(f)
			fs.locks.waiters.Add(-1)
			r.Finish(0, err)
		}()
		return ops.Later
	default:
		_, err = fs.later(r, f.back(), func(late bool, err error) (int, error) {
			defer fs.put(f)
			if err == nil {
				if !late {
					r.Block()
				}
				err = f.seek(in, out)
			}
			return 0, err
		})
		return err
	}
	fs.put(f)
	return err
}

// seek moves the position of the descriptor, which nothing else uses.
func (f *file) seek(in *protocol.LseekIn, out *protocol.LseekOut) error {
	n, err := unix.Seek(f.fd, int64(in.Offset), int(in.Whence))
	if err == nil {
		out.Offset = uint64(n)
	}
	return err
}

// maxCopy is MAX_RW_COUNT on the smallest page size: what the kernel copies
// at most in one call, and what fits an int everywhere.
const maxCopy = math.MaxInt32 &^ 4095

// CopyFileRange answers COPY_FILE_RANGE and its 64-bit form. EXDEV (two file
// systems below) makes the kernel copy by reading and writing.
func (fs *FS) CopyFileRange(r *ops.Request, in *protocol.CopyFileRangeIn) (uint64, error) {
	if in.Flags != 0 {
		return 0, unix.EINVAL
	}
	from, err := fs.file(in.FhIn)
	if err != nil {
		return 0, err
	}
	to, err := fs.file(in.FhOut)
	if err != nil {
		fs.put(from)
		return 0, err
	}
	switch {
	case in.OffIn > math.MaxInt64, in.OffOut > math.MaxInt64:
		err = unix.EOVERFLOW
	case to.appendFD:
		err = unix.EBADF
	}
	if err != nil {
		fs.put(from)
		fs.put(to)
		return 0, err
	}
	// What the source of the copy has not got yet is written first, and then what
	// the target has not: one after the other, so that two copies cannot wait for
	// each other.
	n, err := fs.later(r, from.back(), func(late bool, err error) (int, error) {
		do := func(late bool, err error) (int, error) {
			defer fs.put(from)
			defer fs.put(to)
			if err != nil {
				return 0, err
			}
			return fs.copyRange(r, from, to, in, late)
		}
		switch {
		case err != nil:
			return do(late, err)
		case !late:
			return fs.alone(r, to.back(), 0, -1, -1, do)
		}
		t := &wb.Task{Len: -1, Cut: -1}
		if to.back() != nil {
			claim(to.back(), t)
			defer to.back().Release(t, true)
		}
		return do(true, errno(t.Err))
	})
	return uint64(n), err
}

// copyRange is CopyFileRange with the target to itself.
func (fs *FS) copyRange(r *ops.Request, from, to *file, in *protocol.CopyFileRangeIn, late bool) (n int, err error) {
	if late {
		fs.lateFsetid(r.Uid() != 0)
	} else if r.Elsewhere() {
		return 0, ops.Elsewhere
	} else {
		fs.fsetid(r, r.Uid() == 0)
	}
	to.dirty.Store(true)
	a, b := int64(in.OffIn), int64(in.OffOut)
	for {
		n, err = unix.CopyFileRange(from.fd, &a, to.fd, &b, int(min(in.Len, maxCopy)), 0)
		if err != unix.EINTR || r.Interrupted() {
			break
		}
	}
	if err == nil && n > 0 {
		err = fs.settle(to)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}
