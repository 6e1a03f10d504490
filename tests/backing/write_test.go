package backing

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// caps is a security.capability (VFS_CAP_REVISION_2) of CAP_NET_RAW.
const caps = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// TestKillpriv: another user's write takes the set-id bits of a file that was
// given them while it was passed through, and root's and anybody's write takes
// its capabilities. Root's write to a file that has the bits leaves them.
func TestKillpriv(t *testing.T) {
	src := harness.Disk(t)
	path := filepath.Join(src, "f")
	put(t, path, "text")
	must(t, unix.Chmod(path, 0o666))
	m := serve(t, src, "--attr-timeout=3600")
	seen := filepath.Join(m.Dir, "f")
	user := harness.As(t, harness.Cred{Uid: 1000, Gid: 1000})
	var f *file
	user.Do(func() { f = m.passed("f", unix.O_RDWR) })
	for _, write := range []struct {
		name string
		do   func(i int)
	}{
		{"write", func(i int) { f.pwrite("x", int64(i)) }},
		{"truncate", func(i int) { must(t, unix.Ftruncate(f.fd, int64(100-i))) }},
		{"allocate", func(i int) { must(t, unix.Fallocate(f.fd, 0, 0, int64(1000+i))) }},
	} {
		// Set through the mount, so that the kernel knows, and behind its back.
		for i, give := range []string{seen, path, seen, path} {
			must(t, unix.Chmod(give, 0o6777))
			must(t, unix.Setxattr(give, "security.capability", []byte(caps), 0))
			user.Do(func() { write.do(i) })
			if mode := stat(t, path).Mode & 0o7777; mode != 0o777 {
				t.Errorf("%s, given through %s: mode %o", write.name, give, mode)
			}
			if mode := stat(t, seen).Mode & 0o7777; mode != 0o777 {
				t.Errorf("%s, given through %s: mode %o in the mount", write.name, give, mode)
			}
			if _, err := unix.Getxattr(path, "security.capability", nil); err != unix.ENODATA {
				t.Errorf("%s, given through %s: capabilities %v", write.name, give, err)
			}
		}
	}
	user.Do(func() {
		stat(t, seen) // from here on the next write asks once
		f.pwrite("x", 0)
	})
	if did := m.requests(func() {
		user.Do(func() {
			for range 1000 {
				f.pwrite("x", 0)
			}
		})
	}); len(did) > 0 {
		t.Errorf("1,000 writes made %q", did)
	}
	f.done()
	m.settle()

	must(t, unix.Chmod(path, 0o6777))
	g := m.plain("f", unix.O_RDWR)
	g.pwrite("root", 0)
	if mode := stat(t, path).Mode & 0o7777; mode != 0o6777 {
		t.Errorf("root wrote: mode %o", mode)
	}
	g.done()
}

