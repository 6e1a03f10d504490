package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Entry is one of a directory's, as getdents(2) shows it.
type Entry struct {
	Name string
	Ino  uint64
	Type uint32 // DT_*
	Off  uint64 // cookie behind it, for SeekDir
}

// SeekDir sets the directory position to a cookie: 0, or an Entry's Off.
func (f *File) SeekDir(off uint64) { f.dirpos = off }

// ReadDir is one getdents(2): the entries of one READDIR or READDIRPLUS of size
// bytes (0: a page), none at the end. Linux asks for a page at least; here a
// smaller size is sent as it is, for servers to be tested with.
func (f *File) ReadDir(size int) ([]Entry, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(true); e != 0 {
		return nil, e
	}
	if size == 0 {
		size = k.page
	}
	size = min(size, k.maxPages*k.page) // fuse_readdir_uncached
	k.rlock(f.c, &f.ino.lock)
	defer k.runlock(&f.ino.lock)
	if f.ino.removed { // iterate_dir
		return nil, unix.ENOENT
	}
	if !k.has(protocol.InitParallelDirops) {
		k.lock(f.c, &f.ino.dirop)
		defer k.unlock(&f.ino.dirop)
	}
	op := protocol.OpReaddir
	if k.has(protocol.InitDoReaddirplus) && !k.no[protocol.OpReaddirplus] &&
		(!k.has(protocol.InitReaddirplusAuto) || f.dirpos == 0 || f.ino.rdplus) {
		op = protocol.OpReaddirplus
		f.ino.rdplus = false
	}
	in := protocol.ReadIn{Fh: f.fh, Offset: f.dirpos, Size: uint32(size), Flags: f.flags}
	version, epoch := k.attrs, k.epoch
	b, e := k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in), size: size})
	if e != 0 {
		return nil, e
	}
	f.ino.inval |= invalAtime
	if op == protocol.OpReaddir {
		return f.plain(b)
	}
	return f.plus(b, version, epoch)
}

// bad reports an entry that parse_dirfile refuses.
func (f *File) bad(op protocol.Opcode, err error) error {
	f.c.k.report(&request{op: op, nodeid: f.ino.nodeid}, 0, err.Error(), "EIO to the caller")
	return unix.EIO
}

// emit checks one cookie and remembers it.
func (f *File) emit(op protocol.Opcode, d *protocol.Dirent, name []byte) Entry {
	if d.Off == 0 {
		f.c.k.report(&request{op: op, nodeid: f.ino.nodeid}, 0,
			fmt.Sprintf("entry %q has the cookie 0", name), "the directory is read from its start again, for ever")
	}
	f.dirpos = d.Off
	return Entry{Name: string(name), Ino: d.Ino, Type: d.Type, Off: d.Off}
}

func (f *File) plain(b []byte) ([]Entry, error) {
	var list []Entry
	for {
		d, name, rest, err := protocol.NextDirent(b)
		if err != nil {
			return list, f.bad(protocol.OpReaddir, err)
		}
		if name == nil {
			f.partial(protocol.OpReaddir, b)
			return list, nil
		}
		list = append(list, f.emit(protocol.OpReaddir, &d, name))
		b = rest
	}
}

// partial complains about a record that was cut: the kernel ignores it, but a
// server that has counted its lookup will never see it given back.
func (f *File) partial(op protocol.Opcode, b []byte) {
	if len(b) != 0 {
		f.c.k.report(&request{op: op, nodeid: f.ino.nodeid}, 0,
			fmt.Sprintf("%d bytes of an entry that did not fit", len(b)), "they are ignored, and no lookup is counted")
	}
}

// plus is parse_dirplusfile. A refused entry's lookup is given back at once.
func (f *File) plus(b []byte, version uint64, epoch uint32) ([]Entry, error) {
	k := f.c.k
	var list []Entry
	for {
		d, name, rest, err := protocol.NextDirentplus(b)
		if err != nil {
			return list, f.bad(protocol.OpReaddirplus, err)
		}
		if name == nil {
			f.partial(protocol.OpReaddirplus, b)
			return list, nil
		}
		list = append(list, f.emit(protocol.OpReaddirplus, &d.Dirent, name))
		if e := f.link(&d, string(name), version, epoch); e != 0 {
			k.forget(d.EntryOut.Nodeid, 1)
		}
		b = rest
	}
}

// link is fuse_direntplus_link.
func (f *File) link(dp *protocol.Direntplus, name string, version uint64, epoch uint32) unix.Errno {
	k := f.c.k
	o := &dp.EntryOut
	if o.Nodeid == 0 { // no attributes were given
		return 0
	}
	if name == "." || name == ".." {
		k.report(&request{op: protocol.OpReaddirplus, nodeid: f.ino.nodeid}, 0,
			fmt.Sprintf("%q has nodeid %d", name, o.Nodeid), "it is not linked: no lookup is counted, and none given back")
		return 0
	}
	r := &request{op: protocol.OpReaddirplus, nodeid: f.ino.nodeid}
	rule := badAttr(&o.Attr)
	if o.Nodeid == protocol.RootID {
		rule = "the root's nodeid for " + name
	}
	if rule != "" {
		k.report(r, 0, rule, "the entry is listed and not linked; a FORGET of 1 follows")
		return unix.EIO
	}
	attrUntil := k.validUntil(o.AttrValid, o.AttrValidNsec)
	until := k.validUntil(o.EntryValid, o.EntryValidNsec)
	c := f.d.children[name]
	if c != nil && (c.ino == nil || c.ino.nodeid != o.Nodeid || c.ino.bad) {
		k.unhash(c)
		c = nil
	}
	if c != nil {
		if c.ino.stale(o.Generation, &o.Attr) {
			k.report(r, 0, fmt.Sprintf("nodeid %d changes its generation or type", o.Nodeid), "the old inode is marked bad; a FORGET of 1 follows")
			k.makeBad(c.ino)
			return unix.EIO
		}
		c.ino.nlookup++
		c.ino.initRdplus = true
		k.change(c.ino, &o.Attr, attrUntil, version)
	} else {
		i := k.iget(r, o.Nodeid, o.Generation, &o.Attr, attrUntil, version)
		if !f.d.hashed && f.d.parent != nil {
			// A removed directory: nobody will find the name. Counted, and gone.
			i.refs++
			k.iput(i)
			return 0
		}
		c = k.splice(f.d, name, i, until)
		i.initRdplus = true
	}
	c.until, c.epoch = until, epoch
	return 0
}

// List reads the whole directory at path, without "." and "..".
func (c *Client) List(path string) ([]Entry, error) {
	f, err := c.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Entry
	for {
		l, err := f.ReadDir(0)
		if err != nil || len(l) == 0 {
			return all, err
		}
		for _, e := range l {
			if e.Name != "." && e.Name != ".." {
				all = append(all, e)
			}
		}
	}
}
