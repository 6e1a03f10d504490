package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// File is an open file or directory of a client.
type File struct {
	c      *Client
	d      *dentry
	ino    *inode
	fh     uint64
	flags  uint32 // O_*
	open   uint32 // FOPEN_*
	noFh   bool   // the server has no OPEN: no RELEASE either
	closed bool
	pos    int64  // of Read and Write
	dirpos uint64 // cookie of ReadDir

	cached bool // it counts as an open for cached I/O
	holds  int  // requests with its fh, and mappings
	late   bool // it is released after those
	maps   int  // mappings, which keep it open

	mark, window, behind int64 // pages: readahead begins the next window, that begins, a read ended

	owner    uint64 // lock_owner of flock(2)
	flock    bool   // the server has been asked for one: RELEASE drops it
	linkable bool   // of O_TMPFILE: it may get a name
	kh       uint64 // names the file in POLL
	polled   int    // waiters in PollWait
	woken    bool   // a NOTIFY_POLL came
}

// Open is open(2). With O_CREAT the file is made by CREATE, or by MKNOD and
// OPEN if the server lacks that.
func (c *Client) Open(path string, flags int, mode uint32) (*File, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	for range 3 { // a link at the end, or a file that appears: once more
		f, again, e := k.open(c, path, uint32(flags)&^unix.O_CLOEXEC|largefile(), mode)
		if e == unix.ESTALE && !again {
			again = true // the VFS retries once with LOOKUP_REVAL
		}
		if !again {
			if e != 0 {
				return nil, e
			}
			return f, nil
		}
	}
	return nil, unix.ESTALE
}

func (k *Kernel) open(c *Client, path string, flags, mode uint32) (f *File, again bool, e unix.Errno) {
	if flags&unix.O_CREAT != 0 && flags&unix.O_DIRECTORY != 0 { // fs/open.c: build_open_flags
		return nil, false, unix.EINVAL
	}
	follow := flags&unix.O_NOFOLLOW == 0 && flags&(unix.O_CREAT|unix.O_EXCL) != unix.O_CREAT|unix.O_EXCL
	d, e := k.walk(c, path, follow, flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL)
	if e != 0 {
		return nil, false, e
	}
	defer k.dput(d)
	if d.ino == nil {
		if flags&unix.O_CREAT == 0 {
			return nil, false, unix.ENOENT
		}
		f, e = k.create(c, d, flags, mode)
		return f, e == unix.EEXIST && flags&unix.O_EXCL == 0, e
	}
	switch {
	case flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT|unix.O_EXCL:
		return nil, false, unix.EEXIST
	case d.ino.bad:
		return nil, false, unix.EIO
	case !d.ino.dir() && flags&unix.O_DIRECTORY != 0: // before a link is told
		return nil, false, unix.ENOTDIR
	case d.ino.attr.Mode&unix.S_IFMT == unix.S_IFLNK:
		return nil, false, unix.ELOOP
	case d.ino.dir() && (flags&(unix.O_CREAT|unix.O_TRUNC) != 0 || flags&unix.O_ACCMODE != unix.O_RDONLY):
		return nil, false, unix.EISDIR
	case d.ino.attr.Mode&unix.S_IFMT == unix.S_IFCHR || d.ino.attr.Mode&unix.S_IFMT == unix.S_IFBLK:
		return nil, false, unix.EACCES // mounts of FUSE are nodev
	case !d.ino.dir() && !d.ino.reg():
		return nil, false, unix.ENXIO // a device or FIFO: not the server's business
	}
	if e := k.may(c, d.ino, accessMask(flags)); e != 0 { // may_open
		return nil, false, e
	}
	f, e = k.openInode(c, d, flags)
	return f, false, e
}

// wireFlags is what the server sees of the flags (fs/fuse/file.c: fuse_send_open).
func (k *Kernel) wireFlags(flags uint32) uint32 {
	flags &^= unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY
	if !k.has(protocol.InitAtomicOTrunc) {
		flags &^= unix.O_TRUNC
	}
	return flags
}

// openInode is fuse_open: OPEN or OPENDIR, and the truncation.
func (k *Kernel) openInode(c *Client, d *dentry, flags uint32) (*File, unix.Errno) {
	i := d.ino
	f := &File{c: c, d: d, ino: i, flags: flags &^ (unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC)}
	trunc := flags&unix.O_TRUNC != 0 && i.reg()
	atomic := trunc && k.has(protocol.InitAtomicOTrunc)
	if trunc {
		k.lock(c, &i.lock)
		defer k.unlock(&i.lock)
	}
	if e := k.sendOpen(f, flags); e != 0 {
		return nil, e
	}
	atomic = atomic && !f.noFh
	k.opened(f)
	if trunc { // do_truncate, after the open
		if e := k.needKillpriv(c, i, false); e != 0 {
			k.release(f)
			return nil, e
		}
	}
	if atomic {
		i.attr.Size = 0
		i.dropAll()
		i.inval |= invalWrote
		k.attrs++
		i.version = k.attrs
	} else if trunc {
		var own *File
		if e := k.setattr(c, i, own, &protocol.SetattrIn{Valid: protocol.FattrSize}); e != 0 {
			k.release(f)
			return nil, e
		}
	}
	return f, 0
}