// TestAppend: O_APPEND is the end of the file as it is, for two open files, and
// for one that appends below.
func TestAppend(t *testing.T) {
	src := harness.Tmpfs(t)
	m := serve(t, src)
	fs := []*file{
		m.passed("f", unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND),
		m.passed("f", unix.O_WRONLY|unix.O_APPEND),
		open(t, filepath.Join(src, "f"), unix.O_WRONLY|unix.O_APPEND),
	}
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() {
			for n := range 300 {
				f.write(fmt.Sprintf("%d %d\n", i, n))
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(filepath.Join(m.Dir, "f"))
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	var want []string
	for i := range fs {
		for n := range 300 {
			want = append(want, fmt.Sprint(i, n))
		}
	}
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
	// Where it ended is where the descriptor stands.
	fs[0].write("!")
	if at, err := unix.Seek(fs[0].fd, 0, unix.SEEK_CUR); at != int64(len(b)+1) || err != nil {
		t.Error(at, err)
	}
	// Set later, on a descriptor that did not have it.
	f := m.passed("f", unix.O_RDWR)
	_, err = unix.FcntlInt(uintptr(f.fd), unix.F_SETFL, unix.O_APPEND)
	must(t, err)
	f.write("?")
	f.holds(string(b) + "!?")
}

// TestTruncate: the size is one, whoever sets it.
func TestTruncate(t *testing.T) {
	src := harness.Tmpfs(t)
	below := filepath.Join(src, "f")
	put(t, below, "0123456789")
	m := serve(t, src, "--attr-timeout=3600")
	seen := filepath.Join(m.Dir, "f")
	f := m.passed("f", unix.O_RDWR)
	must(t, unix.Ftruncate(f.fd, 8))
	f.holds("01234567")
	must(t, unix.Truncate(seen, 6))
	f.holds("012345")
	f.pwrite("x", 7)
	f.holds("012345\x00x")
	g := m.passed("f", unix.O_WRONLY|unix.O_TRUNC)
	f.holds("")
	g.write("abc")
	f.holds("abc")
	if end, err := unix.Seek(f.fd, 0, unix.SEEK_END); end != 3 || err != nil {
		t.Error(end, err)
	}
	same(t, below, "abc")
	// As in the source itself, what is gone reads as nothing.
	must(t, unix.Truncate(below, 1))
	b := make([]byte, 10)
	if n, err := unix.Pread(f.fd, b, 0); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// TestAttributes: what writes and reads change shows, however long attributes
// are trusted.
func TestAttributes(t *testing.T) {
	src := harness.Disk(t)
	below := filepath.Join(src, "f")
	put(t, below, "text")
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, below, []unix.Timespec{{Sec: 1e9}, {Sec: 1e9 + 1}}, 0))
	m := serve(t, src, "--attr-timeout=3600", "--entry-timeout=3600")
	f := m.passed("f", unix.O_RDWR)
	check := func(after string) {
		t.Helper()
		want := stat(t, below)
		for _, got := range []unix.Stat_t{f.stat(), stat(t, filepath.Join(m.Dir, "f"))} {
			if got.Size != want.Size || got.Blocks != want.Blocks || got.Mtim != want.Mtim || got.Ctim != want.Ctim || got.Atim != want.Atim {
				t.Errorf("after %s: %+v, want %+v", after, got, want)
			}
		}
	}
	check("open")
	f.holds("text")
	check("read")
	if st := f.stat(); st.Atim.Sec == 1e9 {
		t.Error("reading has not changed atime")
	}
	f.pwrite(strings.Repeat("x", 1<<20), 0)
	check("write")
	must(t, unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<19))
	check("punching a hole")
	must(t, unix.Fsync(f.fd))
	check("fsync")
	at, err := unix.Seek(f.fd, 0, unix.SEEK_DATA)
	if at != 1<<19 || err != nil {
		t.Errorf("SEEK_DATA: %d, %v", at, err)
	}
}

// TestCopies: what copies within the kernel copies what is there.
func TestCopies(t *testing.T) {
	src := harness.Disk(t)
	m := serve(t, src)
	text := strings.Repeat("0123456789abcdef", 1<<14)
	f := m.passed("f", unix.O_RDWR|unix.O_CREAT)
	f.pwrite(text, 0)
	for name, copy := range map[string]func(to *file) (int, error){
		"copy_file_range": func(to *file) (int, error) {
			var a, b int64
			return unix.CopyFileRange(f.fd, &a, to.fd, &b, len(text), 0)
		},
		"sendfile": func(to *file) (int, error) {
			var off int64
			return unix.Sendfile(to.fd, f.fd, &off, len(text))
		},
		"splice": func(to *file) (int, error) {
			p := make([]int, 2)
			must(t, unix.Pipe2(p, unix.O_CLOEXEC))
			defer unix.Close(p[0])
			defer unix.Close(p[1])
			var a, b int64
			for int(b) < len(text) {
				n, err := unix.Splice(f.fd, &a, p[1], nil, 1<<16, 0)
				if err != nil || n == 0 {
					return int(b), err
				}
				for end := b + int64(n); b < end; {
					if _, err := unix.Splice(p[0], nil, to.fd, &b, int(end-b), 0); err != nil {
						return int(b), err
					}
				}
			}
			return int(b), nil
		},
	} {
		to := m.passed(name, unix.O_RDWR|unix.O_CREAT)
		if n, err := copy(to); n != len(text) || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		to.holds(text)
		same(t, filepath.Join(src, name), text)
	}
}

