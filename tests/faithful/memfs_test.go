package faithful

import (
	"sync"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// memfs is a file system in memory whose every answer, nodeids, handles, cookies
// and times included, is a function of the requests before it. It is an
// ordinary one: links, hard links, xattrs, files that live on while they are open.
type memfs struct {
	mode *mode

	mu    sync.Mutex
	nodes map[uint64]*node
	last  uint64 // nodeid
	fh    uint64
	clock uint64 // seconds: one for each change
}

type node struct {
	id      uint64
	attr    protocol.Attr
	data    []byte
	target  string
	xattr   []xattr
	entries []entry // in order of creation
	cookie  uint64
	nlookup uint64
}

type xattr struct{ name, value string }

type entry struct {
	name   string
	n      *node
	cookie uint64 // behind the entry; above 2, which "." and ".." have
}

func newMemfs(m *mode) *memfs {
	fs := &memfs{mode: m, nodes: map[uint64]*node{}, last: protocol.RootID - 1, clock: 1_000_000}
	fs.add(unix.S_IFDIR|0o755, nil)
	return fs
}

// add makes a node; r says whose.
func (fs *memfs) add(mode uint32, r *ops.Request) *node {
	fs.last++
	n := &node{id: fs.last, cookie: 2}
	n.attr = protocol.Attr{Ino: 100 + n.id, Mode: mode, Nlink: 1, Blksize: 4096}
	if mode&unix.S_IFMT == unix.S_IFDIR {
		n.attr.Nlink = 2
	}
	if r != nil {
		n.attr.Uid, n.attr.Gid = r.Uid(), r.Gid()
	}
	fs.touch(n)
	n.attr.Atime = n.attr.Mtime
	fs.nodes[n.id] = n
	return n
}

// touch sets mtime and ctime.
func (fs *memfs) touch(n *node) {
	fs.clock++
	n.attr.Mtime, n.attr.Ctime = fs.clock, fs.clock
}

func (fs *memfs) changed(n *node) {
	fs.clock++
	n.attr.Ctime = fs.clock
}

func (n *node) dir() bool { return n.attr.Mode&unix.S_IFMT == unix.S_IFDIR }

func (n *node) find(name string) *node {
	for i := range n.entries {
		if n.entries[i].name == name {
			return n.entries[i].n
		}
	}
	return nil
}

func (n *node) put(name string, c *node) {
	n.cookie++
	n.entries = append(n.entries, entry{name, c, n.cookie})
	if c.dir() {
		n.attr.Nlink++
	}
}

func (n *node) drop(name string) {
	for i := range n.entries {
		if n.entries[i].name == name {
			if n.entries[i].n.dir() {
				n.attr.Nlink--
			}
			n.entries = append(n.entries[:i:i], n.entries[i+1:]...)
			return
		}
	}
}

// get returns the node of a request; the lock is the caller's.
func (fs *memfs) get(id uint64) (*node, error) {
	if n := fs.nodes[id]; n != nil {
		return n, nil
	}
	return nil, unix.ESTALE
}

func split(d time.Duration) (uint64, uint32) {
	return uint64(d / time.Second), uint32(d % time.Second)
}

func (fs *memfs) attrs(n *node) protocol.Attr {
	a := n.attr
	if a.Mode&unix.S_IFMT == unix.S_IFREG {
		a.Size = uint64(len(n.data))
		a.Blocks = (a.Size + 511) / 512
	}
	return a
}

func (fs *memfs) entry(n *node, out *protocol.EntryOut) {
	n.nlookup++
	out.Nodeid = n.id
	out.EntryValid, out.EntryValidNsec = split(fs.mode.entry)
	out.AttrValid, out.AttrValidNsec = split(fs.mode.attr)
	out.Attr = fs.attrs(n)
}

func (fs *memfs) attrOut(n *node, out *protocol.AttrOut) {
	out.AttrValid, out.AttrValidNsec = split(fs.mode.attr)
	out.Attr = fs.attrs(n)
}

// Init takes out what the mode does without.
func (fs *memfs) Init(_ *conn.Conn, _ *protocol.InitIn, out *protocol.InitOut) error {
	return nil
}

func (fs *memfs) Lookup(r *ops.Request, name []byte, out *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	n := d.find(string(name))
	if n == nil {
		if fs.mode.negative == 0 {
			return unix.ENOENT
		}
		out.EntryValid, out.EntryValidNsec = split(fs.mode.negative)
		return nil
	}
	fs.entry(n, out)
	return nil
}

func (fs *memfs) Forget(id, n uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.nodes[id]; f != nil && id != protocol.RootID {
		f.nlookup -= n
	}
}

// make enters a new node under a name.
func (fs *memfs) make(r *ops.Request, name []byte, mode uint32, out *protocol.EntryOut) (*node, error) {
	d, err := fs.get(r.Nodeid())
	switch {
	case err != nil:
		return nil, err
	case d.find(string(name)) != nil:
		return nil, unix.EEXIST
	case d.attr.Nlink == 0:
		return nil, unix.ENOENT
	}
	n := fs.add(mode, r)
	d.put(string(name), n)
	fs.touch(d)
	fs.entry(n, out)
	return n, nil
}

func (fs *memfs) Mkdir(r *ops.Request, in *protocol.MkdirIn, name []byte, out *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	_, err := fs.make(r, name, unix.S_IFDIR|in.Mode, out)
	return err
}

func (fs *memfs) Mknod(r *ops.Request, in *protocol.MknodIn, name []byte, out *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.make(r, name, in.Mode, out)
	if err == nil {
		n.attr.Rdev, out.Attr.Rdev = in.Rdev, in.Rdev
	}
	return err
}

func (fs *memfs) Symlink(r *ops.Request, name, target []byte, out *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.make(r, name, unix.S_IFLNK|0o777, out)
	if err == nil {
		n.target = string(target)
		n.attr.Size, out.Attr.Size = uint64(len(target)), uint64(len(target))
	}
	return err
}

func (fs *memfs) Readlink(r *ops.Request, dst []byte) (int, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n, err := fs.get(r.Nodeid())
	if err != nil {
		return 0, err
	}
	return copy(dst, n.target), nil
}

func (fs *memfs) Link(r *ops.Request, old uint64, name []byte, out *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	n, err := fs.get(old)
	switch {
	case err != nil:
		return err
	case d.find(string(name)) != nil:
		return unix.EEXIST
	case n.attr.Nlink == 0:
		return unix.ENOENT
	}
	n.attr.Nlink++
	fs.changed(n)
	d.put(string(name), n)
	fs.touch(d)
	fs.entry(n, out)
	return nil
}

func (fs *memfs) remove(r *ops.Request, name []byte, dir bool) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	n := d.find(string(name))
	switch {
	case n == nil:
		return unix.ENOENT
	case dir && !n.dir():
		return unix.ENOTDIR
	case !dir && n.dir():
		return unix.EISDIR
	case dir && len(n.entries) > 0:
		return unix.ENOTEMPTY
	}
	d.drop(string(name))
	fs.unlinked(n)
	fs.touch(d)
	return nil
}

