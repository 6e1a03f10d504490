package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// notify takes a notification (fs/fuse/notify.c, dev.c) and returns what the
// server's write(2) does. k.mu is held, and given up while an inode is locked.
func (k *Kernel) notify(b []byte, h *protocol.OutHeader) unix.Errno {
	if h.Error <= 0 {
		k.report(nil, 0, "a message with unique 0 that is no notification", "EINVAL to the server")
		return unix.EINVAL
	}
	if k.dead {
		return unix.ENOENT
	}
	var n protocol.Notify
	if err := n.Decode(append(make([]byte, 0, len(b)+8), b...)); err != nil {
		k.report(nil, 0, "notification "+protocol.NotifyCode(h.Error).String()+": "+err.Error(), "EINVAL to the server")
		return unix.EINVAL
	}
	if since := notifySince[min(max(int(n.Code), 0), len(notifySince)-1)]; k.o.Minor < since {
		return unix.EINVAL // newer than this kernel: the only way to find out
	}
	switch n.Code {
	case protocol.NotifyPoll:
		k.wakeup(n.PollWakeup().Kh)
		return 0
	case protocol.NotifyInvalInode:
		return k.invalInode(n.InvalInode())
	case protocol.NotifyInvalEntry:
		in := n.InvalEntry()
		return k.invalEntry(in.Parent, 0, string(n.Name), in.Flags&protocol.ExpireOnly != 0 && k.o.Minor >= 38)
	case protocol.NotifyDelete:
		in := n.Delete()
		return k.invalEntry(in.Parent, in.Child, string(n.Name), false)
	case protocol.NotifyStore:
		return k.store(n.Store(), n.Data)
	case protocol.NotifyRetrieve:
		return k.retrieve(n.Retrieve())
	case protocol.NotifyResend:
		k.resend()
		return 0
	case protocol.NotifyIncEpoch:
		k.epoch++
		return 0
	case protocol.NotifyPrune:
		for i := 0; ; i++ {
			id, ok := n.Prune(i)
			if !ok {
				return 0
			}
			if ino := k.inodes[id]; ino != nil {
				k.prune(k.root, ino)
			}
		}
	}
	k.report(nil, 0, "unknown notification "+n.Code.String(), "EINVAL to the server")
	return unix.EINVAL
}

// notifySince is the minor of each notification; that of an unknown one is 0.
var notifySince = [...]uint32{0, 11, 12, 12, 15, 15, 18, 40, 44, 45, 0}

// prune is d_prune_aliases: names of i that nobody uses go.
func (k *Kernel) prune(d *dentry, i *inode) {
	d.refs++
	for _, c := range sorted(d.children) {
		if c.ino == i && c.refs == 0 {
			k.unhash(c)
		} else {
			k.prune(c, i)
		}
	}
	d.refs--
}

func (k *Kernel) invalInode(in *protocol.NotifyInvalInodeOut) unix.Errno {
	i := k.inodes[in.Ino]
	if i == nil {
		return unix.ENOENT
	}
	i.inval |= invalAll
	k.attrs++
	i.version = k.attrs
	if in.Off >= 0 && k.ownsSize(i) {
		// invalidate_inode_pages2_range launders what is dirty: the server's
		// write(2) waits for its own answers to WRITEs.
		i.refs++
		k.launder(&Client{k: k}, i)
		k.iput(i)
	}
	switch {
	case in.Off < 0:
	case in.Len <= 0 || in.Off > 1<<62 || in.Len > 1<<62:
		i.drops++
		for p := range i.pages {
			if p >= in.Off/int64(k.page) && !i.dirty[p] {
				delete(i.pages, p)
			}
		}
	default:
		i.drops++
		for p := range i.pages {
			if p >= in.Off/int64(k.page) && p <= (in.Off+in.Len-1)/int64(k.page) && !i.dirty[p] {
				delete(i.pages, p)
			}
		}
	}
	return 0
}

