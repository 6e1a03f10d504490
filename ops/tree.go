package ops

import (
	"io"
	"sync"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
)

// Node is a file of a Tree. What else it can do is said by the interfaces it
// has besides: Dir, io.ReaderAt, io.WriterAt, Truncater, Setter, Target, Maker,
// Remover, Mover. All are called synchronously, several at a time.
type Node interface {
	// Attr fills in the attributes. Mode with its S_IFMT part must be given;
	// Ino 0 becomes the nodeid, Nlink 0 becomes 1.
	Attr(a *protocol.Attr) error
}

// Dir is a directory. A Node that Lookup returns is the same file as before if
// it has the same name and type.
type Dir interface {
	Node
	Lookup(name string) (Node, error) // unix.ENOENT: there is none
	List() ([]string, error)          // without "." and ".."
}

// Maker is a Dir in which files and directories can be made. mode has its
// S_IFMT part, S_IFDIR, S_IFREG or what else mknod(2) takes.
type Maker interface {
	Make(name string, mode uint32) (Node, error)
}

// Remover is a Dir whose files can be removed.
type Remover interface{ Remove(name string) error }

// Mover is a Dir whose files can be renamed, replacing what has the new name.
type Mover interface {
	Move(name string, to Node, newname string) error
}

// Target is a symbolic link.
type Target interface{ Readlink() (string, error) }

// Truncater is a file whose size can be set. One with io.WriterAt needs it.
type Truncater interface{ Truncate(size int64) error }

// Setter is a Node whose other attributes can be set, those in in.Valid.
type Setter interface {
	Setattr(in *protocol.SetattrIn) error
}

// Tree is a synchronous file system made of Nodes. It does the accounting:
// nodeids, lookups, directory handles. Errors of Nodes are turned into errnos by
// Errno; io.EOF of a ReaderAt is the end of the file.
type Tree struct {
	// Valid is how long the kernel may keep names and attributes without
	// asking; 0 or nil: it always asks. Set before serving.
	Valid clock.Duration

	nodes Nodes[treeNode]
	dirs  Nodes[treeDir] // fh of open directories

	mu    sync.Mutex
	names map[treeName]uint64
}

type treeName struct {
	parent uint64
	name   string
}

// treeNode is what a nodeid leads to. All but typ is under Tree.mu.
type treeNode struct {
	node Node
	at   treeName
	typ  uint32
}

// treeDir is a directory as it was when it was opened or rewound, so that what
// changes between two READDIRs moves no entry past a cookie.
type treeDir struct {
	mu    sync.Mutex
	names []string
}

// NewTree returns the Tree with the given root.
func NewTree(root Dir) *Tree {
	t := &Tree{names: map[treeName]uint64{}}
	t.nodes.SetRoot(&treeNode{node: root, typ: unix.S_IFDIR})
	return t
}

