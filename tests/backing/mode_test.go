package backing

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestMixing: all open files of an inode are passed through, with one id, or none
// is (fs/fuse/iomode.c). A file with a set-id bit is not; what is open decides.
func TestMixing(t *testing.T) {
	src := harness.Tmpfs(t)
	path := filepath.Join(src, "f")
	put(t, path, "text")
	m := serve(t, src)

	a, id := m.open("f", unix.O_RDWR)
	must(t, unix.Chmod(path, 0o6755))
	must(t, unix.Link(path, path+"2"))
	for _, name := range []string{"f", "f2"} {
		b, id2 := m.open(name, unix.O_RDONLY)
		if id == "0" || id != id2 {
			t.Errorf("backing ids %s and %s", id, id2)
		}
		b.holds("text")
		b.done()
	}
	a.done()
	m.settle()

	b := m.plain("f", unix.O_RDWR)
	must(t, unix.Chmod(path, 0o755))
	c := m.plain("f", unix.O_RDWR)
	b.pwrite("TE", 0)
	c.holds("TExt")
	b.done()
	m.settle()
	d := m.plain("f", unix.O_RDONLY)
	c.done()
	d.done()
	m.settle()
	m.passed("f", unix.O_RDONLY).holds("TExt")
}

// settle waits until what is closed has been released.
func (m *mount) settle() {
	m.t.Helper()
	for range 2 { // RELEASE is sent in the background, before what comes later
		m.mark()
	}
	within(m.t, "RELEASE", func() bool {
		out := m.Output()
		opens := strings.Count(out, "\n< OPEN ") + strings.Count(out, "\n< CREATE ")
		return opens == m.openFiles()+strings.Count(out, "\n< RELEASE ")
	})
}

// openFiles is the number of files that this process has open on the mount.
func (m *mount) openFiles() (n int) {
	m.t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(m.t, err)
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, m.Dir+"/") {
			n++
		}
	}
	return n
}

// TestTurns opens, uses and closes a few files at random from many threads while
// set-id bits come and go, so that the last release of an inode and the next open
// meet in every way: no open fails, and no data is lost.
func TestTurns(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatal("FUSEWIRE_SEED:", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FUSEWIRE_SEED=%d", seed)
		}
	})
	turns := 1500
	if s := os.Getenv("FUSEWIRE_LONG"); s != "" {
		f, err := strconv.ParseFloat(s, 64)
		must(t, err)
		turns = int(float64(turns) * f)
	}
	src := harness.Tmpfs(t)
	m := harness.Serve(t, src, "-o", "allow_other,suid")
	const files, threads = 3, 8
	for i := range files {
		put(t, fmt.Sprintf("%s/%d", src, i), strings.Repeat("\x00", threads*8))
	}
	var wg sync.WaitGroup
	var failed atomic.Bool
	for me := range threads {
		r := rand.New(rand.NewPCG(seed, uint64(me)))
		wg.Go(func() {
			last := [files]uint64{}
			for n := uint64(1); n <= uint64(turns) && !failed.Load(); n++ {
				i := r.IntN(files)
				if err := turn(r, fmt.Sprintf("%s/%d", src, i), fmt.Sprintf("%s/%d", m.Dir, i), me, &last[i], n); err != nil {
					failed.Store(true)
					t.Errorf("thread %d, turn %d, file %d: %v", me, n, i, err)
				}
			}
		})
	}
	wg.Wait()
}

// turn is one use of a file: thread me reads the number it wrote last, at a place
// of its own, and writes another.
func turn(r *rand.Rand, below, path string, me int, last *uint64, n uint64) error {
	if r.IntN(8) == 0 {
		mode := []uint32{0o644, 0o2755, 0o4755, 0o644}[r.IntN(4)]
		if err := unix.Chmod([]string{below, path}[r.IntN(2)], mode); err != nil {
			return err
		}
	}
	flags := []int{unix.O_RDWR, unix.O_RDWR | unix.O_DSYNC, unix.O_RDWR | unix.O_CREAT}[r.IntN(3)]
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	var b [8]byte
	if _, err = unix.Pread(fd, b[:], int64(me*8)); err == nil {
		if got := uint64(b[0]) | uint64(b[1])<<8; got != *last {
			err = fmt.Errorf("read %d, wrote %d", got, *last)
		}
	}
	if err == nil {
		b[0], b[1] = byte(n), byte(n>>8)
		_, err = unix.Pwrite(fd, b[:], int64(me*8))
		*last = n & 0xffff
	}
	if err == nil && r.IntN(4) == 0 { // a second open file, closed first or last
		fd2, err2 := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err2 == nil {
			if r.IntN(2) == 0 {
				fd, fd2 = fd2, fd
			}
			err2 = unix.Close(fd2)
		}
		err = err2
	}
	if err2 := unix.Close(fd); err == nil {
		err = err2
	}
	return err
}

// TestIdsEnd: an id goes with the last open file, for otherwise the kernel would
// keep the blocks of a file that has no name any more.
func TestIdsEnd(t *testing.T) {
	src := harness.Tmpfs(t)
	m := serve(t, src)
	used := func() uint64 {
		var st unix.Statfs_t
		must(t, unix.Statfs(src, &st))
		return st.Blocks - st.Bfree
	}
	before := used()
	text := strings.Repeat("x", 1<<20)
	for i := range 20 {
		f := m.passed("f", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
		f.pwrite(text, 0)
		g := m.passed("f", unix.O_RDONLY)
		if i%2 == 0 {
			f, g = g, f
		}
		f.done()
		g.holds(text)
		must(t, unix.Unlink(filepath.Join(m.Dir, "f")))
		g.holds(text) // as long as it is open
		g.done()
	}
	within(t, "the blocks are free again", func() bool { return used() <= before+1 })
}

// TestCap: there are as many ids as descriptors are allowed, not more, and the
// files beyond are served without.
func TestCap(t *testing.T) {
	src := harness.Tmpfs(t)
	m := serveWith(t, &harness.Options{}, src, "--rlimit-nofile=128")
	var files []*file
	passed := 0
	for i := range 90 {
		name := fmt.Sprint(i)
		put(t, filepath.Join(src, name), name)
		f, id := m.open(name, unix.O_RDWR)
		if id != "0" {
			passed++
		}
		files = append(files, f)
	}
	if passed != 64 { // 128 less what is kept free
		t.Errorf("%d of 90 are passed through", passed)
	}
	for i, f := range files {
		f.holds(fmt.Sprint(i))
		f.done()
	}
	within(t, "others get their ids", func() bool {
		f, id := m.open("89", unix.O_RDWR)
		f.holds("89")
		f.done()
		return id != "0"
	})
}

// TestUnprivileged: a server that may not do it serves without, and says so once.
func TestUnprivileged(t *testing.T) {
	harness.OpenFuse(t)
	user := &harness.Cred{Uid: 1000, Gid: 1000}
	src := harness.Tmpfs(t)
	must(t, os.Chown(src, 1000, 1000))
	for i := range 3 {
		put(t, fmt.Sprintf("%s/%d", src, i), "text")
	}
	m := serveWith(t, &harness.Options{User: user}, src)
	harness.As(t, *user).Do(func() {
		for i := range 3 {
			m.plain(fmt.Sprint(i), unix.O_RDONLY).holds("text")
		}
	})
	if n := strings.Count(m.Output(), "no kernel passthrough (it needs CAP_SYS_ADMIN)"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