// TestNames: the file is the file, whatever becomes of its name, and a name that
// is another file's has another's data.
func TestNames(t *testing.T) {
	src := harness.Tmpfs(t)
	put(t, filepath.Join(src, "f"), "old")
	put(t, filepath.Join(src, "new"), "new")
	m := serve(t, src)
	f := m.passed("f", unix.O_RDWR)
	must(t, unix.Rename(filepath.Join(m.Dir, "f"), filepath.Join(m.Dir, "g")))
	f.holds("old")
	m.passed("g", unix.O_RDONLY).holds("old")
	must(t, unix.Rename(filepath.Join(m.Dir, "new"), filepath.Join(m.Dir, "g")))
	f.pwrite("OLD", 0)
	f.holds("OLD")
	m.passed("g", unix.O_RDONLY).holds("new")
	tmp := m.passed(".", unix.O_RDWR|unix.O_TMPFILE)
	tmp.write("none")
	tmp.holds("none")
}

// TestBusy: who writes a program cannot run it, and who runs it keeps others from
// writing; data and program are read through the mount.
func TestBusy(t *testing.T) {
	src := harness.Disk(t)
	program, err := os.ReadFile("/bin/sleep")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(src, "sleep"), program, 0o755))
	m := serve(t, src)
	path := filepath.Join(m.Dir, "sleep")
	f := m.passed("sleep", unix.O_RDWR)
	if err := exec.Command(path, "0").Run(); err == nil || !strings.Contains(err.Error(), "text file busy") {
		t.Error("while it was being written:", err)
	}
	f.done()
	cmd := exec.Command(path, "1000")
	must(t, cmd.Start())
	if _, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != unix.ETXTBSY {
		t.Error("while it ran:", err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	m.passed("sleep", unix.O_WRONLY)
}

// TestReadOnly: a read-only mount reads without requests.
func TestReadOnly(t *testing.T) {
	src := harness.Tmpfs(t)
	put(t, filepath.Join(src, "f"), "text")
	m := serve(t, src, "--readonly")
	m.passed("f", unix.O_RDONLY).holds("text")
	if _, err := unix.Open(filepath.Join(m.Dir, "f"), unix.O_RDWR, 0); err != unix.EROFS {
		t.Error(err)
	}
}

// TestLastBlock: who writes directly and ends with less than a block takes O_DIRECT
// away for it, as dd does; that works where direct I/O must be aligned.
func TestLastBlock(t *testing.T) {
	src := harness.Ext4(t)
	m := serve(t, src)
	f := m.passed("f", unix.O_WRONLY|unix.O_CREAT|unix.O_DIRECT)
	g := m.passed("f", unix.O_RDONLY)
	b := page(t)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	f.pwriteAll(b, 0)
	_, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETFL, 0)
	must(t, err)
	f.pwriteAll(b[:100], 4096)
	want := string(b) + string(b[:100])
	g.holds(want)
	same(t, filepath.Join(src, "f"), want)
	must(t, unix.Fsync(f.fd))
	// The other way round is no harm.
	h := m.passed("f", unix.O_RDWR)
	_, err = unix.FcntlInt(uintptr(h.fd), unix.F_SETFL, unix.O_DIRECT)
	must(t, err)
	h.pwriteAll(b, 4096)
	g.holds(string(b) + string(b))
}
