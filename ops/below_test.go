package ops

import (
	"fmt"
	"sort"
	"sync"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// below is a file system in memory of one directory, with what matters to who
// keeps nodes for its files: names that come, go and move, and inode numbers
// that are used again as soon as a file is gone, or never.
type below struct {
	reuse bool
	next  uint64 // inode number, when none is used again
	free  []uint64
	count uint64
	names map[string]*belowFile
}

// belowFile: ino is what the file system shows; serial no two files share, as
// what is in a file handle.
type belowFile struct {
	ino, serial  uint64
	links, holds int
}

func (b *below) create(name string) *belowFile {
	f := &belowFile{links: 1}
	if n := len(b.free); b.reuse && n > 0 {
		f.ino, b.free = b.free[n-1], b.free[:n-1]
	} else {
		b.next++
		f.ino = b.next
	}
	b.count++
	f.serial = b.count
	b.names[name] = f
	return f
}

func (b *below) unlink(name string) {
	f := b.names[name]
	delete(b.names, name)
	f.links--
	b.gone(f)
}

// release takes back a hold, as closing a descriptor does.
func (b *below) release(f *belowFile) {
	f.holds--
	b.gone(f)
}

func (b *below) gone(f *belowFile) {
	if f.links == 0 && f.holds == 0 {
		b.free = append(b.free, f.ino)
	}
}

func (b *below) rename(from, to string) {
	f := b.names[from]
	if old := b.names[to]; old == f {
		return
	} else if old != nil {
		b.unlink(to)
	}
	delete(b.names, from)
	b.names[to] = f
}

func (b *below) sorted() []string {
	var l []string
	for s := range b.names {
		l = append(l, s)
	}
	sort.Strings(l)
	return l
}

// aboveFS serves a below by the rules of handler.go, with a Nodes and an index
// from inode number to node. With hold a node keeps its file's number from being
// used again; else serials are compared.
type aboveFS struct {
	hold  bool
	nodes Nodes[aboveNode]

	mu    sync.Mutex
	b     *below
	index map[uint64]*aboveNode
	opens map[uint64]*belowFile // by handle
	fh    uint64
}

type aboveNode struct {
	id uint64
	f  *belowFile
}

func newAbove(hold, reuse bool) *aboveFS {
	return &aboveFS{hold: hold, b: &below{reuse: reuse, names: map[string]*belowFile{}},
		index: map[uint64]*aboveNode{}, opens: map[uint64]*belowFile{}}
}

// enter counts a lookup of f; fs.mu is held.
func (fs *aboveFS) enter(f *belowFile, e *protocol.EntryOut) error {
	n := fs.index[f.ino]
	if n == nil || n.f.serial != f.serial || !fs.nodes.Ref(n.id) {
		n = &aboveNode{f: f}
		id, err := fs.nodes.Add(n, 1)
		if err != nil {
			return err
		}
		n.id = id
		fs.index[f.ino] = n
		if fs.hold {
			f.holds++
		}
	}
	e.Nodeid = n.id
	e.Attr.Ino, e.Attr.Size, e.Attr.Mode, e.Attr.Nlink = f.ino, f.serial, unix.S_IFREG|0o644, 1
	return nil
}

func (fs *aboveFS) Forget(nodeid, nlookup uint64) {
	n, gone := fs.nodes.Forget(nodeid, nlookup)
	if !gone {
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.index[n.f.ino] == n {
		delete(fs.index, n.f.ino)
	}
	if fs.hold {
		fs.b.release(n.f)
	}
}

func (fs *aboveFS) Lookup(r *Request, name []byte, e *protocol.EntryOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.b.names[string(name)]
	if f == nil {
		return unix.ENOENT
	}
	return fs.enter(f, e)
}

func (fs *aboveFS) Create(r *Request, in *protocol.CreateIn, name []byte, e *protocol.EntryOut, o *protocol.OpenOut) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.b.names[string(name)]
	if f == nil {
		f = fs.b.create(string(name))
	}
	f.holds++
	fs.fh++
	fs.opens[fs.fh], o.Fh = f, fs.fh
	return fs.enter(f, e)
}

func (fs *aboveFS) Link(r *Request, nodeid uint64, name []byte, e *protocol.EntryOut) error {
	n := fs.nodes.Get(nodeid)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case n == nil:
		return unix.ESTALE
	case n.f.links == 0:
		return unix.ENOENT
	case fs.b.names[string(name)] != nil:
		return unix.EEXIST
	}
	fs.b.names[string(name)] = n.f
	n.f.links++
	return fs.enter(n.f, e)
}

func (fs *aboveFS) Release(r *Request, in *protocol.ReleaseIn) error {
	fs.CancelOpen(0, in.Fh, false)
	return nil
}

func (fs *aboveFS) CancelOpen(_, fh uint64, _ bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.b.release(fs.opens[fh])
	delete(fs.opens, fh)
}

func (fs *aboveFS) Unlink(r *Request, name []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.b.names[string(name)] == nil {
		return unix.ENOENT
	}
	fs.b.unlink(string(name))
	return nil
}

func (fs *aboveFS) Rename(r *Request, newdir uint64, from, to []byte, _ uint32) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.b.names[string(from)] == nil {
		return unix.ENOENT
	}
	fs.b.rename(string(from), string(to))
	return nil
}

// Readdir and Readdirplus add entries that were looked up, and leave it to
// DirBuf to say which do not fit.
func (fs *aboveFS) Readdir(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	fs.mu.Lock()
	list := fs.b.sorted()
	fs.mu.Unlock()
	for i := in.Offset; i < uint64(len(list)); i++ {
		var e protocol.EntryOut
		if fs.Lookup(r, []byte(list[i]), &e) != nil {
			continue
		}
		if !d.AddPlus(&e, i+1, unix.DT_REG, []byte(list[i])) {
			fs.Forget(e.Nodeid, 1)
			break
		}
	}
	return nil
}

func (fs *aboveFS) Readdirplus(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	return fs.Readdir(r, in, d)
}

// lookups is the count of a node, read where nothing runs.
func (t *nodeTable) lookups(nodeid uint64) uint64 {
	s := t.slot(nodeid)
	if s == nil || s.state.Load()>>useShift != nodeid>>useShift {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := s.state.Load() & countMask
	if n == 0 {
		return 0
	}
	return n + uint64(s.link)*carryUnit
}

// differ says how the table's counts differ from want, "" if they do not.
func (t *nodeTable) differ(want map[uint64]uint64) string {
	if n := int(t.live.Load()); n != len(want) {
		return fmt.Sprintf("%d nodes, not %d", n, len(want))
	}
	for id, n := range want {
		if have := t.lookups(id); have != n {
			return fmt.Sprintf("node %#x has %d lookups, not %d", id, have, n)
		}
	}
	if n := t.over.Load(); n != 0 {
		return fmt.Sprintf("%d FORGETs of more than was counted", n)
	}
	return ""
}
