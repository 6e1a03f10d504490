package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// mode applies the umask where the kernel does.
func (c *Client) mode(mode uint32) uint32 {
	if c.k.has(protocol.InitDontMask) {
		return mode
	}
	return mode &^ c.Umask
}

// made takes the EntryOut of what was made under d (create_new_entry): a bad
// one is EIO, and no FORGET follows. The dentry is the caller's to dput.
func (k *Kernel) made(op protocol.Opcode, d *dentry, name string, typ uint32, out *protocol.EntryOut, version uint64) (*dentry, unix.Errno) {
	i, e := k.madeInode(op, d, typ, out, version)
	if e != 0 {
		return nil, e
	}
	c := k.splice(d, name, i, k.validUntil(out.EntryValid, out.EntryValidNsec))
	c.refs++
	return c, 0
}

// madeInode is made without a name.
func (k *Kernel) madeInode(op protocol.Opcode, d *dentry, typ uint32, out *protocol.EntryOut, version uint64) (*inode, unix.Errno) {
	r := &request{op: op, nodeid: d.ino.nodeid}
	rule := badAttr(&out.Attr)
	switch {
	case out.Nodeid == 0 || out.Nodeid == protocol.RootID:
		rule = fmt.Sprintf("nodeid %d for something new", out.Nodeid)
	case rule == "" && out.Attr.Mode&unix.S_IFMT != typ:
		rule = fmt.Sprintf("mode %#o, asked for type %#o", out.Attr.Mode, typ)
	}
	if rule != "" {
		k.report(r, 0, rule, "EIO to the caller, and no FORGET: the lookup is never given back")
		return nil, unix.EIO
	}
	d.ino.inval |= invalAll // fuse_dir_changed
	return k.iget(r, out.Nodeid, out.Generation, &out.Attr, k.validUntil(out.AttrValid, out.AttrValidNsec), version), 0
}

// create sends what makes an object, holding the parent's lock.
func (c *Client) create(path string, typ uint32, b *body) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, name, e := k.parent(c, path)
	if e == unix.EINVAL {
		e = unix.EEXIST
	}
	if e != 0 {
		return e
	}
	defer k.dput(d)
	old, e := k.lookup(c, d, name, true)
	if e != 0 {
		return e
	}
	defer k.dput(old)
	if old.ino != nil {
		return unix.EEXIST
	}
	if b.op == protocol.OpLink && typ == unix.S_IFDIR {
		return unix.EPERM
	}
	k.lock(c, &d.ino.lock)
	defer k.unlock(&d.ino.lock)
	if now := d.children[name]; now != nil && now.ino != nil {
		return unix.EEXIST
	}
	if d.ino.bad {
		return unix.EIO
	}
	if d.ino.removed {
		return unix.ENOENT
	}
	if e := k.may(c, d.ino, mayWrite|mayExec); e != 0 {
		return e
	}
	b.nodeid = d.ino.nodeid
	b.names = append([]string{name}, b.names...)
	if b.op != protocol.OpLink {
		b.ext = c.extension(d.ino)
	}
	version := k.attrs
	out, e := k.call(c, b)
	if e != 0 {
		if e == unix.EEXIST || e == unix.ENOENT {
			k.expire(d, name)
		}
		return e
	}
	n, e := k.made(b.op, d, name, typ, view[protocol.EntryOut](out), version)
	if e == 0 {
		k.dput(n)
	}
	return errno(e)
}

// expire makes a name be looked up again.
func (k *Kernel) expire(d *dentry, name string) {
	if c := d.children[name]; c != nil {
		c.until = 0
	}
}

// Mkdir is mkdir(2).
func (c *Client) Mkdir(path string, mode uint32) error {
	in := protocol.MkdirIn{Mode: c.mode(mode & 0o7777), Umask: c.Umask}
	return c.create(path, unix.S_IFDIR, &body{op: protocol.OpMkdir, arg: protocol.BytesOf(&in)})
}

// Mknod is mknod(2), rdev as new_encode_dev packs it.
func (c *Client) Mknod(path string, mode, rdev uint32) error {
	in := protocol.MknodIn{Mode: mode&unix.S_IFMT | c.mode(mode&0o7777), Rdev: rdev, Umask: c.Umask}
	return c.create(path, mode&unix.S_IFMT, &body{op: protocol.OpMknod, arg: protocol.BytesOf(&in)})
}

