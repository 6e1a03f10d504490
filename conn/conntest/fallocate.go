package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Fallocate is fallocate(2), mode of unix.FALLOC_FL_*.
func (f *File) Fallocate(mode uint32, off, length int64) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return e
	}
	if e := f.checkFallocate(mode, off, length); e != 0 {
		return e
	}
	return errno(k.fallocate(f, mode, off, length))
}

// checkFallocate is fs/open.c: vfs_fallocate, and which modes fuse lets through.
func (f *File) checkFallocate(mode uint32, off, length int64) unix.Errno {
	const punch, zero, keep = unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_KEEP_SIZE
	switch {
	case off < 0 || length <= 0:
		return unix.EINVAL
	case mode&(punch|zero) == punch|zero, mode&punch != 0 && mode&keep == 0:
		return unix.EOPNOTSUPP
	case f.flags&unix.O_ACCMODE == unix.O_RDONLY:
		return unix.EBADF
	case off+length < off:
		return unix.EFBIG
	case mode&^(punch|zero|keep) != 0:
		return unix.EOPNOTSUPP
	case mode&zero != 0 && f.c.k.o.Minor < 34: // Linux 5.14
		return unix.EOPNOTSUPP
	}
	return 0
}

// fallocate is fs/fuse/file.c: fuse_file_fallocate.
func (k *Kernel) fallocate(f *File, mode uint32, off, length int64) unix.Errno {
	i := f.ino
	if k.o.Minor < 19 || k.no[protocol.OpFallocate] {
		return unix.EOPNOTSUPP
	}
	k.lock(f.c, &i.lock)
	defer k.unlock(&i.lock)
	hole := mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) != 0
	if hole && k.ownsSize(i) {
		if e := k.flushPages(f.c, i); e != 0 {
			return e
		}
	}
	keep := mode&unix.FALLOC_FL_KEEP_SIZE != 0
	if !keep {
		i.unstable++
		defer func() { i.unstable-- }()
	}
	if e := k.needKillpriv(f.c, i, true); e != 0 { // file_modified
		return e
	}
	in := protocol.FallocateIn{Fh: f.fh, Offset: uint64(off), Length: uint64(length), Mode: mode}
	_, e := k.call(f.c, &body{op: protocol.OpFallocate, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
	if e == unix.ENOSYS {
		k.no[protocol.OpFallocate] = true
		return unix.EOPNOTSUPP
	}
	if e != 0 {
		return e
	}
	if !keep {
		k.grown(i, uint64(off+length))
	}
	if k.ownsSize(i) {
		k.stampTimes(i)
	}
	if hole {
		k.zeroPages(i, off, off+length)
	}
	i.inval |= invalWrote
	return 0
}

// grown is fuse_write_update_attr: what was written ends at end.
func (k *Kernel) grown(i *inode, end uint64) {
	i.attr.Size = max(i.attr.Size, end)
	i.inval |= invalWrote
	k.attrs++
	i.version = k.attrs
}

// zeroPages is truncate_pagecache_range: pages from start to end go, and what is
// of others is cleared.
func (k *Kernel) zeroPages(i *inode, start, end int64) {
	i.drops++
	page := int64(k.page)
	for n, p := range i.pages {
		from, to := max(start-n*page, 0), min(end-n*page, page)
		switch {
		case from >= to:
		case to-from == page:
			delete(i.pages, n)
			delete(i.dirty, n)
		default:
			clear(p[from:to])
		}
	}
}
