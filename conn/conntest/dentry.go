package conntest

import (
	"fmt"
	"strings"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// dentry is a name in the kernel's cache.
type dentry struct {
	parent   *dentry
	name     string
	ino      *inode // nil: known to be absent
	until    int64  // good before this time
	epoch    uint32
	children map[string]*dentry
	refs     int // children, open files, walks in progress
	hashed   bool
}

// addDentry makes a name known, in place of what was known of it. It takes a
// reference of i.
func (k *Kernel) addDentry(parent *dentry, name string, i *inode, until int64) *dentry {
	if d := parent.children[name]; d != nil {
		k.unhash(d)
	}
	d := &dentry{parent: parent, name: name, ino: i, until: until, epoch: k.epoch, children: map[string]*dentry{}}
	if parent.hashed { // else nobody finds it, and it goes with its last user
		d.hashed = true
		parent.children[name] = d
	}
	parent.refs++
	if i != nil {
		i.refs++
	}
	return d
}

// unhash is d_invalidate: nobody finds the name, or what is below it, any more.
func (k *Kernel) unhash(d *dentry) {
	if !d.hashed || d.parent == nil {
		return
	}
	d.refs++
	for _, c := range sorted(d.children) {
		k.unhash(c)
	}
	d.hashed = false
	delete(d.parent.children, d.name)
	k.dput(d)
}

// dput drops a reference of d. A name that is not hashed goes with the last one.
func (k *Kernel) dput(d *dentry) {
	d.refs--
	k.dfree(d)
}

func (k *Kernel) dfree(d *dentry) {
	if d.refs > 0 || d.hashed || d.parent == nil {
		return
	}
	p := d.parent
	if d.ino != nil {
		k.iput(d.ino)
		d.ino = nil
	}
	k.dput(p)
}

// DropCaches drops every name that is not in use, as 2 in
// /proc/sys/vm/drop_caches does: FORGETs follow.
func (k *Kernel) DropCaches() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shrink(k.root)
}

func (k *Kernel) shrink(d *dentry) {
	d.refs++
	for _, c := range sorted(d.children) {
		k.shrink(c)
	}
	d.refs--
	if d.refs == 0 && d.parent != nil {
		k.unhash(d)
	}
}

// sorted returns a directory's known names in order, so that runs repeat.
func sorted(m map[string]*dentry) []*dentry {
	var l []*dentry
	for _, c := range m {
		l = append(l, c)
	}
	for i := range l {
		for j := i; j > 0 && l[j].name < l[j-1].name; j-- {
			l[j], l[j-1] = l[j-1], l[j]
		}
	}
	return l
}

func (k *Kernel) nameMax() int {
	if k.maxPages > 1 && k.has(protocol.InitMaxPages) {
		return protocol.NameMax
	}
	return protocol.NameLowMax
}

// sendLookup is LOOKUP and what fuse_lookup_name makes of the reply, e being
// nil for a name that is not there.
func (k *Kernel) sendLookup(cl *Client, dir *inode, name string) (*protocol.EntryOut, unix.Errno) {
	b, e := k.call(cl, &body{op: protocol.OpLookup, nodeid: dir.nodeid, names: []string{name}})
	if e != 0 {
		return nil, e
	}
	return view[protocol.EntryOut](b), 0
}

