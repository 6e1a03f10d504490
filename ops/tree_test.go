package ops

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// mem is a directory, file or symbolic link in memory.
type mem struct {
	mu   *sync.Mutex
	mode uint32
	kids map[string]*mem
	data []byte
}

func memDir() *mem {
	return &mem{mu: new(sync.Mutex), mode: unix.S_IFDIR | 0o755, kids: map[string]*mem{}}
}

func (m *mem) Attr(a *protocol.Attr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Mode, a.Size = m.mode, uint64(len(m.data))
	return nil
}

type memD struct{ *mem }

func (m *mem) node() Node {
	switch m.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return memD{m}
	case unix.S_IFLNK:
		return memL{m}
	}
	return memF{m}
}

func (d memD) Lookup(name string) (Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.kids[name]; k != nil {
		return k.node(), nil
	}
	return nil, unix.ENOENT
}
func (d memD) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s []string
	for name := range d.kids {
		s = append(s, name)
	}
	slices.Sort(s)
	return s, nil
}
func (d memD) Make(name string, mode uint32) (Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kids[name] != nil {
		return nil, unix.EEXIST
	}
	k := &mem{mu: d.mu, mode: mode}
	if mode&unix.S_IFMT == unix.S_IFDIR {
		k.kids = map[string]*mem{}
	}
	d.kids[name] = k
	return k.node(), nil
}
func (d memD) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kids[name] == nil {
		return unix.ENOENT
	}
	delete(d.kids, name)
	return nil
}
func (d memD) Move(name string, to Node, newname string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := to.(memD)
	if !ok {
		return unix.ENOTDIR
	}
	if d.kids[name] == nil {
		return unix.ENOENT
	}
	t.kids[newname] = d.kids[name]
	delete(d.kids, name)
	return nil
}

type memL struct{ *mem }

func (l memL) Readlink() (string, error) { return string(l.data), nil }

type memF struct{ *mem }

func (f memF) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (f memF) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if need := int(off) + len(p); need > len(f.data) {
		f.data = append(f.data, make([]byte, need-len(f.data))...)
	}
	return copy(f.data[off:], p), nil
}
func (f memF) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data = append(f.data[:min(size, int64(len(f.data)))], make([]byte, max(0, size-int64(len(f.data))))...)
	return nil
}
func (f memF) Setattr(in *protocol.SetattrIn) error {
	if in.Valid&^protocol.FattrMode != 0 {
		return unix.EOPNOTSUPP
	}
	f.mu.Lock()
	f.mode = f.mode&unix.S_IFMT | in.Mode&0o7777
	f.mu.Unlock()
	return nil
}

func nb(s string) []byte { return []byte(s) }

func (k *kernel) entry(op protocol.Opcode, dir uint64, r rq) *protocol.EntryOut {
	k.t.Helper()
	e, b := k.call(op, dir, r)
	if e != 0 {
		k.t.Fatalf("%v: %v", op, e)
	}
	return protocol.ViewOf[protocol.EntryOut](bytes.Clone(b))
}

func (k *kernel) fails(op protocol.Opcode, dir uint64, r rq, want unix.Errno) {
	k.t.Helper()
	if e, _ := k.call(op, dir, r); e != want {
		k.t.Errorf("%v: %v, want %v", op, e, want)
	}
}