// sendOpen is fs/fuse/file.c: fuse_file_open: OPEN or OPENDIR for f.
func (k *Kernel) sendOpen(f *File, flags uint32) unix.Errno {
	op := protocol.OpOpen
	if f.ino.dir() {
		op = protocol.OpOpendir
	}
	in := protocol.OpenIn{Flags: k.wireFlags(flags)}
	in.OpenFlags = f.c.killSuid(in.Flags, unix.O_TRUNC)
	b, e := k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	switch e {
	case 0:
		out := view[protocol.OpenOut](b)
		f.fh, f.open = out.Fh, out.OpenFlags
	case unix.ENOSYS:
		k.no[op] = true
		f.noFh, f.open = true, protocol.FopenKeepCache
		if f.ino.dir() {
			f.open |= protocol.FopenCacheDir
		}
	default:
		return e
	}
	return 0
}

// opened is fuse_finish_open.
func (k *Kernel) opened(f *File) {
	if f.open&protocol.FopenDirectIO == 0 {
		f.open &^= protocol.FopenParallelDirectWrites
	}
	if f.ino.reg() && f.open&protocol.FopenKeepCache == 0 {
		f.ino.dropClean()
	}
	if f.flags&unix.O_ACCMODE != unix.O_RDONLY {
		f.ino.users = append(f.ino.users, f)
	}
	f.d.refs++
	f.ino.refs++
	if f.open&protocol.FopenDirectIO == 0 {
		k.cachedStart(f.c, f)
	}
}

// create is fuse_atomic_open with O_CREAT on the negative dentry d.
func (k *Kernel) create(c *Client, d *dentry, flags, mode uint32) (*File, unix.Errno) {
	dir, name := d.parent, d.name
	k.lock(c, &dir.ino.lock)
	defer k.unlock(&dir.ino.lock)
	if now := dir.children[name]; now != nil && now.ino != nil {
		return nil, unix.EEXIST
	}
	if dir.ino.bad {
		return nil, unix.EIO
	}
	if dir.ino.removed {
		return nil, unix.ENOENT
	}
	if e := k.may(c, dir.ino, mayWrite|mayExec); e != 0 {
		return nil, e
	}
	mode &= 0o7777
	if flags&unix.O_EXCL != 0 {
		flags &^= unix.O_TRUNC // the VFS: there is nothing to truncate
	}
	version := k.attrs
	var b []byte
	e := unix.ENOSYS
	if !k.no[protocol.OpCreate] {
		in := protocol.CreateIn{Flags: flags &^ unix.O_NOCTTY, Mode: unix.S_IFREG | c.mode(mode), Umask: c.Umask}
		if flags&unix.O_EXCL == 0 {
			in.OpenFlags = c.killSuid(flags, unix.O_TRUNC)
		}
		b, e = k.call(c, &body{op: protocol.OpCreate, nodeid: dir.ino.nodeid, arg: protocol.BytesOf(&in), names: []string{name}, ext: c.extension(dir.ino)})
	}
	if e == unix.ENOSYS {
		k.no[protocol.OpCreate] = true
		in := protocol.MknodIn{Mode: unix.S_IFREG | c.mode(mode), Umask: c.Umask}
		if b, e = k.call(c, &body{op: protocol.OpMknod, nodeid: dir.ino.nodeid, arg: protocol.BytesOf(&in), names: []string{name}, ext: c.extension(dir.ino)}); e != 0 {
			return nil, e
		}
		n, e := k.made(protocol.OpMknod, dir, name, unix.S_IFREG, view[protocol.EntryOut](b), version)
		if e != 0 {
			return nil, e
		}
		defer k.dput(n)
		return k.openInode(c, n, flags&^unix.O_TRUNC)
	}
	if e != 0 {
		if e == unix.EEXIST {
			k.expire(dir, name)
		}
		return nil, e
	}
	entry, out := view[protocol.EntryOut](b), view[protocol.OpenOut](b[len(b)-16:])
	n, e := k.made(protocol.OpCreate, dir, name, unix.S_IFREG, entry, version)
	if e != 0 {
		// fuse_sync_release: the handle at least is given back.
		k.postRelease(protocol.OpRelease, entry.Nodeid, &protocol.ReleaseIn{Fh: out.Fh, Flags: flags})
		return nil, e
	}
	defer k.dput(n)
	f := &File{c: c, d: n, ino: n.ino, fh: out.Fh, open: out.OpenFlags,
		flags: flags &^ (unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC)}
	k.opened(f)
	return f, 0
}

// Close is close(2): FLUSH, whose error it returns, and RELEASE, which nobody
// waits for.
func (f *File) Close() error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return unix.EBADF
	}
	f.closed = true
	e := k.flush(f)
	if f.maps == 0 {
		k.release(f)
	}
	return errno(e)
}