// lookup finds name in d: from the cache, by revalidating what is there
// (fuse_dentry_revalidate), or by asking (fuse_lookup). The dentry returned may
// be negative, and is the caller's to dput. With excl (LOOKUP_EXCL,
// LOOKUP_RENAME_TARGET: the name is about to be made) even a fresh one is asked for.
func (k *Kernel) lookup(cl *Client, d *dentry, name string, excl bool) (*dentry, unix.Errno) {
	if len(name) > k.nameMax() {
		return nil, unix.ENAMETOOLONG
	}
	dir := d.ino
	if dir.bad {
		return nil, unix.EIO
	}
	if !dir.dir() {
		return nil, unix.ENOTDIR
	}
	if dir.removed {
		return nil, unix.ENOENT
	}
	if e := k.may(cl, dir, mayExec); e != 0 {
		return nil, e
	}
	if c := d.children[name]; c != nil {
		c.refs++
		ok, e := k.revalidate(cl, d, c, excl)
		if e == 0 && ok {
			return c, 0
		}
		k.unhash(c)
		k.dput(c)
		if e != 0 {
			return nil, e
		}
	}
	if k.has(protocol.InitParallelDirops) {
		k.rlock(cl, &dir.lock)
		defer k.runlock(&dir.lock)
	} else {
		k.lock(cl, &dir.dirop)
		defer k.unlock(&dir.dirop)
		k.rlock(cl, &dir.lock)
		defer k.runlock(&dir.lock)
	}
	if dir.removed {
		return nil, unix.ENOENT
	}
	// Somebody may have looked it up meanwhile (d_alloc_parallel).
	if c := d.children[name]; c != nil && k.fresh(c) {
		c.refs++
		return c, 0
	}
	return k.ask(cl, d, name)
}

func (k *Kernel) fresh(c *dentry) bool { return k.now < c.until && c.epoch == k.epoch }

// revalidate is fuse_dentry_revalidate.
func (k *Kernel) revalidate(cl *Client, d, c *dentry, excl bool) (bool, unix.Errno) {
	if c.ino != nil && c.ino.bad {
		return false, 0
	}
	if k.fresh(c) && !excl {
		if c.ino != nil && c.ino.initRdplus {
			c.ino.initRdplus = false
			d.ino.rdplus = true
		}
		return true, 0
	}
	if c.ino == nil {
		return false, 0
	}
	version := k.attrs
	out, e := k.sendLookup(cl, d.ino, c.name)
	switch {
	case e == unix.ENOMEM || e == unix.EINTR:
		return false, e
	case e != 0 || out.Nodeid == 0:
		return false, 0
	}
	r := &request{op: protocol.OpLookup, nodeid: d.ino.nodeid}
	if out.Nodeid != c.ino.nodeid || c.ino.attr.Flags&protocol.AttrSubmount != out.Attr.Flags&protocol.AttrSubmount {
		k.forget(out.Nodeid, 1)
		return false, 0
	}
	c.ino.nlookup++
	if rule := badAttr(&out.Attr); rule != "" || c.ino.stale(out.Generation, &out.Attr) {
		if rule == "" {
			rule = fmt.Sprintf("nodeid %d changes its generation or type", out.Nodeid)
		}
		k.report(r, 0, rule, "the name is dropped and looked up anew")
		return false, 0
	}
	k.change(c.ino, &out.Attr, k.validUntil(out.AttrValid, out.AttrValidNsec), version)
	c.until = k.validUntil(out.EntryValid, out.EntryValidNsec)
	c.epoch = k.epoch
	return true, 0
}

// ask is fuse_lookup: LOOKUP of a name that is not cached.
func (k *Kernel) ask(cl *Client, d *dentry, name string) (*dentry, unix.Errno) {
	epoch, version := k.epoch, k.attrs
	out, e := k.sendLookup(cl, d.ino, name)
	until := k.now // an uncached negative
	var i *inode
	switch {
	case e == unix.ENOENT:
	case e != 0:
		return nil, e
	case out.Nodeid == 0:
		until = k.validUntil(out.EntryValid, out.EntryValidNsec)
	default:
		r := &request{op: protocol.OpLookup, nodeid: d.ino.nodeid}
		if rule := badAttr(&out.Attr); rule != "" {
			k.report(r, 0, rule, "EIO to the caller, and no FORGET: the lookup is never given back")
			return nil, unix.EIO
		}
		if out.Nodeid == protocol.RootID {
			k.report(r, 0, "the root's nodeid for "+name, "EIO to the caller")
			return nil, unix.EIO
		}
		i = k.iget(r, out.Nodeid, out.Generation, &out.Attr, k.validUntil(out.AttrValid, out.AttrValidNsec), version)
		until = k.validUntil(out.EntryValid, out.EntryValidNsec)
	}
	c := k.splice(d, name, i, until)
	c.epoch = epoch
	c.refs++
	if i != nil {
		d.ino.rdplus = true
	}
	return c, 0
}