// node returns the Node of a nodeid.
func (t *Tree) node(nodeid uint64) (Node, error) {
	n := t.nodes.Get(nodeid)
	if n == nil {
		return nil, unix.ESTALE
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.node, nil
}

func (t *Tree) attr(nodeid uint64, n Node, a *protocol.Attr, valid *uint64, nsec *uint32) error {
	if err := n.Attr(a); err != nil {
		return err
	}
	if a.Ino == 0 {
		a.Ino = nodeid
	}
	a.Nlink = max(a.Nlink, 1)
	v := clock.Of(t.Valid)
	*valid, *nsec = uint64(v/clock.Second), uint32(v%clock.Second)
	return nil
}

// enter counts a lookup of v, which parent has under name.
func (t *Tree) enter(parent uint64, name string, v Node, out *protocol.EntryOut) error {
	if err := t.attr(0, v, &out.Attr, &out.AttrValid, &out.AttrValidNsec); err != nil {
		return err
	}
	out.EntryValid, out.EntryValidNsec = out.AttrValid, out.AttrValidNsec
	at, typ := treeName{parent, name}, out.Attr.Mode&unix.S_IFMT
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.names[at]
	if n := t.nodes.Get(id); n != nil && n.typ == typ && t.nodes.Ref(id) {
		n.node = v
	} else {
		var err error
		if id, err = t.nodes.Add(&treeNode{v, at, typ}, 1); err != nil {
			return err
		}
		t.names[at] = id
	}
	out.Nodeid = id
	if out.Attr.Ino == 0 {
		out.Attr.Ino = id
	}
	return nil
}

// Lookup implements Lookuper.
func (t *Tree) Lookup(r *Request, name []byte, out *protocol.EntryOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	d, ok := n.(Dir)
	if !ok {
		return unix.ENOTDIR
	}
	s, err := plainName(name)
	if err != nil {
		return err
	}
	v, err := d.Lookup(s)
	if err != nil {
		return err
	}
	return t.enter(r.Nodeid(), s, v, out)
}

// Forget implements Forgetter.
func (t *Tree) Forget(nodeid, nlookup uint64) {
	n, gone := t.nodes.Forget(nodeid, nlookup)
	if !gone {
		return
	}
	t.mu.Lock()
	if t.names[n.at] == nodeid {
		delete(t.names, n.at)
	}
	t.mu.Unlock()
}

// Getattr implements Getattrer.
func (t *Tree) Getattr(r *Request, in *protocol.GetattrIn, out *protocol.AttrOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	return t.attr(r.Nodeid(), n, &out.Attr, &out.AttrValid, &out.AttrValidNsec)
}

// Setattr implements Setattrer.
func (t *Tree) Setattr(r *Request, in *protocol.SetattrIn, out *protocol.AttrOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	const size = protocol.FattrSize | protocol.FattrFh | protocol.FattrLockowner | protocol.FattrKillSuidgid
	// truncate(2) sends the times along, which a Truncater changes by itself.
	const times = protocol.FattrMtime | protocol.FattrMtimeNow | protocol.FattrCtime
	rest := in.Valid &^ size
	if in.Valid&protocol.FattrSize != 0 {
		f, ok := n.(Truncater)
		if !ok {
			return unix.EPERM
		}
		size, err := offset(in.Size, 0)
		if err != nil {
			return err
		}
		if err := f.Truncate(size); err != nil {
			return err
		}
		rest &^= times
	}
	if rest != 0 {
		s, ok := n.(Setter)
		if !ok {
			return unix.EPERM
		}
		if err := s.Setattr(in); err != nil {
			return err
		}
	}
	return t.attr(r.Nodeid(), n, &out.Attr, &out.AttrValid, &out.AttrValidNsec)
}

// Readlink implements Readlinker.
func (t *Tree) Readlink(r *Request, dst []byte) (int, error) {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return 0, err
	}
	l, ok := n.(Target)
	if !ok {
		return 0, unix.EINVAL
	}
	s, err := l.Readlink()
	copy(dst, s)
	return len(s), err
}

// Open implements Opener.
func (t *Tree) Open(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	trunc := in.Flags&unix.O_TRUNC != 0
	f, ok := n.(Truncater)
	if trunc && !ok {
		return unix.EPERM
	}
	// The kernel asks for regular files only.
	if v := t.nodes.Get(r.Nodeid()); v == nil || v.typ != unix.S_IFREG {
		return unix.EISDIR
	}
	if trunc {
		return f.Truncate(0)
	}
	return nil
}

// Read implements Reader.
func (t *Tree) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error) {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return 0, err
	}
	f, ok := n.(io.ReaderAt)
	if !ok {
		return 0, unix.EBADF
	}
	off, err := offset(in.Offset, len(dst))
	if err != nil {
		return 0, err
	}
	got, err := f.ReadAt(dst, off)
	if err == io.EOF || got > 0 {
		err = nil
	}
	return got, err
}

// Write implements Writer.
func (t *Tree) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return 0, err
	}
	f, ok := n.(io.WriterAt)
	if !ok {
		return 0, unix.EPERM
	}
	off, err := offset(in.Offset, len(data))
	if err != nil {
		return 0, err
	}
	put, err := f.WriteAt(data, off)
	if put > 0 {
		err = nil
	}
	return put, err
}