// CloseDup is close(2) of a duplicate of the descriptor, dup(2)'s or a child
// process's: a FLUSH, and the file stays open.
func (f *File) CloseDup() error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return unix.EBADF
	}
	return errno(k.flush(f))
}

// flush is fs/fuse/file.c: fuse_flush.
func (k *Kernel) flush(f *File) (e unix.Errno) {
	if f.ino.reg() && (f.open&protocol.FopenNoflush == 0 || k.has(protocol.InitWritebackCache)) {
		if e = k.writeBack(f.c, f.ino); e == 0 {
			e = f.ino.wbErr
		}
		f.ino.wbErr = 0
	}
	if e == 0 && f.ino.reg() && !f.ino.bad && (f.open&protocol.FopenNoflush == 0 || k.ownsSize(f.ino)) && !k.no[protocol.OpFlush] {
		in := protocol.FlushIn{Fh: f.fh, LockOwner: f.c.owner}
		_, e = k.call(f.c, &body{op: protocol.OpFlush, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in), force: true})
		if e == unix.ENOSYS {
			k.no[protocol.OpFlush] = true
			e = 0
		}
		if e == 0 && k.has(protocol.InitWritebackCache) {
			f.ino.inval |= unix.STATX_BLOCKS // not kept in memory
		}
	}
	return e
}

// release is fuse_release_common; who holds f yet puts it off.
func (k *Kernel) release(f *File) {
	k.cachedEnd(f)
	f.ino.users = without(f.ino.users, f)
	if f.holds > 0 {
		f.late = true
		return
	}
	k.releaseNow(f)
}

func (k *Kernel) releaseNow(f *File) {
	k.sendRelease(f)
	k.dropLocks(f)
	delete(k.polls, f.kh)
	k.dput(f.d)
	k.iput(f.ino)
}

// sendRelease is RELEASE or RELEASEDIR, unless there was no OPEN.
func (k *Kernel) sendRelease(f *File) {
	op := protocol.OpRelease
	if f.ino.dir() {
		op = protocol.OpReleasedir
	}
	if f.noFh || k.no[protocol.OpOpen] && !f.ino.dir() {
		return
	}
	in := protocol.ReleaseIn{Fh: f.fh, Flags: f.flags}
	if f.flock {
		in.ReleaseFlags, in.LockOwner = protocol.ReleaseFlockUnlock, f.owner
	}
	k.postRelease(op, f.ino.nodeid, &in)
}

func (k *Kernel) postRelease(op protocol.Opcode, nodeid uint64, in *protocol.ReleaseIn) {
	k.post(&body{op: op, nodeid: nodeid, arg: protocol.BytesOf(in), force: true})
}

// begin checks that the file can be used.
func (f *File) begin(dir bool) unix.Errno {
	switch {
	case f.closed:
		return unix.EBADF
	case f.ino.bad:
		return unix.EIO
	case dir && !f.ino.dir():
		return unix.ENOTDIR
	case !dir && f.ino.dir():
		return unix.EISDIR
	}
	return 0
}

// Stat is fstat(2).
func (f *File) Stat() (protocol.Attr, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return protocol.Attr{}, unix.EBADF
	}
	if e := k.update(f.c, f.ino, nil, invalAll); e != 0 {
		return protocol.Attr{}, e
	}
	return f.ino.attr, nil
}

// Truncate is ftruncate(2).
func (f *File) Truncate(size uint64) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if !f.closed && f.ino.dir() {
		return unix.EINVAL
	}
	if e := f.begin(false); e != 0 {
		return e
	}
	if f.flags&unix.O_ACCMODE == unix.O_RDONLY || size > 1<<63-1 {
		return unix.EINVAL
	}
	k.lock(f.c, &f.ino.lock)
	defer k.unlock(&f.ino.lock)
	if e := k.needKillpriv(f.c, f.ino, false); e != 0 {
		return e
	}
	return errno(k.setattr(f.c, f.ino, f, &protocol.SetattrIn{Valid: protocol.FattrSize, Size: size}))
}

// Fsync is fsync(2), or fdatasync(2).
func (f *File) Fsync(data bool) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return unix.EBADF
	}
	return errno(k.fsync(f, data))
}

// fsync is fuse_fsync and fuse_dir_fsync.
func (k *Kernel) fsync(f *File, data bool) unix.Errno {
	op := protocol.OpFsync
	if f.ino.dir() {
		op = protocol.OpFsyncdir
	}
	in := protocol.FsyncIn{Fh: f.fh}
	if data {
		in.FsyncFlags = protocol.FsyncFdatasync
	}
	if f.ino.reg() {
		e := k.writeBack(f.c, f.ino)
		if e == 0 {
			e = f.ino.wbErr
		}
		f.ino.wbErr = 0
		if e != 0 {
			return e
		}
	}
	if k.no[op] {
		return 0
	}
	_, e := k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	if e == unix.ENOSYS {
		k.no[op] = true
		return 0
	}
	return e
}
