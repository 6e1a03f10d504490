package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// gate is what an operation of a row may cost at most: requests, and system
// calls of the server.
type gate struct {
	row                string
	requests, syscalls float64
}

// A directory that is changed costs a GETATTR with each change where the kernel
// checks permissions (fs/fuse/dir.c: fuse_dir_changed, fuse_permission), and a
// close(2) a FLUSH where locks are the source's. The second column of the table
// of kinds is without both.
var gates = map[string][]gate{
	"": {
		{"create", 5, 18},
		{"stat cold", 1, 4},
		{"open+read+close", 3, 11},
		{"open+read+close cold", 4, 15},
		{"unlink", 2, 8},
		{"rm -r", 2.6, 13},
		{"find cold", 0.4, 3.2},
		{"untar", 9.8, 37.5},
	},
	"--local-locks --no-default-permissions": {
		{"create", 3, 13},
		{"stat cold", 1, 4},
		{"open+read+close", 2, 9},
		{"open+read+close cold", 3, 13},
		{"unlink", 1, 5},
		{"rm -r", 1.6, 10},
		{"find cold", 0.4, 3.2},
		{"untar", 8, 32.5},
	},
	"--nopassthrough": {
		{"create", 5, 16},
		{"open+read+close", 3, 9},
		{"open+read+close cold", 5, 16},
		{"untar", 12.2, 42.5},
	},
}

// TestGates counts what operations cost. No time is measured, and none is of
// any importance: names and attributes are cached for longer than it takes.
func TestGates(t *testing.T) {
	b := &bench{work: harness.Tmpfs(t), base: harness.Tmpfs(t), quick: true}
	trace, err := newTracer(b.work)
	if err != nil {
		t.Fatal(err)
	}
	b.trace = trace
	t.Cleanup(func() {
		if err := trace.close(); err != nil {
			t.Error(err)
		}
	})
	rows := map[string]*row{}
	all := allRows()
	for i := range all {
		rows[all[i].name] = &all[i]
	}
	for args, list := range gates {
		t.Run("passthrough "+args, func(t *testing.T) {
			sys := []system{ours("ours", harness.Binary(t), append(strings.Fields(args), "--entry-timeout=600", "--attr-timeout=600"))}
			for _, g := range list {
				res, err := b.runRow(rows[g.row], sys)
				if err != nil {
					t.Fatal(err)
				}
				c := &res.cells[0]
				// The directory's own lookup; FORGETs, which are read when they come.
				const some, more = 0.05, 0.4
				if c.requests > g.requests+some || c.syscalls > g.syscalls+more {
					t.Errorf("%s: %.2f requests and %.2f system calls an operation, more than %g and %g: %s",
						g.row, c.requests, c.syscalls, g.requests, g.syscalls, c.detail())
				}
				t.Logf("%s: %.2f requests, %.2f system calls", g.row, c.requests, c.syscalls)
			}
		})
	}
}

// TestMemory measures the server's memory: at rest, and when files of every kind
// have been made by 8 threads, with 128 KiB in some.
func TestMemory(t *testing.T) {
	const idle, peak = 4 << 20, 8 << 20
	src := harness.Tmpfs(t)
	s := ours("ours", harness.Binary(t), nil)
	mnt := filepath.Join(harness.Disk(t), "mnt")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	v, err := s.start(src, mnt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.stop(); err != nil {
			t.Error(err)
		}
	})
	u, err := v.usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("at rest %d KiB, %d threads", u.rss>>10, u.threads)
	if u.rss > idle {
		t.Errorf("%d KiB at rest, more than %d", u.rss>>10, idle>>10)
	}
	load(t, mnt)
	if u, err = v.usage(); err != nil {
		t.Fatal(err)
	}
	t.Logf("at most %d KiB, %d threads", u.peak>>10, u.threads)
	if u.peak > peak {
		t.Errorf("%d KiB at most, more than %d", u.peak>>10, peak>>10)
	}
}

func load(t *testing.T, dir string) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			sub := filepath.Join(dir, string(rune('a'+i)))
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Error(err)
				return
			}
			if err := calls(sub, 1000, func(name *byte) error { return makeFile(name, nil) }); err != nil {
				t.Error(err)
			}
			if i < 2 {
				if err := bulk(filepath.Join(sub, "bulk")); err != nil {
					t.Error(err)
				}
			}
			if err := os.RemoveAll(sub); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// bulk writes and reads 32 MiB.
func bulk(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const size = 128 << 10
	buf, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(buf)
	for at := int64(0); at < 32<<20; at += size {
		if _, err := unix.Pwrite(fd, buf, at); err != nil {
			return err
		}
		if _, err := unix.Pread(fd, buf, at); err != nil {
			return err
		}
	}
	return nil
}
