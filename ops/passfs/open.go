package passfs

import (
	"runtime"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// openFlags returns the flags to open a file of the source with, for a caller
// that opened it with flags. Few are wanted there:
//
//   - the access mode, O_TRUNC and O_NOATIME are passed on;
//   - O_APPEND is not: a WRITE carries its offset, and pwrite(2) on an
//     O_APPEND descriptor appends whatever its offset, also pages of a shared
//     mapping. Whether a write appends is in write_in.flags, see Write;
//   - O_DIRECT is not: it has made the kernel above bypass its cache already,
//     it may be switched by fcntl(2) at any time, and below it would bring the
//     alignment rules of the source (and EINVAL where there is no such mode);
//   - O_SYNC and O_DSYNC are not: they come with each write;
//   - O_CREAT, O_EXCL and O_NOCTTY are for who resolves names; O_NONBLOCK,
//     O_ASYNC, O_DIRECTORY, O_NOFOLLOW and O_LARGEFILE mean nothing on a
//     regular file reached without a name.
//
// With write-back there is more to it: wb.OpenFlags.
func (fs *FS) openFlags(flags uint32) int {
	n := int(flags & (unix.O_ACCMODE | unix.O_TRUNC | unix.O_NOATIME))
	if fs.writeback {
		n = wb.OpenFlags(n)
	}
	return n
}

// Open answers OPEN. The kernel has checked what the caller may do with the
// file (default_permissions); it is opened as the server. FIFOs, sockets and
// devices are never opened here, the kernel handles those without asking. What
// is opened is always ready, so POLL has no handler: ENOSYS tells the kernel
// to say so itself from then on (fs/fuse/file.c: fuse_file_poll).
func (fs *FS) Open(r *ops.Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return err
	}
	if i.mode == unix.S_IFDIR {
		return unix.EISDIR
	}
	if fs.opt.ReadOnly && (in.Flags&unix.O_ACCMODE != unix.O_RDONLY || in.Flags&unix.O_TRUNC != 0) {
		return unix.EROFS
	}
	flags := fs.openFlags(in.Flags)
	if flags&unix.O_NOATIME != 0 && !fs.owns(r, i) {
		flags &^= unix.O_NOATIME
	}
	if flags&unix.O_TRUNC != 0 {
		fs.fsetid(r, in.OpenFlags&protocol.OpenKillSuidgid == 0)
	}
	err = fs.openNow(r, i, flags, in, out)
	if err == unix.EAGAIN && in.Flags&unix.O_NONBLOCK == 0 {
		return fs.openLater(r, i, flags, in, out)
	}
	return err
}

// openLater opens a file that somebody in the source holds a lease on, who has
// up to fs.lease-break-time to give it up, 45 s. No reader waits with it.
func (fs *FS) openLater(r *ops.Request, i *inode, flags int, in *protocol.OpenIn, out *protocol.OpenOut) error {
	t := &fs.locks
	if !t.mayWait(r) {
		return unix.EAGAIN
	}
	r.Shrink()
	r.Detach()
	go func() {
		if flags&unix.O_TRUNC != 0 && in.OpenFlags&protocol.OpenKillSuidgid != 0 {
			runtime.LockOSThread() // for good: it ends with its goroutine
			if !setCap(unix.CAP_FSETID, false) {
				t.waiters.Add(-1)
				r.Finish(0, unix.EPERM)
				return
			}
		}
		err := error(unix.EAGAIN)
		for d := pollMin; err == unix.EAGAIN; d = min(2*d, pollMax) {
			clock.Sleep(d)
			if r.Interrupted() {
				err = unix.EINTR
			} else {
				err = fs.openNow(nil, i, flags, in, out)
			}
		}
		t.waiters.Add(-1)
		r.Finish(0, err)
	}()
	return ops.Later
}

// openNow opens i, EAGAIN if that would have to wait. r is nil off the serving
// thread.
func (fs *FS) openNow(r *ops.Request, i *inode, flags int, in *protocol.OpenIn, out *protocol.OpenOut) error {
	trunc := fs.writeCache() != nil && flags&unix.O_TRUNC != 0
	if trunc {
		flags &^= unix.O_TRUNC
	}
	fd, err := fs.reopen(i, flags|unix.O_NONBLOCK)
	if err == unix.EPERM && flags&unix.O_NOATIME != 0 {
		// The caller may, but the server is neither the owner nor root.
		flags &^= unix.O_NOATIME
		fd, err = fs.reopen(i, flags|unix.O_NONBLOCK)
	}
	if err == unix.EACCES && fs.raised(in.Flags) { // the server may not read it
		flags = flags&^unix.O_ACCMODE | unix.O_WRONLY
		fd, err = fs.reopen(i, flags|unix.O_NONBLOCK)
	}
	if err == unix.EPERM && in.Flags&unix.O_APPEND != 0 {
		// An append-only file (chattr +a) opens for writing with O_APPEND
		// only; nothing but appending is possible then.
		flags |= unix.O_APPEND
		fd, err = fs.reopen(i, flags|unix.O_NONBLOCK)
	}
	if err != nil {
		return err
	}
	if in.Flags&unix.O_NONBLOCK == 0 && !i.mnt.quiet { // some files of /proc and /sys mind
		unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&(unix.O_NOATIME|unix.O_APPEND))
	}
	i.opened(fd)
	if trunc {
		// With the cache's consent, if it has something of the file.
		if err = fs.truncNow(r, i); err != nil {
			fs.closing(i, fd)
			fs.closeFD(fd)
			return err
		}
	}
	if err := fs.newFile(r, i, fd, in.Flags, out, nil); err != nil {
		fs.closing(i, fd)
		fs.closeFD(fd)
		return err
	}
	return nil
}