func TestTree(t *testing.T) {
	root := memDir()
	tree := NewTree(memD{root})
	tree.Valid = 1500 * time.Millisecond
	k := serve(t, tree, nil)
	const R = protocol.RootID

	k.fails(protocol.OpLookup, R, rq{Name: nb("f")}, unix.ENOENT)
	f := k.entry(protocol.OpCreate, R, rq{Arg: arg(protocol.CreateIn{Mode: 0o100666, Umask: 0o022}), Name: nb("f")})
	if f.Attr.Mode != 0o100644 || f.Attr.Ino != f.Nodeid || f.Attr.Nlink != 1 || f.EntryValid != 1 || f.AttrValidNsec != 5e8 {
		t.Errorf("CREATE: %+v", f)
	}
	k.fails(protocol.OpCreate, R, rq{Arg: arg(protocol.CreateIn{}), Name: nb("f")}, unix.EEXIST)
	if e := k.entry(protocol.OpLookup, R, rq{Name: nb("f")}); e.Nodeid != f.Nodeid {
		t.Errorf("LOOKUP: node %d, not %d", e.Nodeid, f.Nodeid)
	}
	if e, b := k.call(protocol.OpWrite, f.Nodeid, rq{Arg: arg(protocol.WriteIn{Offset: 2, Size: 5}), Data: nb("12345")}); e != 0 || protocol.ViewOf[protocol.WriteOut](b).Size != 5 {
		t.Errorf("WRITE: %v %x", e, b)
	}
	if e, b := k.call(protocol.OpRead, f.Nodeid, rq{Arg: arg(protocol.ReadIn{Offset: 1, Size: 100})}); e != 0 || string(b) != "\x0012345" {
		t.Errorf("READ: %v %q", e, b)
	}
	if e, b := k.call(protocol.OpRead, f.Nodeid, rq{Arg: arg(protocol.ReadIn{Offset: 100, Size: 100})}); e != 0 || len(b) != 0 {
		t.Errorf("READ at the end: %v %q", e, b)
	}
	// truncate(2): the size with the times.
	e, b := k.call(protocol.OpSetattr, f.Nodeid, rq{Arg: arg(protocol.SetattrIn{Valid: protocol.FattrSize | protocol.FattrMtime | protocol.FattrMtimeNow, Size: 3})})
	if a := protocol.ViewOf[protocol.AttrOut](b); e != 0 || a.Attr.Size != 3 {
		t.Errorf("truncate: %v %+v", e, a)
	}
	k.fails(protocol.OpSetattr, f.Nodeid, rq{Arg: arg(protocol.SetattrIn{Valid: protocol.FattrUid})}, unix.EOPNOTSUPP)
	k.fails(protocol.OpSetattr, f.Nodeid, rq{Arg: arg(protocol.SetattrIn{Valid: protocol.FattrMode, Mode: 0o600})}, 0)
	k.fails(protocol.OpSetattr, R, rq{Arg: arg(protocol.SetattrIn{Valid: protocol.FattrSize})}, unix.EPERM)
	k.fails(protocol.OpSetattr, R, rq{Arg: arg(protocol.SetattrIn{Valid: protocol.FattrMode})}, unix.EPERM)
	k.fails(protocol.OpOpen, f.Nodeid, rq{Arg: arg(protocol.OpenIn{Flags: unix.O_WRONLY | unix.O_TRUNC})}, 0)
	if e, b := k.call(protocol.OpGetattr, f.Nodeid, rq{Arg: arg(protocol.GetattrIn{})}); e != 0 || protocol.ViewOf[protocol.AttrOut](b).Attr.Size != 0 {
		t.Errorf("after O_TRUNC: %v", e)
	}
	k.fails(protocol.OpReadlink, f.Nodeid, rq{}, unix.EINVAL)
	k.fails(protocol.OpLookup, f.Nodeid, rq{Name: nb("x")}, unix.ENOTDIR)
	k.fails(protocol.OpRead, R, rq{Arg: arg(protocol.ReadIn{Size: 1})}, unix.EBADF)
	k.fails(protocol.OpGetattr, 999, rq{Arg: arg(protocol.GetattrIn{})}, unix.ESTALE)

	root.mu.Lock()
	root.kids["l"] = &mem{mu: root.mu, mode: unix.S_IFLNK | 0o777, data: nb("to")}
	root.mu.Unlock()
	l := k.entry(protocol.OpLookup, R, rq{Name: nb("l")})
	if e, b := k.call(protocol.OpReadlink, l.Nodeid, rq{}); e != 0 || string(b) != "to" {
		t.Errorf("READLINK: %v %q", e, b)
	}

	d := k.entry(protocol.OpMkdir, R, rq{Arg: arg(protocol.MkdirIn{Mode: 0o755}), Name: nb("d")})
	k.fails(protocol.OpRename2, R, rq{Arg: arg(protocol.Rename2In{Newdir: d.Nodeid, Flags: 1}), Name: nb("f"), Name2: nb("g")}, unix.EINVAL)
	k.fails(protocol.OpRename, R, rq{Arg: arg(protocol.RenameIn{Newdir: d.Nodeid}), Name: nb("f"), Name2: nb("g")}, 0)
	if e := k.entry(protocol.OpLookup, d.Nodeid, rq{Name: nb("g")}); e.Nodeid != f.Nodeid {
		t.Errorf("renamed: node %d, not %d", e.Nodeid, f.Nodeid)
	}
	// Removed and made again: another node, while the old one is still open.
	k.fails(protocol.OpUnlink, d.Nodeid, rq{Name: nb("g")}, 0)
	g := k.entry(protocol.OpMknod, d.Nodeid, rq{Arg: arg(protocol.MknodIn{Mode: unix.S_IFREG | 0o600}), Name: nb("g")})
	if g.Nodeid == f.Nodeid {
		t.Error("a removed file's node came back")
	}
	k.fails(protocol.OpGetattr, f.Nodeid, rq{Arg: arg(protocol.GetattrIn{})}, 0)
	// Another type under the same name is another node.
	root.mu.Lock()
	root.kids["l"] = &mem{mu: root.mu, mode: unix.S_IFREG}
	root.mu.Unlock()
	if e := k.entry(protocol.OpLookup, R, rq{Name: nb("l")}); e.Nodeid == l.Nodeid {
		t.Error("a link became a file in place")
	} else {
		k.forget(e.Nodeid, 1)
	}
	// What the kernel was given and forgets is what there was: f 3, l, d, g.
	k.forget(f.Nodeid, 3)
	k.forget(l.Nodeid, 1)
	k.forget(g.Nodeid, 1)
	k.forget(d.Nodeid, 1)
	eventually(t, "nodes forgotten", func() bool { return tree.nodes.Len() == 0 })
	tree.mu.Lock()
	defer tree.mu.Unlock()
	if len(tree.names) != 0 || tree.nodes.OverForgets() != 0 {
		t.Errorf("%d names left, %d over-forgets", len(tree.names), tree.nodes.OverForgets())
	}
}