func (fs *memfs) unlinked(n *node) {
	if n.dir() {
		n.attr.Nlink = 0
	} else {
		n.attr.Nlink--
	}
	fs.changed(n)
}

func (fs *memfs) Unlink(r *ops.Request, name []byte) error { return fs.remove(r, name, false) }
func (fs *memfs) Rmdir(r *ops.Request, name []byte) error  { return fs.remove(r, name, true) }

func (fs *memfs) Rename(r *ops.Request, newdir uint64, oldname, newname []byte, flags uint32) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	d, err := fs.get(r.Nodeid())
	if err != nil {
		return err
	}
	to, err := fs.get(newdir)
	if err != nil {
		return err
	}
	n, over := d.find(string(oldname)), to.find(string(newname))
	switch {
	case n == nil:
		return unix.ENOENT
	case flags&unix.RENAME_NOREPLACE != 0 && over != nil:
		return unix.EEXIST
	case flags&unix.RENAME_EXCHANGE != 0 && over == nil:
		return unix.ENOENT
	case flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0:
		return unix.EINVAL
	case over != nil && flags == 0 && over.dir() && len(over.entries) > 0:
		return unix.ENOTEMPTY
	case over == n:
		return nil
	}
	d.drop(string(oldname))
	if over != nil {
		to.drop(string(newname))
	}
	to.put(string(newname), n)
	switch {
	case flags&unix.RENAME_EXCHANGE != 0:
		d.put(string(oldname), over)
		fs.changed(over)
	case over != nil:
		fs.unlinked(over)
	}
	fs.changed(n)
	fs.touch(d)
	fs.touch(to)
	return nil
}

func (fs *memfs) Statfs(_ *ops.Request, out *protocol.Kstatfs) error {
	*out = protocol.Kstatfs{Blocks: 1000, Bfree: 500, Bavail: 500, Files: 100, Ffree: 50, Bsize: 4096, Frsize: 4096, Namelen: 255}
	return nil
}
