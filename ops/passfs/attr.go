package passfs

import (
	"math"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// attrFrom is st on the wire. The inode number is the source's: two files on
// different file systems below one mount may show the same, and st_dev, which
// would tell them apart, is the mount's own.
func attrFrom(st *unix.Statx_t, a *protocol.Attr) {
	*a = protocol.Attr{
		Ino:       st.Ino,
		Size:      st.Size,
		Blocks:    st.Blocks,
		Atime:     uint64(st.Atime.Sec),
		Mtime:     uint64(st.Mtime.Sec),
		Ctime:     uint64(st.Ctime.Sec),
		Atimensec: st.Atime.Nsec,
		Mtimensec: st.Mtime.Nsec,
		Ctimensec: st.Ctime.Nsec,
		Mode:      uint32(st.Mode),
		Nlink:     st.Nlink,
		Uid:       st.Uid,
		Gid:       st.Gid,
		Rdev:      encodeDev(st.Rdev_major, st.Rdev_minor),
		Blksize:   st.Blksize,
	}
}

// encodeDev is the kernel's new_encode_dev: 12 bits of major around the low 8
// of 20 of minor.
func encodeDev(major, minor uint32) uint32 {
	return minor&0xff | major<<8 | minor&^0xff<<12
}

// statOf fills st for a request that may come with an open file (has).
func (fs *FS) statOf(nodeid, fh uint64, has bool, sync int, st *unix.Statx_t) error {
	if has {
		if f := fs.files.get(fh); f != nil && f.i.nodeid == nodeid {
			gen := f.i.gen()
			err := statxSync(f.fd, sync, st)
			fs.asWritten(f.i, st, gen)
			fs.put(f)
			return err
		} else if f != nil {
			fs.put(f)
		}
	}
	i, fd, err := fs.pinned(nodeid)
	if err != nil {
		return err
	}
	gen := i.gen()
	err = statxSync(fd, sync, st)
	fs.unpin(i)
	fs.asWritten(i, st, gen)
	return err
}

// Getattr answers GETATTR.
func (fs *FS) Getattr(r *ops.Request, in *protocol.GetattrIn, out *protocol.AttrOut) error {
	var st unix.Statx_t
	if err := fs.statOf(r.Nodeid(), in.Fh, in.GetattrFlags&protocol.GetattrFh != 0, 0, &st); err != nil {
		return err
	}
	fs.attr(&st, out)
	return nil
}

func (fs *FS) attr(st *unix.Statx_t, out *protocol.AttrOut) {
	out.AttrValid, out.AttrValidNsec = split(fs.attrTimeout)
	attrFrom(st, &out.Attr)
}

// Statx answers STATX, which is sent for the birth time. A network file system
// below is told how fresh the caller wants it (AT_STATX_FORCE_SYNC and kin).
func (fs *FS) Statx(r *ops.Request, in *protocol.StatxIn, out *protocol.StatxOut) error {
	var st unix.Statx_t
	sync := int(in.SxFlags & (unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC))
	if err := fs.statOf(r.Nodeid(), in.Fh, in.GetattrFlags&protocol.GetattrFh != 0, sync, &st); err != nil {
		return err
	}
	out.AttrValid, out.AttrValidNsec = split(fs.attrTimeout)
	s := &out.Stat
	s.Mask = st.Mask & (unix.STATX_BASIC_STATS | unix.STATX_BTIME)
	s.Blksize, s.Nlink, s.Uid, s.Gid, s.Mode = st.Blksize, st.Nlink, st.Uid, st.Gid, st.Mode
	s.Attributes, s.AttributesMask = st.Attributes, st.Attributes_mask
	s.Ino, s.Size, s.Blocks = st.Ino, st.Size, st.Blocks
	sxTime(&s.Atime, &st.Atime)
	sxTime(&s.Btime, &st.Btime)
	sxTime(&s.Ctime, &st.Ctime)
	sxTime(&s.Mtime, &st.Mtime)
	s.RdevMajor, s.RdevMinor = st.Rdev_major, st.Rdev_minor
	s.DevMajor, s.DevMinor = st.Dev_major, st.Dev_minor
	return nil
}

func sxTime(to *protocol.SxTime, t *unix.StatxTimestamp) {
	to.TvSec, to.TvNsec = t.Sec, t.Nsec
}

// Setattr answers SETATTR, as the server: the kernel has checked what the
// caller may do. If one part fails the parts before it are done, as with the
// system calls one after the other. Owner before size before mode: the first
// two take set-user-id bits, which a mode in the same request gives. Times
// last, since truncating sets them. ctime is the source's to keep.
func (fs *FS) Setattr(r *ops.Request, in *protocol.SetattrIn, out *protocol.AttrOut) error {
	if fs.opt.ReadOnly {
		return unix.EROFS
	}
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return err
	}
	if w := i.back(); w != nil {
		return fs.setattrHeld(r, w, i, in, out)
	}
	return fs.setattrNow(r, i, in, out, false)
}