// noflush reports whether close(2) has nothing to tell us: no lock is ours to
// drop, no error is kept for it, and nothing is held back.
func (fs *FS) noflush(i *inode, flags uint32) bool {
	return fs.opt.LocalLocks && !fs.writeback && fs.writeCache() == nil && (flags&unix.O_ACCMODE == unix.O_RDONLY || i.mnt.quiet)
}

// raised reports whether openFlags has made O_RDWR of the caller's O_WRONLY.
func (fs *FS) raised(flags uint32) bool {
	return fs.writeback && flags&unix.O_ACCMODE == unix.O_WRONLY
}

// owns reports whether the caller owns i, or is root.
func (fs *FS) owns(r *ops.Request, i *inode) bool {
	if r.Uid() == 0 {
		return true
	}
	fd, err := fs.pin(i)
	if err != nil {
		return false
	}
	defer fs.unpin(i)
	var st unix.Statx_t
	return statxFD(fd, &st) == nil && st.Uid == r.Uid()
}

// newFile makes an open file of fd, which the inode knows already (opened),
// and fills in the reply. flags are the caller's; r and st as for enter. On
// error fd is still the caller's.
func (fs *FS) newFile(r *ops.Request, i *inode, fd int, flags uint32, out *protocol.OpenOut, st *unix.Statx_t) error {
	f := &file{fd: fd, flags: flags, i: i}
	id, err := fs.enter(r, i, fd, flags, st)
	if err != nil {
		return err
	}
	bypass := false
	if flags&unix.O_APPEND != 0 || fs.raised(flags) {
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		f.appendFD = err == nil && fl&unix.O_APPEND != 0
		bypass = fs.writeback && err == nil && wb.MustBypass(fl)
	}
	if id != 0 {
		f.backed = true
		out.OpenFlags, out.BackingID = protocol.FopenPassthrough, id
	}
	switch {
	case f.backed && !i.wary(flags):
	case f.backed, bypass, fs.direct(),
		fs.opt.Parallel == ParallelAlways && flags&(unix.O_DIRECT|unix.O_APPEND) == unix.O_DIRECT && fs.mmapsDirect:
		// Shared mappings work where DIRECT_IO_ALLOW_MMAP was negotiated (7.39).
		f.direct = true
		out.OpenFlags |= protocol.FopenDirectIO
		if fs.opt.Parallel != ParallelNever {
			out.OpenFlags |= protocol.FopenParallelDirectWrites
		}
	case fs.opt.Cache == CacheAlways:
		out.OpenFlags = protocol.FopenKeepCache
	case fs.writeback && i.writers.Load() > 0:
		out.OpenFlags = protocol.FopenKeepCache // what the kernel holds is the file
	default:
		if i.same(fd, st) {
			out.OpenFlags = protocol.FopenKeepCache
		}
	}
	if fs.noflush(i, flags) {
		out.OpenFlags |= protocol.FopenNoflush
	}
	switch acc := flags & unix.O_ACCMODE; {
	case acc == unix.O_RDONLY, f.backed:
	case fs.writeback && !f.direct, acc == unix.O_RDWR && (!f.direct || fs.mmapsDirect):
		f.writes = true
		i.writers.Add(1)
	}
	if id == 0 && i.mnt.quiet && fs.writeCache() == nil && fs.conn != nil && fs.conn.ZeroCopy() {
		out.OpenFlags |= protocol.FopenIOUringZeroCopy
	}
	fs.cacheOpen(f)
	fh, err := fs.files.add(f)
	if err != nil {
		fs.cacheClose(f)
		if f.writes {
			i.writers.Add(-1)
		}
		fs.leave(i, f.backed)
		return err
	}
	out.Fh = fh
	return nil
}

// version is what tells whether a file has changed: guarded by inode.mu.
type version struct {
	size         uint64
	msec, csec   int64
	mnsec, cnsec uint32
	known        bool
}

// settled is how old a change must be before the times are believed to tell
// it from the next one: file systems stamp with the tick of a coarse clock.
const settled = 100 * clock.Millisecond

