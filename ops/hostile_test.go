package ops

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/hostile"
	"golang.org/x/sys/unix"
)

// anyDir and anyFile are a file system in memory, as a user would write one in
// a few minutes: it trusts what it is given, Tree must not pass on nonsense.
type anyDir struct {
	t  testing.TB
	mu sync.Mutex
	m  map[string]Node
}

func (d *anyDir) Attr(a *protocol.Attr) error { a.Mode = unix.S_IFDIR | 0o755; return nil }

func (d *anyDir) name(s string) {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00") {
		d.t.Errorf("the file system was given the name %q", s)
	}
}

func (d *anyDir) Lookup(name string) (Node, error) {
	d.name(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.m[name]; n != nil {
		return n, nil
	}
	return nil, unix.ENOENT
}

func (d *anyDir) List() (l []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.m {
		l = append(l, s)
	}
	return l, nil
}

func (d *anyDir) Make(name string, mode uint32) (n Node, err error) {
	d.name(name)
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
	default:
		d.t.Errorf("Make with mode %o", mode)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m[name] != nil {
		return nil, unix.EEXIST
	}
	n = &anyFile{t: d.t, mode: mode}
	if mode&unix.S_IFMT == unix.S_IFDIR {
		n = &anyDir{t: d.t, m: map[string]Node{}}
	}
	d.m[name] = n
	return n, nil
}

func (d *anyDir) Remove(name string) error {
	d.name(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m[name] == nil {
		return unix.ENOENT
	}
	delete(d.m, name)
	return nil
}

func (d *anyDir) Move(name string, to Node, newname string) error {
	d.name(name)
	d.name(newname)
	if to != Node(d) {
		return unix.EXDEV
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.m[name]
	if n == nil {
		return unix.ENOENT
	}
	delete(d.m, name)
	d.m[newname] = n
	return nil
}

type anyFile struct {
	t    testing.TB
	mode uint32
	mu   sync.Mutex
	b    []byte
}

const anyMax = 1 << 16

func (f *anyFile) Attr(a *protocol.Attr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	a.Mode, a.Size = f.mode, uint64(len(f.b))
	return nil
}

func (f *anyFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 || off+int64(len(p)) < 0 {
		f.t.Errorf("ReadAt of %d bytes at %d", len(p), off)
	}
	return strings.NewReader(string(f.b)).ReadAt(p, off)
}

func (f *anyFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := off + int64(len(p))
	if off < 0 || end < 0 {
		f.t.Errorf("WriteAt of %d bytes at %d", len(p), off)
		return 0, unix.EINVAL
	}
	if end > anyMax {
		return 0, unix.EFBIG
	}
	if end > int64(len(f.b)) {
		f.b = append(f.b, make([]byte, end-int64(len(f.b)))...)
	}
	return copy(f.b[off:], p), nil
}

func (f *anyFile) Truncate(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n < 0 {
		f.t.Errorf("Truncate to %d", n)
	}
	if n > anyMax {
		return unix.EFBIG
	}
	f.b = append(f.b, make([]byte, n)...)[:n]
	return nil
}

func attackTree(t testing.TB, in []byte) {
	d := &anyDir{t: t, m: map[string]Node{"d": &anyDir{t: t, m: map[string]Node{}}}}
	for _, s := range []string{"f", "g"} {
		d.m[s] = &anyFile{t: t, mode: unix.S_IFREG | 0o644, b: []byte(s + " has content")}
	}
	tree := NewTree(d)
	hostile.Run(t, &hostile.Target{
		Handler: New(tree),
		Options: conn.Options{Log: func(s string) {
			if strings.Contains(s, "panic") {
				t.Error(s)
			}
		}},
		Names: []string{"f", "d", "g", "new", "new2"},
		Nodes: tree.nodes.Len,
	}, in)
}

// FuzzHostile serves a file system in memory to a kernel that keeps no promise.
func FuzzHostile(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(hostile.Program(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) { attackTree(t, in) })
}

// TestHostile runs random programs.
func TestHostile(t *testing.T) {
	hostile.Random(t, 1000, 3*time.Second, attackTree)
}