func (k *kernel) forget(id, n uint64) {
	k.send(protocol.OpForget, id, rq{Arg: arg(protocol.ForgetIn{Nlookup: n})})
}

// A directory read in small pieces while files in it are removed: whatever was
// there the whole time is listed once.
func TestTreeReaddir(t *testing.T) {
	root := memDir()
	const count = 500
	for i := range count {
		root.kids[fmt.Sprintf("file%03d", i)] = &mem{mu: root.mu, mode: unix.S_IFREG}
	}
	tree := NewTree(memD{root})
	k := serve(t, tree, nil)
	e, b := k.call(protocol.OpOpendir, protocol.RootID, rq{Arg: arg(protocol.OpenIn{})})
	if e != 0 {
		t.Fatal(e)
	}
	fh := protocol.ViewOf[protocol.OpenOut](b).Fh
	list := func(del bool) map[string]int {
		seen := map[string]int{}
		var off uint64
		for {
			e, b := k.call(protocol.OpReaddir, protocol.RootID, rq{Arg: arg(protocol.ReadIn{Fh: fh, Offset: off, Size: 200})})
			if e != 0 {
				t.Fatal(e)
			}
			if len(b) == 0 {
				return seen
			}
			for len(b) > 0 {
				d, name, rest, err := protocol.NextDirent(b)
				if err != nil || name == nil {
					t.Fatal(err)
				}
				seen[string(name)]++
				off, b = d.Off, rest
				if s := string(name); del && s > "file" && s[len(s)-1]%2 == 0 {
					root.mu.Lock()
					delete(root.kids, s)
					root.mu.Unlock()
				}
			}
		}
	}
	for round, want := range []int{count + 2, count/2 + 2} {
		seen := list(round == 0)
		if len(seen) != want || seen["."] != 1 || seen[".."] != 1 {
			t.Errorf("round %d: %d entries, want %d", round, len(seen), want)
		}
		for name, n := range seen {
			if n != 1 {
				t.Errorf("%s %d times", name, n)
			}
		}
	}
	k.fails(protocol.OpReaddir, protocol.RootID, rq{Arg: arg(protocol.ReadIn{Fh: fh + 1<<32, Size: 200})}, unix.EBADF)
	k.fails(protocol.OpReleasedir, protocol.RootID, rq{Arg: arg(protocol.ReleaseIn{Fh: fh})}, 0)
	k.lost(protocol.OpOpendir, protocol.RootID, rq{Arg: arg(protocol.OpenIn{})})
	eventually(t, "directory handles closed", func() bool { return tree.dirs.Len() == 0 })
}

// A tree that is only read refuses the rest.
func TestTreeReadOnly(t *testing.T) {
	k := serve(t, NewTree(struct{ Dir }{memD{memDir()}}), nil)
	k.fails(protocol.OpMkdir, 1, rq{Arg: arg(protocol.MkdirIn{}), Name: nb("d")}, unix.EROFS)
	k.fails(protocol.OpUnlink, 1, rq{Name: nb("d")}, unix.EROFS)
	k.fails(protocol.OpRmdir, 1, rq{Name: nb("d")}, unix.EROFS)
	k.fails(protocol.OpRename, 1, rq{Arg: arg(protocol.RenameIn{Newdir: 1}), Name: nb("a"), Name2: nb("b")}, unix.EROFS)
	k.fails(protocol.OpWrite, 1, rq{Arg: arg(protocol.WriteIn{Size: 1}), Data: nb("x")}, unix.EPERM)
	k.fails(protocol.OpOpen, 1, rq{Arg: arg(protocol.OpenIn{Flags: unix.O_TRUNC})}, unix.EPERM)
}
