package passfs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/tests/hostile"
	"github.com/fusewire/fusewire/wb"
)

const (
	secret     = "what-nobody-below-may-read-8c1f"
	secretName = "name-nobody-below-may-list-8c1f"
)

// canaries surround the source; nothing of them may be read or changed:
//
//	top/secret          a file, which links in the source point to
//	top/secretdir/...   a directory with a file and the secret name
//	top/link            a symbolic link to secret
//	top/fifo            a FIFO: who opens it hangs
//	top/src             the source
type canaries struct {
	top    string
	src    string
	stats  map[string]unix.Stat_t
	inos   []uint64
	before int // descriptors
}

// newCanaries makes them, in memory if there is a place for that: FSYNC and
// SYNCFS are among the requests.
func newCanaries(t testing.TB) *canaries {
	t.Helper()
	top := t.TempDir()
	if dir, err := os.MkdirTemp("/dev/shm", "hostile"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		top = dir
	}
	c := &canaries{top: top, src: filepath.Join(top, "src")}
	mkdir(t, top, "secretdir")
	for _, p := range []string{"secret", "secretdir/inner", "secretdir/" + secretName} {
		if err := os.WriteFile(filepath.Join(top, p), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_ = unix.Setxattr(filepath.Join(top, "secret"), "user.a", []byte(secret), 0)
	must(t, os.Symlink("secret", filepath.Join(top, "link")))
	must(t, unix.Mkfifo(filepath.Join(top, "fifo"), 0o600))
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sourceNames are tried by the requests: the first are there to begin with.
var sourceNames = []string{"f", "d", "out", "abs", "proc", "dirlink", "fifo", "new", "new2", "g"}

// rebuild makes the source as it is to begin with.
func (c *canaries) rebuild(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(c.src); err != nil {
		must(t, os.Chmod(c.src, 0o700)) // the kernel took our rights away
		_ = filepath.Walk(c.src, func(p string, st os.FileInfo, err error) error {
			if err == nil && st.IsDir() {
				_ = os.Chmod(p, 0o700)
			}
			return nil
		})
		must(t, os.RemoveAll(c.src))
	}
	must(t, os.Mkdir(c.src, 0o755))
	must(t, os.WriteFile(filepath.Join(c.src, "f"), []byte("content of f"), 0o644))
	must(t, os.Mkdir(filepath.Join(c.src, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(c.src, "d", "g"), bytes.Repeat([]byte("g"), 5000), 0o644))
	must(t, os.Symlink("../secret", filepath.Join(c.src, "out")))
	must(t, os.Symlink(filepath.Join(c.top, "secret"), filepath.Join(c.src, "abs")))
	must(t, os.Symlink("/proc/self/root"+c.top+"/secret", filepath.Join(c.src, "proc")))
	must(t, os.Symlink("../secretdir", filepath.Join(c.src, "dirlink")))
	must(t, unix.Mkfifo(filepath.Join(c.src, "fifo"), 0o644))
	c.stats, c.inos = map[string]unix.Stat_t{}, nil
	for _, p := range []string{"", "secret", "secretdir", "secretdir/inner", "secretdir/" + secretName, "link", "fifo"} {
		st := c.lstat(t, p)
		c.stats[p] = st
		c.inos = append(c.inos, uint64(st.Ino))
	}
	c.before = descriptors(t)
}

func (c *canaries) lstat(t testing.TB, p string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(c.top, p), &st))
	st.Atim = unix.Timespec{}
	return st
}

// check finds everything as rebuild left it. The change times tell of anything
// that was done to data, mode, owner, names, links or attributes.
func (c *canaries) check(t testing.TB) {
	t.Helper()
	for p, want := range c.stats {
		if got := c.lstat(t, p); got != want {
			t.Errorf("%q beside the source has changed: %+v, was %+v", p, got, want)
		}
	}
	for _, p := range []string{"secret", "secretdir/inner", "secretdir/" + secretName} {
		if b, err := os.ReadFile(filepath.Join(c.top, p)); string(b) != secret {
			t.Errorf("%q beside the source reads %q, %v", p, b, err)
		}
	}
	if n := descriptors(t); n > c.before {
		t.Errorf("%d descriptors open, were %d", n, c.before)
	}
}

// descriptors counts those of the process.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

const hostileFDs = 40

func (c *canaries) attack(t testing.TB, in []byte) {
	t.Helper()
	o, before := DefaultOptions(), func(*FS) {}
	how := byte(0)
	if len(in) > 0 {
		how, in = in[0], in[1:]
	}
	o.MaxFDs = hostileFDs
	o.Cache = CacheMode(how & 3)
	o.DirectIO = how&4 != 0
	o.Writeback = how&8 != 0
	o.ReadOnly = how&0x70 == 0x70
	if how&0x10 != 0 {
		o.Engine, o.Slow = aio.New(aio.NewWorkers(2), aio.Config{}), how&0x20 != 0
		defer o.Engine.Close()
	}
	if how&0x48 == 0x40 {
		w, err := wb.New(wb.NewThreads(2, nil), wb.Config{Bytes: 12 << 14, FileBytes: 5 << 14, Files: 3, Age: time.Millisecond})
		must(t, err)
		o.WriteCache, o.LazyClose = w, how&4 != 0
	}
	if how&0x80 != 0 {
		before = byName
	}
	c.rebuild(t)
	src, err := unix.Open(c.src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	fs, err := New(src, &o)
	unix.Close(src)
	must(t, err)
	before(fs)
	hostile.Run(t, &hostile.Target{
		Handler: ops.New(fs),
		Options: conn.Options{Want: fs.Want(), Log: func(s string) {
			if strings.Contains(s, "panic") {
				t.Error(s)
			}
		}},
		Names:   sourceNames,
		Secrets: [][]byte{[]byte(secret), []byte(secretName)},
		Inos:    c.inos,
		Nodes:   fs.nodes.Len,
		Between: func(*conn.Conn) {
			if n := fs.budget.used.Load(); n > hostileFDs {
				t.Errorf("%d descriptors counted, may be %d", n, hostileFDs)
			}
			if n := descriptors(t); n > c.before+hostileFDs+16 {
				t.Errorf("%d descriptors open, were %d", n, c.before)
			}
		},
	}, in)
	if fs.procFD >= 0 {
		fs.Done() // INIT was refused, so nobody has said it
	}
	if n := fs.budget.used.Load(); n != 0 {
		t.Errorf("%d descriptors still counted", n)
	}
	c.check(t)
}

// FuzzHostile serves a directory to a kernel that keeps no promise.
func FuzzHostile(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(hostile.Program(seed))
	}
	c := newCanaries(f)
	f.Fuzz(func(t *testing.T, in []byte) { c.attack(t, in) })
}

// TestHostile runs random programs.
func TestHostile(t *testing.T) {
	c := newCanaries(t)
	hostile.Random(t, 1200, 5*time.Second, c.attack)
}
