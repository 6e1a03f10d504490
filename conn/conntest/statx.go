package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Statx is statx(2): flags are unix.AT_SYMLINK_NOFOLLOW and AT_STATX_*, mask is
// of unix.STATX_*. Mask of the result says what it has.
func (c *Client) Statx(path string, flags int, mask uint32) (protocol.Statx, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	if e != 0 {
		return protocol.Statx{}, e
	}
	defer k.dput(d)
	sx, e := k.statx(c, d.ino, nil, flags, mask)
	return sx, errno(e)
}

// Statx is statx(2) with AT_EMPTY_PATH.
func (f *File) Statx(flags int, mask uint32) (protocol.Statx, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return protocol.Statx{}, unix.EBADF
	}
	sx, e := k.statx(f.c, f.ino, nil, flags, mask)
	return sx, errno(e)
}

// statx is fs/fuse/dir.c: fuse_update_get_attr. STATX is sent only for btime,
// the rest comes by GETATTR.
func (k *Kernel) statx(cl *Client, i *inode, f *File, flags int, mask uint32) (protocol.Statx, unix.Errno) {
	if i.bad {
		return protocol.Statx{}, unix.EIO
	}
	mask &= unix.STATX_BASIC_STATS | unix.STATX_BTIME
	for {
		if k.no[protocol.OpStatx] || k.o.Minor < 39 {
			mask &= unix.STATX_BASIC_STATS
		}
		sync := false
		switch {
		case mask == 0:
		case flags&unix.AT_STATX_FORCE_SYNC != 0:
			sync = true
		case flags&unix.AT_STATX_DONT_SYNC != 0:
		case mask&unix.STATX_BTIME != 0 && !i.btimed:
			sync = true
		default:
			sync = k.now >= i.until
		}
		switch {
		case !sync:
			return i.statx(), 0
		case mask&unix.STATX_BTIME == 0:
			if e := k.getattr(cl, i, f); e != 0 {
				return protocol.Statx{}, e
			}
			return i.statx(), 0
		}
		sx, e := k.sendStatx(cl, i, f)
		if e != unix.ENOSYS {
			return sx, e
		}
		k.no[protocol.OpStatx] = true
	}
}

// statx is generic_fillattr.
func (i *inode) statx() protocol.Statx {
	a := &i.attr
	sx := protocol.Statx{Mask: unix.STATX_BASIC_STATS, Blksize: a.Blksize, Nlink: a.Nlink, Uid: a.Uid, Gid: a.Gid,
		Mode: uint16(a.Mode), Ino: a.Ino, Size: a.Size, Blocks: a.Blocks,
		Atime:     protocol.SxTime{TvSec: int64(a.Atime), TvNsec: a.Atimensec},
		Mtime:     protocol.SxTime{TvSec: int64(a.Mtime), TvNsec: a.Mtimensec},
		Ctime:     protocol.SxTime{TvSec: int64(a.Ctime), TvNsec: a.Ctimensec},
		RdevMajor: a.Rdev >> 8 & 0xfff, RdevMinor: a.Rdev&0xff | a.Rdev>>12&0xfff00}
	if i.btime != nil {
		sx.Mask |= unix.STATX_BTIME
		sx.Btime = *i.btime
	}
	return sx
}

// sendStatx is fuse_do_statx: everything is asked for, whatever the caller wants.
func (k *Kernel) sendStatx(cl *Client, i *inode, f *File) (protocol.Statx, unix.Errno) {
	in := protocol.StatxIn{SxMask: unix.STATX_BASIC_STATS | unix.STATX_BTIME}
	if f != nil && i.reg() {
		in.GetattrFlags, in.Fh = protocol.GetattrFh, f.fh
	}
	version := k.attrs
	b, e := k.call(cl, &body{op: protocol.OpStatx, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
	if e != 0 {
		return protocol.Statx{}, e
	}
	out := view[protocol.StatxOut](b)
	sx := &out.Stat
	a := attrOf(sx)
	rule := ""
	if sx.Mask&unix.STATX_SIZE != 0 && sx.Size > 1<<63-1 {
		rule = fmt.Sprintf("size %d is above 1<<63-1", sx.Size)
	}
	if sx.Mask&unix.STATX_TYPE != 0 && rule == "" {
		if rule = badAttr(a); rule == "" && (a.Mode^i.attr.Mode)&unix.S_IFMT != 0 {
			rule = fmt.Sprintf("the type changes: mode %#o, it was %#o", a.Mode, i.attr.Mode)
		}
	}
	if rule != "" {
		k.report(&request{op: protocol.OpStatx, nodeid: i.nodeid}, 0, rule, "the inode is marked bad: EIO until forgotten, the root for ever")
		k.makeBad(i)
		return protocol.Statx{}, unix.EIO
	}
	if sx.Mask&unix.STATX_BASIC_STATS == unix.STATX_BASIC_STATS {
		k.change(i, a, k.validUntil(out.AttrValid, out.AttrValidNsec), version)
		i.btimed = true
		if sx.Mask&unix.STATX_BTIME != 0 {
			t := sx.Btime
			i.btime = &t
		}
	}
	got := *sx
	got.Mask = sx.Mask&(unix.STATX_BASIC_STATS|unix.STATX_BTIME) | unix.STATX_TYPE
	if k.ownsSize(i) { // fuse_fillattr takes them from the inode
		got.Size, got.Mtime, got.Ctime = i.attr.Size, i.statx().Mtime, i.statx().Ctime
	}
	return got, 0
}

// attrOf is fuse_statx_to_attr.
func attrOf(sx *protocol.Statx) *protocol.Attr {
	return &protocol.Attr{Ino: sx.Ino, Size: sx.Size, Blocks: sx.Blocks, Mode: uint32(sx.Mode), Nlink: sx.Nlink,
		Uid: sx.Uid, Gid: sx.Gid, Blksize: sx.Blksize,
		Atime: uint64(sx.Atime.TvSec), Atimensec: sx.Atime.TvNsec,
		Mtime: uint64(sx.Mtime.TvSec), Mtimensec: sx.Mtime.TvNsec,
		Ctime: uint64(sx.Ctime.TvSec), Ctimensec: sx.Ctime.TvNsec,
		Rdev: sx.RdevMinor&0xff | sx.RdevMajor<<8 | (sx.RdevMinor&^0xff)<<12}
}