// invalEntry is fuse_reverse_inval_entry: it takes the directory's lock, so a
// server that sends it from where it serves an operation on that directory
// waits for itself.
func (k *Kernel) invalEntry(parent, child uint64, name string, expire bool) unix.Errno {
	dir := k.inodes[parent]
	if dir == nil {
		return unix.ENOENT
	}
	if len(name) > k.nameMax() {
		return unix.ENAMETOOLONG
	}
	if !dir.dir() {
		return unix.ENOTDIR
	}
	free := func() bool { return k.dead || !dir.lock.w && dir.lock.r == 0 }
	k.waitFor(k.o.Deadline, free)
	if !free() {
		k.report(nil, 0, "INVAL_ENTRY or DELETE while an operation on the directory waits for its answer",
			"the server waits for the directory's lock, and the operation for the server: a deadlock")
		k.abort()
	}
	if k.dead {
		return unix.ENOENT
	}
	d := k.root
	if dir.nodeid != protocol.RootID {
		d = k.alias(k.root, dir)
	}
	if d == nil {
		return unix.ENOENT
	}
	c := d.children[name]
	if c == nil {
		return unix.ENOENT
	}
	dir.inval |= invalAll
	if expire {
		c.until = 0
		return 0
	}
	c.refs++
	defer k.dput(c)
	full := false // names below it that are in use stay
	for _, x := range c.children {
		full = full || x.ino != nil && x.refs > 0
	}
	k.unhash(c) // d_invalidate, before the child is looked at
	switch {
	case child == 0 || c.ino == nil:
	case c.ino.nodeid != child:
		return unix.ENOENT
	case c.ino.dir() && full:
		return unix.ENOTEMPTY
	default:
		c.ino.removed = c.ino.dir()
		c.ino.attr.Nlink = 0
	}
	return 0
}

// store is NOTIFY_STORE: data into the page cache of a regular file.
func (k *Kernel) store(in *protocol.NotifyStoreOut, data []byte) unix.Errno {
	i := k.inodes[in.Nodeid]
	if i == nil {
		return unix.ENOENT
	}
	if !i.reg() {
		return unix.EINVAL
	}
	end := in.Offset + uint64(len(data))
	if end < in.Offset || end > 1<<63-1 {
		return unix.EINVAL
	}
	i.drops++
	if end > i.attr.Size { // fuse_write_update_attr
		k.grown(i, end)
	}
	page := uint64(k.page)
	for done := uint64(0); done < uint64(len(data)); {
		at := in.Offset + done
		n := min(page-at%page, uint64(len(data))-done)
		p := i.pages[int64(at/page)]
		if p == nil && at%page == 0 && (n == page || end >= i.attr.Size) {
			p = make([]byte, page)
			i.pages[int64(at/page)] = p
		}
		if p != nil {
			copy(p[at%page:], data[done:done+n])
		}
		done += n
	}
	return 0
}

// retrieve is NOTIFY_RETRIEVE: a NOTIFY_REPLY with what is cached and whole from
// the offset on.
func (k *Kernel) retrieve(in *protocol.NotifyRetrieveOut) unix.Errno {
	i := k.inodes[in.Nodeid]
	if i == nil {
		return unix.ENOENT
	}
	if !i.reg() {
		return unix.EINVAL
	}
	n := min(uint64(in.Size), uint64(k.maxWrite), uint64(k.maxPages*k.page))
	if in.Offset >= i.attr.Size {
		n = 0
	} else {
		n = min(n, i.attr.Size-in.Offset)
	}
	var data []byte
	page := uint64(k.page)
	for uint64(len(data)) < n {
		at := in.Offset + uint64(len(data))
		p := i.pages[int64(at/page)]
		if p == nil {
			break
		}
		data = append(data, p[at%page:min(page, at%page+n-uint64(len(data)))]...)
	}
	arg := protocol.NotifyRetrieveIn{Offset: in.Offset, Size: uint32(len(data))}
	r := k.make(nil, &body{op: protocol.OpNotifyReply, nodeid: in.Nodeid, arg: protocol.BytesOf(&arg), data: data})
	r.unique = in.NotifyUnique
	copy(r.msg[8:], protocol.BytesOf(&protocol.ForgetIn{Nlookup: in.NotifyUnique})) // in_header.unique
	k.submit(r)
	return 0
}

// resend is fuse_chan_resend: what was read and not answered is queued again,
// in front, under an id with bit 63.
func (k *Kernel) resend() {
	var again []*request
	for id, r := range k.sent {
		if id&protocol.UniqueResend == 0 {
			delete(k.sent, id)
			r.unique = id | protocol.UniqueResend
		} else {
			delete(k.sent, id)
		}
		again = append(again, r)
	}
	for i := range again { // by age
		for j := i; j > 0 && again[j].unique < again[j-1].unique; j-- {
			again[j], again[j-1] = again[j-1], again[j]
		}
	}
	for _, r := range again {
		r.sent, r.queued = false, true
		k.gone[r.unique&^protocol.UniqueResend] = true // a late answer to the old id is benign
		copy(r.msg[8:], protocol.BytesOf(&protocol.ForgetIn{Nlookup: r.unique}))
	}
	k.queue = append(again, k.queue...)
	k.cond.Broadcast()
}

// Resend makes the kernel resend as if the server had asked by NOTIFY_RESEND.
func (k *Kernel) Resend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resend()
}
