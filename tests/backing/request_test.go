package backing

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// page is memory that O_DIRECT takes.
func page(t testing.TB) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Munmap(b)) })
	return b[:4096]
}

// TestNoRequests: reads and writes of every kind make no request, on a disk and
// on tmpfs, whether CREATE or OPEN began it.
func TestNoRequests(t *testing.T) {
	for name, src := range map[string]string{"disk": harness.Disk(t), "tmpfs": harness.Tmpfs(t)} {
		t.Run(name, func(t *testing.T) {
			m := serve(t, src)
			b := page(t)
			for name, f := range map[string]*file{
				"created":  m.passed("f", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL),
				"opened":   m.passed("f", unix.O_RDWR),
				"direct":   m.passed("f", unix.O_RDWR|unix.O_DIRECT),
				"appended": m.passed("f", unix.O_RDWR|unix.O_APPEND),
				"synced":   m.passed("f", unix.O_RDWR|unix.O_DSYNC),
			} {
				f.pwrite(string(b), 0) // the first write asks for security.capability
				did := m.requests(func() {
					for i := range 250 {
						off := int64(i%16) * 4096
						f.pwriteAll(b, off)
						f.preadAll(b, off)
						if _, err := unix.Pwritev(f.fd, [][]byte{b, b}, off); err != nil {
							t.Error("pwritev:", err)
						}
						if _, err := unix.Preadv(f.fd, [][]byte{b, b}, 0); err != nil {
							t.Error("preadv:", err)
						}
					}
				})
				if len(did) > 0 {
					t.Errorf("%s: %d requests in 1,000 reads and writes: %q", name, len(did), did[:min(len(did), 10)])
				}
			}
		})
	}
}

func (f *file) pwriteAll(b []byte, off int64) {
	f.t.Helper()
	if n, err := unix.Pwrite(f.fd, b, off); n != len(b) || err != nil {
		f.t.Errorf("pwrite: %d, %v", n, err)
	}
}

func (f *file) preadAll(b []byte, off int64) {
	f.t.Helper()
	if n, err := unix.Pread(f.fd, b, off); n != len(b) || err != nil {
		f.t.Errorf("pread: %d, %v", n, err)
	}
}

// TestWithout: with the options that exclude it there are requests, and INIT does
// not have it.
func TestWithout(t *testing.T) {
	for _, args := range []string{"--nopassthrough", "-o nopassthrough", "--writeback", "--direct-io", "--cache=never",
		"--cache=metadata", "--parallel-direct-writes=always"} {
		t.Run(args, func(t *testing.T) {
			src := harness.Tmpfs(t)
			put(t, filepath.Join(src, "f"), "text")
			m := serve(t, src, strings.Fields(args)...)
			f := m.plain("f", unix.O_RDWR)
			did := m.requests(func() { f.holds("text") })
			if !slices.Contains(did, "READ") {
				t.Errorf("a read made %q", did)
			}
			for l := range strings.Lines(m.Output()) {
				if strings.HasPrefix(l, "< INIT") && strings.Contains(l, "|PASSTHROUGH") {
					t.Error(l)
				}
			}
		})
	}
}

// TestSmallFile: to open, read and close a file takes OPEN, and FLUSH at most.
func TestSmallFile(t *testing.T) {
	src := harness.Tmpfs(t)
	put(t, filepath.Join(src, "f"), "text")
	m := serve(t, src, "--attr-timeout=3600", "--entry-timeout=3600")
	stat(t, filepath.Join(m.Dir, "f"))
	did := m.requests(func() {
		f := open(t, filepath.Join(m.Dir, "f"), unix.O_RDONLY)
		b := make([]byte, 100)
		if n, err := unix.Read(f.fd, b); n != 4 || err != nil {
			t.Error(n, err)
		}
		if n, err := unix.Read(f.fd, b); n != 0 || err != nil {
			t.Error(n, err)
		}
		f.done()
	})
	if len(did) == 0 || did[0] != "OPEN" || len(did) > 2 {
		t.Errorf("%q", did)
	}
}

// TestMapped: mappings are of the source's pages, and coherent with write(2)
// through either.
func TestMapped(t *testing.T) {
	src := harness.Tmpfs(t)
	m := serve(t, src)
	f := m.passed("f", unix.O_RDWR|unix.O_CREAT)
	f.pwrite(strings.Repeat("-", 8192), 0)
	at, err := unix.MmapPtr(f.fd, 0, nil, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	b := unsafe.Slice((*byte)(at), 8192)
	g := m.passed("f", unix.O_RDWR)
	if did := m.requests(func() {
		g.pwrite("written", 100)
		if got := string(b[100:107]); got != "written" {
			t.Errorf("in the mapping: %q", got)
		}
		copy(b[5000:], "stored")
	}); len(did) > 0 {
		t.Errorf("%q", did)
	}
	want := []byte(strings.Repeat("-", 8192))
	copy(want[100:], "written")
	copy(want[5000:], "stored")
	g.holds(string(want))
	same(t, filepath.Join(src, "f"), string(want))
	s := open(t, filepath.Join(src, "f"), unix.O_RDWR)
	s.pwrite("below", 200)
	if got := string(b[200:205]); got != "below" {
		t.Errorf("in the mapping, from below: %q", got)
	}
	must(t, unix.Msync(b, unix.MS_SYNC))
	f.done()
	g.done()
	copy(b[300:], "after close") // the mapping keeps what it maps
	same(t, filepath.Join(src, "f"), string(b))
	must(t, unix.MunmapPtr(at, 8192))
}
