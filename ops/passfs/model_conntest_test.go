package passfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
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

// program is one random program of a few processes, run on both sides.
type program struct {
	t      *testing.T
	rng    *rand.Rand
	k      *conntest.Kernel
	c      []*conntest.Client
	m      *posix
	src    string
	files  []*pfile
	plain  bool // no RENAME2: a kernel before 7.23
	xattrs bool // the source has them
	// and this:
	zeroRange, appends bool
	log                []string
}

func newProgram(t *testing.T, rng *rand.Rand, k *conntest.Kernel, src string) *program {
	p := &program{t: t, rng: rng, k: k, m: newPosix(), src: src, plain: k.Params().Minor < 23}
	for range 3 {
		p.c = append(p.c, ourselves(k))
	}
	p.zeroRange, p.appends = zeroRange(src), appends(src)
	p.xattrs = unix.Setxattr(src, "user.probe", []byte("1"), 0) == nil
	if p.xattrs {
		if err := unix.Removexattr(src, "user.probe"); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *program) client() *conntest.Client { return p.c[p.rng.IntN(len(p.c))] }

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
	p.log = append(p.log, fmt.Sprintf("%s = %v", fmt.Sprintf(format, arg...), got))
	var w error
	if want != 0 {
		w = want
	}
	if got != w {
		p.fail("%v, the model says %v", got, w)
	}
	return got == nil
}

func (p *program) fail(format string, arg ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), tail(p.log))
}

func (p *program) step() {
	c, m, path := p.client(), p.m, p.path()
	switch p.rng.IntN(35) {
	case 0, 1:
		p.same(c.Mkdir(path, 0o755), m.add(path, &pnode{typ: unix.S_IFDIR, perm: 0o755}), "mkdir %s", path)
	case 2:
		p.same(c.Rmdir(path), m.remove(path, true), "rmdir %s", path)
	case 3, 4:
		p.same(c.Unlink(path), m.remove(path, false), "unlink %s", path)
	case 5, 6, 7:
		to := p.path()
		flags := []uint32{0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}[p.rng.IntN(5)]
		if p.plain {
			flags = 0
		}
		p.same(c.Rename(path, to, flags), m.rename(path, to, flags), "rename %s %s %d", path, to, flags)
	case 8:
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
	case 9:
		to := p.path()
		if p.rng.IntN(2) == 0 {
			to = to[1:]
		}
		p.same(c.Symlink(to, path), m.add(path, &pnode{typ: unix.S_IFLNK, target: to, perm: 0o777}), "symlink %s %s", to, path)
	case 10:
		p.same(c.Mknod(path, unix.S_IFIFO|0o640, 0), m.add(path, &pnode{typ: unix.S_IFIFO, perm: 0o640}), "mkfifo %s", path)
	case 11, 12, 13:
		p.open(path)
	case 14:
		p.stat(path)
	case 15:
		p.list(path)
	case 16:
		p.k.Advance(time.Duration(p.rng.IntN(1500)) * time.Millisecond)
		if p.rng.IntN(4) == 0 {
			p.k.DropCaches()
		}
	case 17:
		p.attr(path)
	case 18:
		p.xattr(path)
	case 19:
		p.tmpfile(path)
	default:
		if len(p.files) > 0 {
			p.data(p.rng.IntN(len(p.files)))
		}
	}
}

func (p *program) stat(path string) {
	n, e := p.m.find(path, false)
	a, err := p.client().Lstat(path)
	if !p.same(err, e, "lstat %s", path) {
		return
	}
	mtime := int64(a.Mtime)*1e9 + int64(a.Mtimensec)
	if a.Mode != n.typ|n.perm || n.typ == unix.S_IFREG && a.Size != uint64(len(n.data)) ||
		int(a.Nlink) != n.nlink && !n.dir() || n.mtime != 0 && mtime != n.mtime {
		p.fail("lstat %s: mode %o size %d nlink %d mtime %d; the model has %o %d %d %d", path,
			a.Mode, a.Size, a.Nlink, mtime, n.typ|n.perm, len(n.data), n.nlink, n.mtime)
	}
	if n.typ == unix.S_IFLNK {
		if s, err := p.client().Readlink(path); err != nil || s != n.target {
			p.fail("readlink %s: %q %v, the model has %q", path, s, err, n.target)
		}
	}
}

func (p *program) list(path string) {
	n, e := p.m.find(path, true)
	if e == 0 && !n.dir() {
		e = unix.ENOTDIR
	}
	l, err := p.client().List(path)
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

// tree compares everything there is, as the mount shows it and, if all has been
// closed, as it lies in the source.
func (p *program) tree(path string, n *pnode, source bool) {
	l, err := p.client().List(path + "/")
	if err != nil {
		p.fail("list %s: %v", path, err)
	}
	p.names(path, n, l)
	for _, name := range sortedNames(n.names) {
		c := n.names[name]
		at := path + "/" + name
		p.stat(at)
		p.listXattr(at)
		switch c.typ {
		case unix.S_IFDIR:
			p.tree(at, c, source)
		case unix.S_IFREG:
			f, err := p.client().Open(at, unix.O_RDONLY, 0)
			if err != nil {
				p.fail("open %s: %v", at, err)
			}
			p.read(&pfile{f: f, n: c}, 0, len(c.data)+1)
			f.Close()
			if !source {
				break
			}
			if b, err := os.ReadFile(filepath.Join(p.src, at)); err != nil || string(b) != string(c.data) {
				p.fail("%s in the source: %d bytes, %v, the model has %d, or others", at, len(b), err, len(c.data))
			}
		}
	}
}

func sortedNames(m map[string]*pnode) []string {
	var l []string
	for name := range m {
		l = append(l, name)
	}
	sort.Strings(l)
	return l
}