// Symlink is symlink(2).
func (c *Client) Symlink(target, path string) error {
	if target == "" {
		return unix.ENOENT
	}
	return c.create(path, unix.S_IFLNK, &body{op: protocol.OpSymlink, names: []string{target}})
}

// Link is link(2): it does not follow links.
func (c *Client) Link(old, path string) error {
	k := c.k
	k.mu.Lock()
	o, e := k.find(c, old, false)
	if e != 0 {
		k.mu.Unlock()
		return e
	}
	i := o.ino
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.dput(o)
		k.mu.Unlock()
	}()
	return c.link(i, path)
}

// link is fuse_link; the inode is in use.
func (c *Client) link(i *inode, path string) error {
	k := c.k
	in := protocol.LinkIn{Oldnodeid: i.nodeid}
	k.mu.Lock()
	typ := i.attr.Mode & unix.S_IFMT
	k.mu.Unlock()
	err := c.create(path, typ, &body{op: protocol.OpLink, arg: protocol.BytesOf(&in)})
	if err == unix.ENOSYS && k.o.Minor >= 44 { // fc->no_link; before, the caller saw ENOSYS
		k.mu.Lock()
		k.no[protocol.OpLink] = true
		k.mu.Unlock()
		err = unix.EPERM
	}
	k.mu.Lock()
	switch err {
	case nil:
		k.flushCtime(c, i)
	case unix.EINTR:
		i.inval |= invalAll
	}
	k.mu.Unlock()
	return err
}

// Unlink is unlink(2).
func (c *Client) Unlink(path string) error { return c.remove(path, protocol.OpUnlink) }

// Rmdir is rmdir(2).
func (c *Client) Rmdir(path string) error { return c.remove(path, protocol.OpRmdir) }

func (c *Client) remove(path string, op protocol.Opcode) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, name, e := k.parent(c, path)
	if e == unix.EINVAL {
		e = unix.EBUSY
	}
	if e != 0 {
		return e
	}
	defer k.dput(d)
	v, e := k.lookup(c, d, name, false)
	if e != 0 {
		return e
	}
	defer k.dput(v)
	k.lock(c, &d.ino.lock)
	defer k.unlock(&d.ino.lock)
	switch {
	case v.ino == nil || !v.hashed:
		return unix.ENOENT
	case op == protocol.OpRmdir && !v.ino.dir():
		return unix.ENOTDIR
	case op == protocol.OpUnlink && v.ino.dir():
		return unix.EISDIR
	}
	if e := k.mayDelete(c, d.ino, v.ino); e != 0 {
		return e
	}
	_, e = k.call(c, &body{op: op, nodeid: d.ino.nodeid, names: []string{name}})
	switch e {
	case 0:
		k.unlinked(c, v)
		d.ino.inval |= invalAll
		v.ino.removed = v.ino.dir()
		k.unhash(v)
	case unix.EINTR, unix.ENOENT: // who knows: look again
		v.until = 0
		v.ino.inval |= invalAll
	}
	return errno(e)
}

