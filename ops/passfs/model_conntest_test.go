package passfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// kernelOver serves a new directory to a kernel in memory.
func kernelOver(t *testing.T, po *Options, ko conntest.Options) (*FS, *conntest.Kernel) {
	t.Helper()
	return kernelAt(t, t.TempDir(), po, ko)
}

// kernelAt serves the directory dir to a kernel in memory.
func kernelAt(t *testing.T, dir string, po *Options, ko conntest.Options) (*FS, *conntest.Kernel) {
	t.Helper()
	src, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := New(src, po)
	unix.Close(src)
	if err != nil {
		t.Fatal(err)
	}
	ko.Conn = &conn.Options{MaxWrite: 32 << 10, Want: fs.Want(), Log: func(s string) { t.Error("log:", s) }}
	k, err := conntest.New(ops.New(fs), &ko)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return fs, k
}

// forgotten waits until the server knows what the kernel knows: only the root,
// which Len does not count.
func forgotten(t *testing.T, fs *FS, k *conntest.Kernel) {
	t.Helper()
	k.DropCaches()
	if n := k.Nlookup(); len(n) != 1 {
		t.Errorf("the kernel still knows %v", n)
	}
	for end := time.Now().Add(5 * time.Second); fs.nodes.Len() != 0; {
		if time.Now().After(end) {
			t.Errorf("%d nodes but the root in the server, the kernel knows the root alone", fs.nodes.Len())
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// program is one random program, run on both sides.
type program struct {
	t     *testing.T
	rng   *rand.Rand
	k     *conntest.Kernel
	c     *conntest.Client
	m     *posix
	files []*pfile
	plain bool // no RENAME2: a kernel before 7.23
	log   []string
}

type pfile struct {
	f      *conntest.File
	n      *pnode
	append bool
}

func (p *program) path() string {
	s := ""
	for range 1 + p.rng.IntN(3) {
		s += "/" + string(rune('a'+p.rng.IntN(4)))
	}
	return s
}

// same fails the test, with what led there, if the two sides differ.
func (p *program) same(got error, want unix.Errno, format string, arg ...any) bool {
	p.t.Helper()
	s := fmt.Sprintf(format, arg...)
	p.log = append(p.log, fmt.Sprintf("%s = %v", s, got))
	var w error
	if want != 0 {
		w = want
	}
	if got != w {
		p.fail("%s: %v, the model says %v", s, got, w)
	}
	return got == nil
}

func (p *program) fail(format string, arg ...any) {
	p.t.Helper()
	l := p.log[max(0, len(p.log)-40):]
	p.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), strings.Join(l, "\n"))
}

func (p *program) step() {
	c, m, path := p.c, p.m, p.path()
	switch p.rng.IntN(24) {
	case 0, 1:
		p.same(c.Mkdir(path, 0o755), m.add(path, &pnode{typ: unix.S_IFDIR}), "mkdir %s", path)
	case 2:
		p.same(c.Rmdir(path), m.remove(path, true), "rmdir %s", path)
	case 3:
		p.same(c.Unlink(path), m.remove(path, false), "unlink %s", path)
	case 4, 5, 6:
		to := p.path()
		flags := []uint32{0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[p.rng.IntN(5)]
		if p.plain {
			flags = 0
		}
		p.same(c.Rename(path, to, flags), m.rename(path, to, flags), "rename %s %s %d", path, to, flags)
	case 7:
		to := p.path()
		n, e := m.find(path, false)
		if e == 0 && n.dir() {
			e = unix.EPERM
		}
		if e == 0 {
			e = m.add(to, n)
		} else if e == unix.EPERM {
			if d, name, ee := m.at(to); ee != 0 {
				e = ee // the VFS looks at the new name first
			} else if d.names[name] != nil {
				e = unix.EEXIST
			}
		}
		if err := c.Link(path, to); !(n != nil && n.dir() && err == unix.EPERM) {
			p.same(err, e, "link %s %s", path, to)
		}
	case 8:
		to := p.path()
		if p.rng.IntN(2) == 0 {
			to = to[1:]
		}
		p.same(c.Symlink(to, path), m.add(path, &pnode{typ: unix.S_IFLNK, target: to}), "symlink %s %s", to, path)
	case 9, 10, 11:
		p.open(path)
	case 12:
		p.stat(path)
	case 13:
		p.list(path)
	case 14:
		p.k.Advance(time.Duration(p.rng.IntN(1500)) * time.Millisecond)
		if p.rng.IntN(4) == 0 {
			p.k.DropCaches()
		}
	default:
		if len(p.files) > 0 {
			p.data(p.rng.IntN(len(p.files)))
		}
	}
}

func (p *program) stat(path string) {
	n, e := p.m.find(path, false)
	a, err := p.c.Lstat(path)
	if !p.same(err, e, "lstat %s", path) {
		return
	}
	if a.Mode&unix.S_IFMT != n.typ || n.typ == unix.S_IFREG && a.Size != uint64(len(n.data)) || int(a.Nlink) != n.nlink && !n.dir() {
		p.fail("lstat %s: mode %o size %d nlink %d; the model has %o %d %d", path, a.Mode, a.Size, a.Nlink, n.typ, len(n.data), n.nlink)
	}
	if n.typ == unix.S_IFLNK {
		if s, err := p.c.Readlink(path); err != nil || s != n.target {
			p.fail("readlink %s: %q %v, the model has %q", path, s, err, n.target)
		}
	}
}

func (p *program) list(path string) {
	n, e := p.m.find(path, true)
	if e == 0 && !n.dir() {
		e = unix.ENOTDIR
	}
	l, err := p.c.List(path)
	if !p.same(err, e, "list %s", path) {
		return
	}
	p.names(path, n, l)
}

func (p *program) names(path string, n *pnode, l []conntest.Entry) {
	var got, want []string
	for _, e := range l {
		got = append(got, fmt.Sprint(e.Name, " ", e.Type<<12))
	}
	for name, c := range n.names {
		want = append(want, fmt.Sprint(name, " ", c.typ))
	}
	sort.Strings(got)
	sort.Strings(want)
	if strings.Join(got, ",") != strings.Join(want, ",") {
		p.fail("%s has %v, the model %v", path, got, want)
	}
}

func (p *program) open(path string) {
	flags := []int{unix.O_RDWR, unix.O_RDWR | unix.O_CREAT, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL,
		unix.O_RDWR | unix.O_TRUNC, unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, unix.O_RDWR | unix.O_APPEND}[p.rng.IntN(6)]
	excl := flags&unix.O_EXCL != 0
	d, n, name, e := p.m.walk(path, !excl)
	switch {
	case e != 0:
	case n == nil && flags&unix.O_CREAT == 0:
		e = unix.ENOENT
	case n != nil && excl:
		e = unix.EEXIST
	case n != nil && n.dir():
		e = unix.EISDIR
	}
	f, err := p.c.Open(path, flags, 0o644)
	if !p.same(err, e, "open %s %#x", path, flags) {
		return
	}
	if n == nil {
		n = &pnode{typ: unix.S_IFREG, nlink: 1}
		d.names[name] = n
	}
	if flags&unix.O_TRUNC != 0 {
		n.data = nil
	}
	if len(p.files) == 8 {
		i := p.rng.IntN(8)
		p.same(p.files[i].f.Close(), 0, "close %d", i)
		p.files[i] = &pfile{f, n, flags&unix.O_APPEND != 0}
		return
	}
	p.files = append(p.files, &pfile{f, n, flags&unix.O_APPEND != 0})
}

// data is one operation of fsx on an open file.
func (p *program) data(i int) {
	f := p.files[i]
	off, n := p.rng.IntN(60000), 1+p.rng.IntN(40000)
	if p.rng.IntN(3) > 0 {
		off, n = p.rng.IntN(9000), 1+p.rng.IntN(3000)
	}
	switch p.rng.IntN(8) {
	case 0, 1, 2:
		b := make([]byte, n)
		for j := range b {
			b[j] = byte(p.rng.Uint32())
		}
		got, err := f.f.WriteAt(b, int64(off))
		if f.append {
			off = len(f.n.data)
		}
		p.same(err, 0, "pwrite %d: %d at %d", i, n, off)
		if got != n {
			p.fail("wrote %d of %d", got, n)
		}
		if d := off + n - len(f.n.data); d > 0 {
			f.n.data = append(f.n.data, make([]byte, d)...)
		}
		copy(f.n.data[off:], b)
	case 3:
		f.n.data = append(f.n.data, make([]byte, max(0, off-len(f.n.data)))...)[:off]
		p.same(f.f.Truncate(uint64(off)), 0, "ftruncate %d: %d", i, off)
	case 4:
		a, err := f.f.Stat()
		if p.same(err, 0, "fstat %d", i) && (a.Size != uint64(len(f.n.data)) || int(a.Nlink) != f.n.nlink) {
			p.fail("size %d nlink %d, the model has %d %d", a.Size, a.Nlink, len(f.n.data), f.n.nlink)
		}
	case 5:
		p.same(f.f.Fsync(false), 0, "fsync %d", i)
	default:
		p.read(f, off, n)
	}
}

func (p *program) read(f *pfile, off, n int) {
	b := make([]byte, n)
	got, err := f.f.ReadAt(b, int64(off))
	p.same(err, 0, "pread %d at %d", n, off)
	var want []byte
	if off < len(f.n.data) {
		want = f.n.data[off:min(len(f.n.data), off+n)]
	}
	if !bytes.Equal(b[:got], want) {
		p.fail("%d bytes at %d: %d read, the model has %d, or others", n, off, got, len(want))
	}
}

// tree compares everything there is.
func (p *program) tree(path string, n *pnode) {
	l, err := p.c.List(path + "/")
	if err != nil {
		p.fail("list %s: %v", path, err)
	}
	p.names(path, n, l)
	for name, c := range n.names {
		at := path + "/" + name
		p.stat(at)
		switch c.typ {
		case unix.S_IFDIR:
			p.tree(at, c)
		case unix.S_IFREG:
			f, err := p.c.Open(at, unix.O_RDONLY, 0)
			if err != nil {
				p.fail("open %s: %v", at, err)
			}
			p.read(&pfile{f: f, n: c}, 0, len(c.data)+1)
			f.Close()
		}
	}
}

// TestModel runs random programs on passfs under a kernel and on a model. A
// seed that fails is the name of its subtest.
func TestModel(t *testing.T) {
	steps := 1500
	if testing.Short() {
		steps = 500
	}
	for _, mode := range []struct {
		name string
		o    Options
		ko   conntest.Options
	}{
		{"auto", Options{Cache: CacheAuto}, conntest.Options{}},
		{"never", Options{Cache: CacheNever}, conntest.Options{}},
		{"metadata", Options{Cache: CacheMetadata}, conntest.Options{}},
		{"always", Options{Cache: CacheAlways}, conntest.Options{}},
		{"direct", Options{Cache: CacheAuto, DirectIO: true}, conntest.Options{}},
		{"fewfds", Options{Cache: CacheAuto, MaxFDs: 16}, conntest.Options{}},
		{"minor12", Options{Cache: CacheAuto}, conntest.Options{Minor: 12}},
		{"minor23", Options{Cache: CacheAuto}, conntest.Options{Minor: 23}},
		{"noplus", Options{Cache: CacheAlways}, conntest.Options{Flags: conntest.AllFlags &^ protocol.InitDoReaddirplus &^ protocol.InitParallelDirops}},
	} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/seed=%d", mode.name, seed), func(t *testing.T) {
				o := mode.o
				o.EntryTimeout, o.AttrTimeout, o.NegativeTimeout = ByMode, ByMode, ByMode
				fs, k := kernelOver(t, &o, mode.ko)
				p := &program{t: t, rng: rand.New(rand.NewPCG(seed, 1)), k: k, m: newPosix(), plain: mode.ko.Minor == 12,
					c: k.Process(uint32(os.Geteuid()), uint32(os.Getegid()))}
				for range steps {
					p.step()
					if v := k.Violations(); len(v) > 0 {
						p.fail("%v", v[0])
					}
				}
				p.tree("", p.m.root)
				for i, f := range p.files {
					p.same(f.f.Close(), 0, "close %d", i)
				}
				forgotten(t, fs, k)
			})
		}
	}
}