// setattrHeld is Setattr of a file of which something may be held back.
func (fs *FS) setattrHeld(r *ops.Request, w *wb.File, i *inode, in *protocol.SetattrIn, out *protocol.AttrOut) error {
	switch {
	case in.Valid&protocol.FattrSize != 0:
		_, err := fs.alone(r, w, 0, -1, int64(min(in.Size, math.MaxInt64)), func(late bool, err error) (int, error) {
			if err == nil {
				err = fs.setattrNow(r, i, in, out, late)
			}
			return 0, err
		})
		return err
	case in.Valid&protocol.FattrMtime != 0:
		// What is written later would set it anew. If that fails it is tried again
		// some time, and said to who wrote it.
		_, err := fs.later(r, w, func(late bool, _ error) (int, error) {
			return 0, fs.setattrNow(r, i, in, out, late)
		})
		return err
	}
	return fs.setattrNow(r, i, in, out, false)
}

// setattrNow is Setattr when what is held back has been written, as far as it has
// to be. late: on no thread of the channel's, the thread's capabilities being the
// server's.
func (fs *FS) setattrNow(r *ops.Request, i *inode, in *protocol.SetattrIn, out *protocol.AttrOut, late bool) (err error) {
	var f *file
	if in.Valid&protocol.FattrFh != 0 {
		f = fs.files.get(in.Fh)
		if f != nil {
			defer fs.put(f)
			if f.i != i {
				f = nil
			}
		}
	}
	var fd int
	if f != nil {
		fd = f.fd
	} else {
		if fd, err = fs.pin(i); err != nil {
			return err
		}
		defer fs.unpin(i)
	}
	i.plain.Store(false)
	err = fs.setattr(r, i, f, fd, in, late)
	i.plain.Store(false)
	if err != nil {
		return err
	}
	var st unix.Statx_t
	gen := i.gen()
	if err := statxFD(fd, &st); err != nil {
		return err
	}
	if in.Valid&protocol.FattrSize == 0 { // else alone, and about to drop what was cut off
		fs.asWritten(i, &st, gen)
	}
	fs.attr(&st, out)
	if in.Valid == 0 {
		out.AttrValid, out.AttrValidNsec = 0, 0 // the write to come may change the mode
	}
	return nil
}

// chownNothing is a SETATTR of nothing: what the kernel makes of
// chown(-1, -1), which takes the set-id bits and changes ctime if the caller
// may, and also of its own announcement of a write that will take them
// (fs/fuse/dir.c: fuse_setattr clears ATTR_KILL_*). Done as the caller, the
// first is served; for the second it is early, or refused and harmless. But
// root's writes are announced where they take file capabilities only, and
// leave the bits: for root nothing may be done.
func (fs *FS) chownNothing(r *ops.Request, fd int) error {
	if r.Uid() == 0 {
		return nil
	}
	who, err := fs.assume(r, noUmask, nil)
	if err != nil {
		return err
	}
	_ = chownFD(fd, ^uint32(0), ^uint32(0)) // EPERM is for a writer no error
	who.drop()
	return nil
}

