package conntest

import (
	"math/bits"
	"runtime"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// What the kernel above fs/fuse does to a request, or before it.

// largefile is O_LARGEFILE, which a 64-bit kernel adds to every open(2).
func largefile() uint32 {
	switch {
	case bits.UintSize == 32:
		return 0
	case runtime.GOARCH == "arm64":
		return 0x20000
	case runtime.GOARCH == "ppc64", runtime.GOARCH == "ppc64le":
		return 0x10000
	case runtime.GOARCH == "mips64", runtime.GOARCH == "mips64le":
		return 0x2000
	default:
		return 0x8000
	}
}

// Attributes that are out of date, as STATX_* (fi->inval_mask).
const (
	invalAll   = unix.STATX_BASIC_STATS
	invalWrote = unix.STATX_BLOCKS | unix.STATX_MTIME | unix.STATX_CTIME | unix.STATX_SIZE // FUSE_STATX_MODSIZE
	invalAtime = unix.STATX_ATIME
	invalPerm  = unix.STATX_MODE | unix.STATX_UID | unix.STATX_GID
	invalCtime = unix.STATX_CTIME
)

// cacheMask are the attributes that are the kernel's own (fuse_get_cache_mask).
func (k *Kernel) cacheMask(i *inode) uint32 {
	if k.ownsSize(i) {
		return unix.STATX_MTIME | unix.STATX_CTIME | unix.STATX_SIZE
	}
	return 0
}

// needKillpriv asks whether there are file capabilities to be dropped, before
// what changes a file's data or owner (security_inode_need_killpriv). That
// there are none is remembered by writes, with HANDLE_KILLPRIV_V2 (SB_NOSEC), until
// attributes come in.
func (k *Kernel) needKillpriv(cl *Client, i *inode, write bool) unix.Errno {
	if i.nosec || k.no[protocol.OpGetxattr] {
		return 0
	}
	in := protocol.GetxattrIn{}
	_, e := k.call(cl, &body{op: protocol.OpGetxattr, nodeid: i.nodeid, arg: protocol.BytesOf(&in), names: []string{"security.capability"}})
	if e == unix.ENOSYS {
		k.no[protocol.OpGetxattr] = true
	}
	if e != 0 && write { // no capabilities, be it for want of an answer
		i.nosec = k.has(protocol.InitHandleKillprivV2)
	}
	return 0
}

// chownFirst is what goes before the SETATTR of chown(2), which drops set-id bits
// and capabilities: fuse_setattr looks at the mode anew if the server does not do
// that by itself.
func (k *Kernel) chownFirst(cl *Client, i *inode, in *protocol.SetattrIn) unix.Errno {
	if e := k.needKillpriv(cl, i, false); e != 0 {
		return e
	}
	if k.has(protocol.InitHandleKillprivV2) && in.Valid != 0 {
		in.Valid |= protocol.FattrKillSuidgid
	}
	if k.has(protocol.InitHandleKillpriv | protocol.InitHandleKillprivV2) {
		return 0
	}
	if e := k.getattr(cl, i, nil); e != 0 {
		return e
	}
	mode := i.attr.Mode &^ unix.S_ISUID
	if mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
		mode &^= unix.S_ISGID
	}
	if mode != i.attr.Mode {
		in.Valid |= protocol.FattrMode
		in.Mode = mode
	}
	return 0
}

// updateCtime is fuse_update_ctime. Where times are the kernel's they are sent
// at once.
func (k *Kernel) updateCtime(cl *Client, i *inode) {
	i.inval |= invalCtime
	k.flushCtime(cl, i)
}

// flushCtime is fuse_update_ctime_in_cache; an error is nobody's.
func (k *Kernel) flushCtime(cl *Client, i *inode) {
	if !k.ownsSize(i) {
		return
	}
	i.attr.Ctime, i.attr.Ctimensec = uint64(epoch+k.now/1e9), uint32(k.now%1e9)
	i.stamp = true
	_ = k.flushTimes(cl, i)
}
