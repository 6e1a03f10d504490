package backing

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// overlay mounts an overlayfs of new directories of a new tmpfs at dir.
func overlay(t testing.TB, dir string) {
	t.Helper()
	top := harness.Tmpfs(t)
	for _, d := range []string{"lower", "upper", "work"} {
		must(t, os.Mkdir(filepath.Join(top, d), 0o755))
	}
	put(t, filepath.Join(top, "lower/old"), "text")
	mountAt(t, dir, "overlay", "lowerdir="+top+"/lower,upperdir="+top+"/upper,workdir="+top+"/work")
}

func mountAt(t testing.TB, dir, kind, data string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(kind, dir, kind, 0, data); err != nil {
		t.Fatalf("%s on %s: %v", kind, dir, err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// TestSources: what is good for passing through, and what is not, in one mount.
// The source is not stacked, so one level is what INIT says, and an overlayfs
// inside it is too deep: BACKING_OPEN fails, and its files are served without.
func TestSources(t *testing.T) {
	src := harness.Tmpfs(t)
	overlay(t, filepath.Join(src, "overlay"))
	mountAt(t, filepath.Join(src, "proc"), "proc", "")
	mountAt(t, filepath.Join(src, "sys"), "sysfs", "")
	mountAt(t, filepath.Join(src, "cgroup"), "cgroup2", "")
	put(t, filepath.Join(src, "f"), "text")
	must(t, unix.Mkfifo(filepath.Join(src, "fifo"), 0o644))
	m := serve(t, src)
	for _, name := range []string{"overlay/old", "overlay/old", "proc/version", "proc/self/status", "sys/kernel/mm/transparent_hugepage/enabled", "cgroup/cgroup.controllers"} {
		m.plain(name, unix.O_RDONLY).done()
	}
	w := m.plain("overlay/new", unix.O_RDWR|unix.O_CREAT)
	w.write("text")
	w.holds("text")
	m.passed("f", unix.O_RDWR).holds("text")
	// A FIFO is the kernel's own, without a request.
	rd := open(t, filepath.Join(m.Dir, "fifo"), unix.O_RDWR)
	rd.write("x")
}

// TestOverlay: a source that is stacked once is passed through; a file that is
// copied up while open too.
func TestOverlay(t *testing.T) {
	src := harness.Disk(t)
	overlay(t, src)
	m := serve(t, src)
	r := m.passed("old", unix.O_RDONLY)
	r.holds("text")
	w := m.passed("old", unix.O_RDWR)
	w.pwrite("TEXT", 0)
	w.holds("TEXT")
	r.holds("TEXT")
	same(t, filepath.Join(src, "old"), "TEXT")
	c := m.passed("new", unix.O_RDWR|unix.O_CREAT)
	c.write("made")
	same(t, filepath.Join(src, "new"), "made")
}

// TestOnTop: our mount may be the source of another of ours, which goes without,
// and a layer of an overlayfs.
func TestOnTop(t *testing.T) {
	src := harness.Tmpfs(t)
	for _, d := range []string{"lower", "upper", "work"} {
		must(t, os.Mkdir(filepath.Join(src, d), 0o755))
	}
	put(t, filepath.Join(src, "lower/f"), "text")
	m := serve(t, src)
	n := serve(t, m.Dir)
	f := n.plain("lower/f", unix.O_RDWR)
	f.pwrite("TE", 0)
	f.holds("TExt")
	same(t, filepath.Join(src, "lower/f"), "TExt")
	f.done()

	dir := harness.Disk(t)
	mountAt(t, dir, "overlay", "lowerdir="+m.Dir+"/lower:"+m.Dir+"/upper")
	open(t, filepath.Join(dir, "f"), unix.O_RDONLY).holds("TExt")
}

// TestNoDirect: a source without O_DIRECT. Alone such an open is served without;
// beside others that are passed through it fails as in the source.
func TestNoDirect(t *testing.T) {
	src, a, b := harness.Disk(t), harness.Disk(t), harness.Disk(t)
	mountAt(t, a, "ramfs", "")
	mountAt(t, b, "ramfs", "")
	put(t, filepath.Join(a, "f"), "text")
	mountAt(t, src, "overlay", "lowerdir="+a+":"+b)
	m := serve(t, src)
	d := m.plain("f", unix.O_RDONLY|unix.O_DIRECT)
	if n, err := unix.Pread(d.fd, page(t), 0); n != 4 || err != nil {
		t.Error(n, err)
	}
	d.done()
	m.settle()
	m.passed("f", unix.O_RDONLY).holds("text")
	for _, dir := range []string{src, m.Dir} {
		if _, err := unix.Open(filepath.Join(dir, "f"), unix.O_RDONLY|unix.O_DIRECT, 0); err != unix.EINVAL {
			t.Error(dir, err)
		}
	}
}