// setattr changes the file i, through fd: f's if f is not nil, else O_PATH.
func (fs *FS) setattr(r *ops.Request, i *inode, f *file, fd int, in *protocol.SetattrIn, late bool) error {
	locked := false
	fsetid := func(have bool) {
		switch {
		case !late:
			fs.fsetid(r, have)
		case !have:
			locked = true
			fs.lateFsetid(true)
		case locked:
			setCap(unix.CAP_FSETID, fs.hasFsetid)
		}
	}
	if in.Valid == 0 {
		return fs.chownNothing(r, fd)
	}
	kill := in.Valid&protocol.FattrKillSuidgid != 0
	if in.Valid&(protocol.FattrUid|protocol.FattrGid) != 0 {
		uid, gid := ^uint32(0), ^uint32(0)
		if in.Valid&protocol.FattrUid != 0 {
			uid = in.Uid
		}
		if in.Valid&protocol.FattrGid != 0 {
			gid = in.Gid
		}
		// The flag comes with every chown, root's too, who does not lose a
		// set-group-id bit without group execution by it. The other bits go
		// with any chown.
		fsetid(!kill || r.Uid() == 0)
		if err := chownFD(fd, uid, gid); err != nil {
			return err
		}
	}
	if in.Valid&protocol.FattrSize != 0 {
		fsetid(!kill)
		by := r
		if late {
			by = nil
		}
		if err := fs.truncate(by, i, f, in.Size); err != nil {
			return err
		}
	}
	if in.Valid&protocol.FattrMode != 0 {
		if i.mode == unix.S_IFLNK {
			return unix.EOPNOTSUPP
		}
		// Whether the caller may set S_ISGID has been checked.
		if in.Mode&unix.S_ISGID != 0 {
			fsetid(true)
		}
		var err error
		if f != nil {
			err = unix.Fchmod(fd, in.Mode&modeBits)
		} else {
			err = fs.chmodFD(fd, in.Mode&modeBits)
		}
		if err != nil {
			return err
		}
	}
	if in.Valid&(protocol.FattrAtime|protocol.FattrMtime) != 0 {
		ts := [2]timespec64{{0, utimeOmit}, {0, utimeOmit}}
		if in.Valid&protocol.FattrAtime != 0 {
			ts[0] = timespec64{int64(in.Atime), int64(in.Atimensec)}
			if in.Valid&protocol.FattrAtimeNow != 0 {
				ts[0].nsec = utimeNow
			}
		}
		if in.Valid&protocol.FattrMtime != 0 {
			ts[1] = timespec64{int64(in.Mtime), int64(in.Mtimensec)}
			if in.Valid&protocol.FattrMtimeNow != 0 {
				ts[1].nsec = utimeNow
			}
		}
		return utimesFD(fd, &ts)
	}
	return nil
}

// truncate sets the size. ftruncate(2) by a descriptor that may write asks no
// permission of the file (it may be 0444 by now). r is nil off the serving thread.
func (fs *FS) truncate(r *ops.Request, i *inode, f *file, size uint64) error {
	switch {
	case size > math.MaxInt64:
		return unix.EFBIG
	case i.mode == unix.S_IFDIR:
		return unix.EISDIR
	case i.mode != unix.S_IFREG:
		return unix.EINVAL
	}
	var fd int
	if f != nil && f.flags&unix.O_ACCMODE != unix.O_RDONLY && !f.appendFD {
		if r != nil {
			r.Block()
		}
		fd = f.fd
		f.dirty.Store(true)
	} else if r != nil && r.Elsewhere() { // somebody may have a lease
		return ops.Elsewhere // what was done before can be done again
	} else {
		var err error
		if fd, err = fs.reopen(i, unix.O_WRONLY); err != nil {
			return err
		}
		defer fs.closeFD(fd)
	}
	for {
		if err := unix.Ftruncate(fd, int64(size)); err != unix.EINTR {
			return err
		}
	}
}

// Access answers ACCESS, which is sent only without default_permissions.
func (fs *FS) Access(r *ops.Request, in *protocol.AccessIn) error {
	i, fd, err := fs.pinned(r.Nodeid())
	if err != nil {
		return err
	}
	defer fs.unpin(i)
	if fs.opt.ReadOnly && in.Mask&unix.W_OK != 0 && (i.mode == unix.S_IFREG || i.mode == unix.S_IFDIR) {
		return unix.EROFS
	}
	who, err := fs.assume(r, noUmask, nil)
	if err == nil {
		err = accessFD(fd, in.Mask&7)
	}
	who.drop()
	return err
}