// same reports whether the file has not changed since the last time it was
// asked, and remembers how it is now. The kernel drops its cached data when
// the answer is no. Between opens AUTO_INVAL_DATA makes it look at the mtime
// with each GETATTR, so this matters for a file reopened after a change in the
// source that no GETATTR has told of.
func (i *inode) same(fd int, st *unix.Statx_t) bool {
	if st == nil {
		st = new(unix.Statx_t)
		if statxFD(fd, st) != nil {
			return false
		}
	}
	now := version{size: st.Size, msec: st.Mtime.Sec, mnsec: st.Mtime.Nsec,
		csec: st.Ctime.Sec, cnsec: st.Ctime.Nsec, known: true}
	sec, nsec := clock.Wall()
	if sec -= st.Ctime.Sec; sec < 0 || sec < 2 && clock.Nanos(sec)*clock.Second+clock.Nanos(nsec)-clock.Nanos(st.Ctime.Nsec) < settled {
		now.known = false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last == nil {
		i.last = new(version)
	}
	same := now.known && now == *i.last
	*i.last = now
	return same
}

// Flush answers FLUSH, one for each close(2) of a descriptor: the caller's
// POSIX locks on the file go, and an error the source keeps for close(2) is
// fetched by closing a duplicate (NFS and others write back there). That is
// only worth its two calls if something was written; with write-back that may
// have gone through another open file.
func (fs *FS) Flush(r *ops.Request, in *protocol.FlushIn) error {
	f, err := fs.file(in.Fh)
	if err != nil {
		return err
	}
	fs.locks.dropOwner(fs, f.i, in.LockOwner)
	w := f.back()
	if fs.opt.LazyClose {
		w = nil
	}
	_, err = fs.later(r, w, func(late bool, _ error) (int, error) {
		defer fs.put(f)
		err := fs.flush(r, f, late)
		if f.back() != nil {
			if e := f.back().Check(&f.told); e != 0 {
				err = e
			}
		}
		return 0, err
	})
	return err
}

// flush fetches the source's error for close(2). late: on no thread of the channel's.
func (fs *FS) flush(r *ops.Request, f *file, late bool) error {
	if !f.dirty.Swap(false) && !(f.writes && fs.writeback) {
		return nil
	}
	if !late {
		r.Block()
	}
	fs.takeFD(1)
	fd, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		fs.giveFD(1)
		f.dirty.Store(true)
		return nil // no descriptor left: the next close may still report it
	}
	err = unix.Close(fd)
	fs.giveFD(1)
	if err == unix.EINTR {
		err = nil // Linux has closed it all the same
	}
	return err
}

// Release answers RELEASE, the last one for fh. Its flock(2) and open file
// description locks go with it; those waiting for them are told.
func (fs *FS) Release(r *ops.Request, in *protocol.ReleaseIn) error {
	f := fs.files.get(in.Fh)
	if f == nil {
		return unix.EBADF
	}
	if in.ReleaseFlags&protocol.ReleaseFlush != 0 {
		fs.locks.dropOwner(fs, f.i, in.LockOwner)
	}
	fs.put(f)
	fs.closeFile(in.Fh)
	return nil
}

func (fs *FS) closeFile(fh uint64) {
	f := fs.files.remove(fh)
	if f == nil {
		return
	}
	if f.writes {
		f.i.writers.Add(-1)
	}
	fs.leave(f.i, f.backed)
	if f.locked.Load() {
		// Not by closing: a request still under way would keep it.
		fs.locks.release(fs, f)
	}
	fs.put(f)
}

// CancelOpen closes what a caller that had gone meanwhile would have got.
func (fs *FS) CancelOpen(nodeid, fh uint64, dir bool) {
	if dir {
		fs.closeDir(fh)
	} else {
		fs.closeFile(fh)
	}
}

// Fsync answers FSYNC, fdatasync(2) too.
func (fs *FS) Fsync(r *ops.Request, in *protocol.FsyncIn) error {
	f, err := fs.file(in.Fh)
	if err != nil {
		return err
	}
	data := in.FsyncFlags&protocol.FsyncFdatasync != 0
	if f.back() != nil {
		return fs.cacheSync(r, f, true, data)
	}
	if fs.opt.Engine != nil {
		kind := aio.Fsync
		if data {
			kind = aio.Fdatasync
		}
		return fs.submit(r, f, kind, nil, 0, 0, 0, true)
	}
	err = ops.Elsewhere
	if !r.Elsewhere() {
		err = fs.sync(f, data)
	}
	fs.put(f)
	return err
}

func (fs *FS) sync(f *file, data bool) error {
	for {
		var err error
		if data {
			err = unix.Fdatasync(f.fd)
		} else {
			err = unix.Fsync(f.fd)
		}
		if err != unix.EINTR {
			return err
		}
	}
}