// Rename is renameat2(2): flags are unix.RENAME_*.
func (c *Client) Rename(from, to string, flags uint32) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if flags != 0 && (k.o.Minor < 23 || k.no[protocol.OpRename2]) {
		return unix.EINVAL
	}
	fd, fname, e := k.parent(c, from)
	if e == 0 {
		defer k.dput(fd)
	}
	var td *dentry
	var tname string
	if e == 0 {
		if td, tname, e = k.parent(c, to); e == 0 {
			defer k.dput(td)
		}
	}
	if e == unix.EINVAL {
		e = unix.EBUSY
	}
	if e != 0 {
		return e
	}
	if fd != td {
		k.lock(c, &k.rename)
		defer k.unlock(&k.rename)
	}
	src, e := k.lookup(c, fd, fname, false)
	if e != 0 {
		return e
	}
	defer k.dput(src)
	if src.ino == nil {
		return unix.ENOENT
	}
	dst, e := k.lookup(c, td, tname, flags&unix.RENAME_EXCHANGE == 0) // LOOKUP_RENAME_TARGET
	if e != 0 {
		return e
	}
	defer k.dput(dst)
	first, second := fd.ino, td.ino
	if first.nodeid > second.nodeid {
		first, second = second, first
	}
	k.lock(c, &first.lock)
	defer k.unlock(&first.lock)
	if second != first {
		k.lock(c, &second.lock)
		defer k.unlock(&second.lock)
	}
	if fd.ino.removed || td.ino.removed {
		return unix.ENOENT
	}
	if src.ino != nil {
		if e := k.mayDelete(c, fd.ino, src.ino); e != 0 {
			return e
		}
	}
	if e := k.mayDelete(c, td.ino, dst.ino); e != 0 {
		return e
	}
	if e := checkRename(src, dst, td, fd, flags); e != 0 {
		return e
	}
	if src.ino == dst.ino {
		return nil // the VFS: two names of one file
	}
	b := &body{op: protocol.OpRename, nodeid: fd.ino.nodeid, names: []string{fname, tname}}
	if flags == 0 {
		in := protocol.RenameIn{Newdir: td.ino.nodeid}
		b.arg = protocol.BytesOf(&in)
	} else {
		in := protocol.Rename2In{Newdir: td.ino.nodeid, Flags: flags}
		b.op, b.arg = protocol.OpRename2, protocol.BytesOf(&in)
	}
	_, e = k.call(c, b)
	if e == unix.ENOSYS && flags != 0 {
		k.no[protocol.OpRename2] = true
		return unix.EINVAL
	}
	if e != 0 {
		if e == unix.EINTR || e == unix.ENOENT {
			src.until, dst.until = 0, 0
		}
		return e
	}
	fd.ino.inval |= invalAll // fuse_dir_changed
	td.ino.inval |= invalAll
	k.updateCtime(c, src.ino)
	if dst.ino != nil {
		if flags&unix.RENAME_EXCHANGE != 0 {
			k.updateCtime(c, dst.ino)
		} else {
			k.unlinked(c, dst)
		}
	}
	k.moved(src, dst, flags)
	return nil
}

func checkRename(src, dst, td, fd *dentry, flags uint32) unix.Errno {
	if src.ino == nil || !src.hashed {
		return unix.ENOENT
	}
	switch { // before loops are looked for (fs/namei.c: do_renameat2)
	case flags&unix.RENAME_NOREPLACE != 0 && dst.ino != nil:
		return unix.EEXIST
	case flags&unix.RENAME_EXCHANGE != 0 && dst.ino == nil:
		return unix.ENOENT
	}
	for p := td; p != nil; p = p.parent {
		if p == src {
			return unix.EINVAL // into itself
		}
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		for p := fd; p != nil; p = p.parent {
			if p == dst {
				return unix.EINVAL
			}
		}
		return 0
	}
	if dst.ino == nil {
		return 0
	}
	for p := fd; p != nil; p = p.parent {
		if p == dst {
			return unix.ENOTEMPTY
		}
	}
	switch {
	case src.ino == dst.ino:
	case src.ino.dir() && !dst.ino.dir():
		return unix.ENOTDIR
	case !src.ino.dir() && dst.ino.dir():
		return unix.EISDIR
	}
	return 0
}

// moved is d_move or d_exchange. Either name may have been dropped, and another
// found in its place, while the request was under way.
func (k *Kernel) moved(src, dst *dentry, flags uint32) {
	sp, sn, dp, dn := src.parent, src.name, dst.parent, dst.name
	if flags&unix.RENAME_EXCHANGE != 0 {
		src.unname()
		dst.unname()
		k.rename1(src, dp, dn)
		k.rename1(dst, sp, sn)
		return
	}
	if dst.ino != nil {
		dst.ino.removed = dst.ino.dir()
	}
	k.unhash(dst)
	src.unname()
	dp.refs++
	k.rename1(src, dp, dn)
	k.dput(sp)
}

// unlinked is fuse_entry_unlinked: a link less, known without asking.
func (k *Kernel) unlinked(c *Client, d *dentry) {
	i := d.ino
	k.attrs++
	i.version = k.attrs
	if i.dir() {
		i.attr.Nlink = 0
	} else if i.attr.Nlink > 0 {
		i.attr.Nlink--
	}
	d.until = 0
	k.updateCtime(c, i)
}

// unname takes a name out of its directory, if it is still there.
func (d *dentry) unname() {
	if d.parent.children[d.name] == d {
		delete(d.parent.children, d.name)
	}
}

// rename1 gives d, in use and without a name, a new one, by which it is found if
// its directory is.
func (k *Kernel) rename1(d, parent *dentry, name string) {
	if c := parent.children[name]; c != nil {
		k.unhash(c)
	}
	if d.parent, d.name = parent, name; parent.hashed {
		d.hashed = true
		parent.children[name] = d
		return
	}
	for _, c := range sorted(d.children) {
		k.unhash(c)
	}
	d.hashed = false
}