// splice is d_splice_alias: a directory has one name; it moves.
func (k *Kernel) splice(d *dentry, name string, i *inode, until int64) *dentry {
	if i != nil && i.dir() {
		i.refs++
		if old := k.alias(k.root, i); old != nil {
			k.unhash(old)
		}
		c := k.addDentry(d, name, i, until)
		i.refs--
		return c
	}
	return k.addDentry(d, name, i, until)
}

// alias finds a name of i.
func (k *Kernel) alias(d *dentry, i *inode) *dentry {
	for _, c := range d.children {
		if c.ino == i {
			return c
		}
		if a := k.alias(c, i); a != nil {
			return a
		}
	}
	return nil
}

// walk resolves path to a dentry, which is the caller's to dput. With follow, a
// symbolic link at the end is followed. The result may be negative.
func (k *Kernel) walk(cl *Client, path string, follow, excl bool) (*dentry, unix.Errno) {
	d := k.root
	d.refs++
	parts := strings.Split(path, "/")
	links := 0
	for len(parts) > 0 {
		name := parts[0]
		parts = parts[1:]
		if name == "" || name == "." {
			continue
		}
		if name == ".." {
			if d.parent != nil {
				p := d.parent
				p.refs++
				k.dput(d)
				d = p
			}
			continue
		}
		if d.ino == nil {
			k.dput(d)
			return nil, unix.ENOENT
		}
		last := strings.Trim(strings.Join(parts, "/"), "/") == ""
		c, e := k.lookup(cl, d, name, excl && last)
		if e != 0 {
			k.dput(d)
			return nil, e
		}
		if c.ino != nil && c.ino.attr.Mode&unix.S_IFMT == unix.S_IFLNK && (!last || follow) {
			if links++; links > 40 {
				k.dput(c)
				k.dput(d)
				return nil, unix.ELOOP
			}
			target, e := k.readlink(cl, c.ino)
			k.dput(c)
			if e != 0 {
				k.dput(d)
				return nil, e
			}
			if strings.HasPrefix(target, "/") {
				k.dput(d)
				d = k.root
				d.refs++
			}
			parts = append(strings.Split(target, "/"), parts...)
			continue
		}
		k.dput(d)
		d = c
	}
	return d, 0
}

// find is walk to something that exists.
func (k *Kernel) find(cl *Client, path string, follow bool) (*dentry, unix.Errno) {
	d, e := k.walk(cl, path, follow, false)
	if e == 0 && d.ino == nil {
		k.dput(d)
		e = unix.ENOENT
	}
	if e == 0 && d.ino.bad {
		k.dput(d)
		e = unix.EIO
	}
	if e != 0 {
		return nil, e
	}
	return d, 0
}

// parent resolves all of path but its last name.
func (k *Kernel) parent(cl *Client, path string) (*dentry, string, unix.Errno) {
	path = strings.TrimRight(path, "/")
	i := strings.LastIndexByte(path, '/')
	name := path[i+1:]
	if name == "" || name == "." || name == ".." {
		return nil, "", unix.EINVAL
	}
	d, e := k.find(cl, path[:i+1], true)
	if e == 0 && !d.ino.dir() {
		k.dput(d)
		e = unix.ENOTDIR
	}
	return d, name, e
}

func (k *Kernel) readlink(cl *Client, i *inode) (string, unix.Errno) {
	b, e := k.call(cl, &body{op: protocol.OpReadlink, nodeid: i.nodeid, size: 4095})
	if e != 0 {
		return "", e
	}
	i.inval |= invalAtime
	if len(b) == 0 {
		return "", unix.ENOENT
	}
	return string(b), 0
}
