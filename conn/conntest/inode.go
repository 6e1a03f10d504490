package conntest

import (
	"fmt"
	"math"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// inode is what the kernel knows of a node (struct fuse_inode).
type inode struct {
	nodeid, gen uint64
	nlookup     uint64
	attr        protocol.Attr
	until       int64  // attr is good before this time
	inval       uint32 // STATX_*: what of it is not (fi->inval_mask)
	nosec       bool   // S_NOSEC: known to have no file capabilities
	version     uint64 // attr_version of the last change
	unstable    int    // FUSE_I_SIZE_UNSTABLE: sizes of the server's are ignored
	bad         bool   // fuse_make_bad: EIO
	refs        int    // dentries and open files
	removed     bool   // S_DEAD: a directory that is gone
	rdplus      bool   // FUSE_I_ADVISE_RDPLUS
	btimed      bool   // STATX was answered: btime is known, or known not to be there
	btime       *protocol.SxTime
	locks       []held // of files, where the kernel keeps them itself
	initRdplus  bool   // FUSE_I_INIT_RDPLUS: known from READDIRPLUS alone

	iomode    int  // iocachectr: opens for cached I/O, or minus the shared direct writes under way
	cacheMode bool // FUSE_I_CACHE_IO_MODE: direct writes are exclusive

	lock    lock // i_rwsem
	dirop   lock // fi->mutex: LOOKUP and READDIR without PARALLEL_DIROPS
	plock   lock // of all pages, where the kernel has one for each
	pages   map[int64][]byte
	dirty   map[int64]bool // pages to be written back
	stamp   bool           // times of ours, to be sent
	wbErr   unix.Errno     // of write-back, told once
	users   []*File        // those that can write
	reads   []*flightIn    // READs into the page cache nobody waits for
	flights []*flight      // WRITEs of the page cache
	nowrite int            // FUSE_NOWRITE: they are queued
	drops   uint64         // times that pages were dropped: a READ in flight is older
}

func (k *Kernel) newInode(nodeid, gen uint64) *inode {
	i := &inode{nodeid: nodeid, gen: gen, pages: map[int64][]byte{}, dirty: map[int64]bool{}}
	k.inodes[nodeid] = i
	return i
}

func (i *inode) dir() bool { return i.attr.Mode&unix.S_IFMT == unix.S_IFDIR }
func (i *inode) reg() bool { return i.attr.Mode&unix.S_IFMT == unix.S_IFREG }

// validUntil adds a timeout of the wire to the virtual clock.
func (k *Kernel) validUntil(sec uint64, nsec uint32) int64 {
	if sec > 1<<32 {
		return math.MaxInt64
	}
	d := int64(sec)*1e9 + int64(min(nsec, 999999999))
	if d > math.MaxInt64-k.now {
		return math.MaxInt64
	}
	return k.now + d
}

// makeBad is fuse_make_bad: nothing works on the inode until it is forgotten.
func (k *Kernel) makeBad(i *inode) { i.bad = true }

// stale is fuse_stale_inode: another generation, or another type, of a nodeid.
func (i *inode) stale(gen uint64, a *protocol.Attr) bool {
	return i.gen != gen || (i.nodeid != protocol.RootID && (i.attr.Mode^a.Mode)&unix.S_IFMT != 0)
}

// iget is fuse_iget: the inode of an entry, with one lookup more.
func (k *Kernel) iget(r *request, nodeid, gen uint64, a *protocol.Attr, until int64, version uint64) *inode {
	i := k.inodes[nodeid]
	if i != nil && nodeid != protocol.RootID && i.stale(gen, a) {
		k.report(r, 0, fmt.Sprintf("nodeid %d comes back with generation %d and mode %#o, it has %d and %#o", nodeid, gen, a.Mode, i.gen, i.attr.Mode),
			"the old inode is marked bad: EIO to who has it open")
		k.makeBad(i)
		delete(k.inodes, nodeid) // unhashed; what it owes is forgotten when it goes
		i = nil
	}
	if i == nil {
		i = k.newInode(nodeid, gen)
		i.attr = *a
	}
	i.nlookup++
	k.change(i, a, until, version)
	return i
}

// change is fuse_change_attributes: version is attr_version when the request
// was sent, 0: whatever it is.
func (k *Kernel) change(i *inode, a *protocol.Attr, until int64, version uint64) {
	if version != 0 && i.version > version || i.unstable > 0 {
		return // older than a change of our own
	}
	old := i.attr
	size := i.attr.Size
	i.attr = *a
	if k.ownsSize(i) {
		i.attr.Size = size
		i.attr.Mtime, i.attr.Mtimensec = old.Mtime, old.Mtimensec
		i.attr.Ctime, i.attr.Ctimensec = old.Ctime, old.Ctimensec
	}
	i.until, i.inval, i.nosec = until, 0, false
	k.attrs++
	i.version = k.attrs
	if !i.reg() || k.ownsSize(i) {
		return
	}
	switch {
	case a.Size != old.Size:
		k.truncatePages(i, a.Size)
		if !k.has(protocol.InitExplicitInvalData) || k.has(protocol.InitAutoInvalData) {
			i.dropAll()
		}
	case k.has(protocol.InitAutoInvalData) && (a.Mtime != old.Mtime || a.Mtimensec != old.Mtimensec):
		i.dropAll()
	}
}

// iput drops a reference; the last one evicts the inode at once, and what was
// looked up is given back (fuse_evict_inode).
func (k *Kernel) iput(i *inode) {
	if i.refs--; i.refs > 0 || i.nodeid == protocol.RootID {
		return
	}
	if k.inodes[i.nodeid] == i {
		delete(k.inodes, i.nodeid)
	}
	k.forget(i.nodeid, i.nlookup)
	i.nlookup = 0
}

// getattr is fuse_do_getattr.
func (k *Kernel) getattr(cl *Client, i *inode, f *File) unix.Errno {
	in := protocol.GetattrIn{}
	if f != nil && i.reg() {
		in.GetattrFlags, in.Fh = protocol.GetattrFh, f.fh
	}
	version := k.attrs
	b, e := k.call(cl, &body{op: protocol.OpGetattr, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
	if e != 0 {
		return e
	}
	return k.tookAttr(i, protocol.OpGetattr, view[protocol.AttrOut](b), version)
}

// tookAttr checks and takes an AttrOut.
func (k *Kernel) tookAttr(i *inode, op protocol.Opcode, out *protocol.AttrOut, version uint64) unix.Errno {
	r := &request{op: op, nodeid: i.nodeid}
	rule := badAttr(&out.Attr)
	if rule == "" && i.nodeid != protocol.RootID && (i.attr.Mode^out.Attr.Mode)&unix.S_IFMT != 0 {
		rule = fmt.Sprintf("the type changes: mode %#o, it was %#o", out.Attr.Mode, i.attr.Mode)
	}
	if rule == "" && i.nodeid == protocol.RootID && out.Attr.Mode&unix.S_IFMT != unix.S_IFDIR {
		rule = fmt.Sprintf("the root has mode %#o", out.Attr.Mode)
	}
	if rule != "" {
		k.report(r, 0, rule, "the inode is marked bad: EIO until forgotten, the root for ever")
		k.makeBad(i)
		return unix.EIO
	}
	k.change(i, &out.Attr, k.validUntil(out.AttrValid, out.AttrValidNsec), version)
	return 0
}

// update is fuse_update_get_attr: the attributes in mask (STATX_*) are good now.
func (k *Kernel) update(cl *Client, i *inode, f *File, mask uint32) unix.Errno {
	if i.bad {
		return unix.EIO
	}
	if k.now < i.until && mask&i.inval&^k.cacheMask(i) == 0 {
		return 0
	}
	return k.getattr(cl, i, f)
}

// setattr is fuse_do_setattr; cl holds i.lock.
func (k *Kernel) setattr(cl *Client, i *inode, f *File, in *protocol.SetattrIn) unix.Errno {
	if i.bad {
		return unix.EIO
	}
	size := in.Valid&protocol.FattrSize != 0
	if f != nil {
		in.Valid |= protocol.FattrFh
		in.Fh = f.fh
	}
	launder := false
	defer func() {
		if launder { // not while write-back is held off
			k.launder(cl, i)
			i.dropAll()
		}
	}()
	if k.ownsSize(i) { // the VFS sets ctime
		in.Valid |= protocol.FattrCtime
		in.Ctime = uint64(epoch + k.now/1e9)
	}
	if k.ownsSize(i) {
		if size {
			in.Valid |= protocol.FattrMtime | protocol.FattrCtime
			k.stampTimes(i)
			k.setTimes(i, in)
		} else if e := k.writeBack(cl, i); e != 0 {
			return e
		}
	}
	if size {
		k.setNowrite(cl, i)
		defer k.releaseNowrite(i)
		in.Valid |= protocol.FattrLockowner
		in.LockOwner = cl.owner
		i.unstable++
		if k.has(protocol.InitHandleKillprivV2) && cl.Uid != 0 {
			in.Valid |= protocol.FattrKillSuidgid
		}
	}
	if k.has(protocol.InitHandleKillprivV2) && !i.dir() && in.Valid&(protocol.FattrUid|protocol.FattrGid) != 0 {
		in.Valid |= protocol.FattrKillSuidgid
	}
	b, e := k.call(cl, &body{op: protocol.OpSetattr, nodeid: i.nodeid, arg: protocol.BytesOf(in)})
	if size {
		i.unstable--
	}
	if e != 0 {
		return e
	}
	out := view[protocol.AttrOut](b)
	old := i.attr.Size
	before := old
	if e := k.tookAttr(i, protocol.OpSetattr, out, 0); e != 0 {
		return e
	}
	if k.ownsSize(i) && size {
		i.attr.Size = in.Size
	}
	if k.ownsSize(i) && in.Valid&protocol.FattrMtime != 0 {
		i.attr.Mtime, i.attr.Mtimensec = in.Mtime, in.Mtimensec
		i.stamp = i.stamp && !size
	}
	if size && i.reg() {
		if !k.o.Shared && out.Attr.Size != in.Size {
			k.report(&request{op: protocol.OpSetattr, nodeid: i.nodeid}, 0,
				fmt.Sprintf("size is %d after it was set to %d", out.Attr.Size, in.Size), "the size in the reply counts")
		}
		if i.attr.Size < old || k.ownsSize(i) {
			k.truncatePages(i, i.attr.Size)
		}
		launder = k.ownsSize(i) && before != i.attr.Size
	}
	return 0
}
