package writeback

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// mounted serves a new directory with --writeback.
func mounted(t *testing.T, opt ...string) (src, mnt string) {
	t.Helper()
	src = harness.Tmpfs(t)
	return src, harness.Serve(t, src, append(opt, "--writeback")...).Dir
}

func open(t *testing.T, name string, flags int) int {
	t.Helper()
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal("open", name, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func write(t *testing.T, fd int, s string, off int64) {
	t.Helper()
	n, err := 0, error(nil)
	if off < 0 {
		n, err = unix.Write(fd, []byte(s))
	} else {
		n, err = unix.Pwrite(fd, []byte(s), off)
	}
	if n != len(s) || err != nil {
		t.Fatal("write:", n, err)
	}
}

func fsync(t *testing.T, fd int) {
	t.Helper()
	if err := unix.Fsync(fd); err != nil {
		t.Fatal("fsync:", err)
	}
}

// holds fails unless the file, in the source, has this content.
func holds(t *testing.T, name, want string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil || string(b) != want {
		t.Errorf("%s: %d bytes, want %d (%v); they differ from byte %d", filepath.Base(name), len(b), len(want), err, differ(string(b), want))
	}
}

func differ(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestInForce: what is written stays with the kernel at first, or none of the
// other tests means anything.
func TestInForce(t *testing.T) {
	src, mnt := mounted(t)
	fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
	write(t, fd, "held back", 0)
	holds(t, src+"/f", "")
	fsync(t, fd)
	holds(t, src+"/f", "held back")
}

// TestAppendCreated: O_APPEND stays off the descriptor of a file that is made,
// too. Pages are sent in any order, and twice.
func TestAppendCreated(t *testing.T) {
	src, mnt := mounted(t)
	fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND)
	want := ""
	for i := range 300 {
		s := strings.Repeat(fmt.Sprintf("%07d ", i), 1+i%40)
		write(t, fd, s, -1)
		want += s
		if i%50 == 49 {
			fsync(t, fd) // the last page is sent now, and again when it is full
		}
	}
	unix.Close(fd)
	holds(t, src+"/f", want)
	fd = open(t, mnt+"/f", unix.O_WRONLY|unix.O_APPEND)
	write(t, fd, "end", -1)
	unix.Close(fd)
	holds(t, src+"/f", want+"end")
}

// TestWriteOnly: part of a page written by who may not read has the page read.
func TestWriteOnly(t *testing.T) {
	old := strings.Repeat("old ", 5000)
	for _, how := range []string{"open", "create"} {
		src, mnt := mounted(t)
		flags := unix.O_WRONLY
		if how == "open" {
			if err := os.WriteFile(src+"/f", []byte(old), 0o644); err != nil {
				t.Fatal(err)
			}
		} else {
			flags |= unix.O_CREAT
		}
		fd := open(t, mnt+"/f", flags)
		if how == "create" {
			write(t, fd, old, 0)
			if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil {
				t.Fatal(err)
			}
			fsync(t, fd)
			unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) // clean now: dropped
		}
		write(t, fd, "NEW", 5001)
		unix.Close(fd)
		holds(t, src+"/f", old[:5001]+"NEW"+old[5004:])
	}
}

// TestUnaligned: pages end where the file does, also when somebody opened it
// with O_DIRECT.
func TestUnaligned(t *testing.T) {
	src := harness.Ext4(t) // where O_DIRECT has its rules, unlike tmpfs
	mnt := harness.Serve(t, src, "--writeback").Dir
	fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
	direct := open(t, mnt+"/f", unix.O_RDWR|unix.O_DIRECT) // last: the kernel writes back through it
	want := strings.Repeat("x", 12345)
	write(t, fd, want, 0)
	fsync(t, fd)
	fsync(t, direct)
	holds(t, src+"/f", want)
}

// TestDirectThenBuffered: a buffered read after a direct write sees it, and a
// direct read sees what was written through the cache.
func TestDirectThenBuffered(t *testing.T) {
	for _, mode := range []string{"auto", "always"} {
		_, mnt := mounted(t, "--parallel-direct-writes="+mode)
		fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
		direct := open(t, mnt+"/f", unix.O_RDWR|unix.O_DIRECT)
		page, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(page)
		got := make([]byte, 4096)
		for i := range 20 {
			a, b := byte('a'+i), byte('A'+i)
			write(t, fd, strings.Repeat(string(rune(a)), 8192), 0)
			if n, err := unix.Pread(direct, page[:4096], 4096); n != 4096 || err != nil || page[0] != a || page[4095] != a {
				t.Fatalf("%s: direct read after a buffered write: %d %v %q, want %q", mode, n, err, page[0], a)
			}
			for j := range page[:4096] {
				page[j] = b
			}
			if n, err := unix.Pwrite(direct, page[:4096], 0); n != 4096 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := unix.Pread(fd, got, 0); n != 4096 || err != nil || !bytes.Equal(got, page[:4096]) {
				t.Fatalf("%s: buffered read after a direct write: %d %v %q, want %q", mode, n, err, got[0], b)
			}
		}
	}
}

// TestSeek: SEEK_DATA and SEEK_HOLE see what has not been written back.
func TestSeek(t *testing.T) {
	for _, threads := range []string{"10", "1"} {
		_, mnt := mounted(t, "--num-threads="+threads)
		fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
		if err := unix.Ftruncate(fd, 1<<20); err != nil {
			t.Fatal(err)
		}
		write(t, fd, strings.Repeat("x", 65536), 512<<10)
		for _, c := range []struct {
			whence    int
			off, want int64
		}{
			{unix.SEEK_DATA, 0, 512 << 10},
			{unix.SEEK_HOLE, 0, 0},
			{unix.SEEK_HOLE, 512 << 10, 576 << 10},
			{unix.SEEK_DATA, 550 << 10, 550 << 10},
		} {
			if got, err := unix.Seek(fd, c.off, c.whence); got != c.want || err != nil {
				t.Errorf("%s threads, whence %d from %d: %d %v, want %d", threads, c.whence, c.off, got, err, c.want)
			}
		}
		// behind what the source has of the file
		write(t, fd, "end", 2<<20)
		if got, err := unix.Seek(fd, 1<<20, unix.SEEK_DATA); got != 2<<20 || err != nil {
			t.Errorf("%s threads: data behind the source's end: %d %v", threads, got, err)
		}
	}
}

// TestSeekMapped: ... nor what was written through a mapping, whoever writes back.
func TestSeekMapped(t *testing.T) {
	for _, opt := range [][]string{{}, {"--writeback"}, {"--writeback", "--parallel-direct-writes=always"}} {
		for _, flags := range []int{0, unix.O_DIRECT} {
			src := harness.Tmpfs(t)
			mnt := harness.Serve(t, src, opt...).Dir
			fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR|flags)
			if err := unix.Ftruncate(fd, 1<<20); err != nil {
				t.Fatal(err)
			}
			b, err := unix.Mmap(fd, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			b[192<<10] = 'x'
			if got, err := unix.Seek(fd, 0, unix.SEEK_DATA); got != 192<<10 || err != nil {
				t.Errorf("%q, flags %#x: %d %v", opt, flags, got, err)
			}
			if err := unix.Munmap(b); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSeekers: those that wait for what the kernel holds leave room for it.
func TestSeekers(t *testing.T) {
	_, mnt := mounted(t)
	const n = 200
	done := make(chan error, n)
	for i := range n {
		fd := open(t, fmt.Sprint(mnt, "/", i), unix.O_CREAT|unix.O_RDWR)
		write(t, fd, strings.Repeat("x", 10000), 0)
		go func() {
			got, err := unix.Seek(fd, 0, unix.SEEK_HOLE)
			if err == nil && got < 10000 {
				err = fmt.Errorf("a hole at %d", got)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestTimes: what utimensat(2) sets is not overwritten when older data are
// written back, and the last write's time is what the source has in the end.
func TestTimes(t *testing.T) {
	src, mnt := mounted(t)
	fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
	write(t, fd, "data", 0)
	set := []unix.Timespec{{Sec: 1000, Nsec: 1}, {Sec: 2000, Nsec: 2}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, mnt+"/f", set, 0); err != nil {
		t.Fatal(err)
	}
	fsync(t, fd)
	unix.Close(fd)
	for _, name := range []string{mnt + "/f", src + "/f"} {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil || st.Mtim != set[1] {
			t.Errorf("%s: mtime %v, want %v (%v)", name, st.Mtim, set[1], err)
		}
	}
	holds(t, src+"/f", "data")

	fd = open(t, mnt+"/f", unix.O_RDWR)
	before := time.Now().Add(-time.Second)
	write(t, fd, "more", 4)
	var seen, st unix.Stat_t
	if err := unix.Fstat(fd, &seen); err != nil || time.Unix(seen.Mtim.Unix()).Before(before) {
		t.Errorf("mtime after a write: %v %v", seen.Mtim, err)
	}
	unix.Close(fd)
	if err := unix.Stat(src+"/f", &st); err != nil || st.Mtim != seen.Mtim || st.Size != 8 {
		t.Errorf("in the source: mtime %v size %d, the kernel said %v (%v)", st.Mtim, st.Size, seen.Mtim, err)
	}
}

// TestAppendOnly: a file that takes appends only (chattr +a) takes them.
func TestAppendOnly(t *testing.T) {
	src := harness.Ext4(t)
	if err := os.WriteFile(src+"/f", []byte("one "), 0o644); err != nil {
		t.Fatal(err)
	}
	own := open(t, src+"/f", unix.O_RDONLY)
	const appendOnly = 0x20 // FS_APPEND_FL
	if err := unix.IoctlSetPointerInt(own, unix.FS_IOC_SETFLAGS, appendOnly); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.IoctlSetPointerInt(own, unix.FS_IOC_SETFLAGS, 0) })
	mnt := harness.Serve(t, src, "--writeback").Dir
	fd := open(t, mnt+"/f", unix.O_WRONLY|unix.O_APPEND)
	write(t, fd, "two ", -1)
	write(t, fd, "three", -1)
	fsync(t, fd)
	holds(t, src+"/f", "one two three")
}

// TestTruncate: what lies behind a new end is gone, whatever was on its way.
func TestTruncate(t *testing.T) {
	src, mnt := mounted(t)
	fd := open(t, mnt+"/f", unix.O_CREAT|unix.O_RDWR)
	for i := range 30 {
		write(t, fd, strings.Repeat("x", 300000), 0)
		size := int64(i * 7001)
		if err := unix.Ftruncate(fd, size); err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(fd, size+5000); err != nil {
			t.Fatal(err)
		}
		fsync(t, fd)
		holds(t, src+"/f", strings.Repeat("x", int(size))+strings.Repeat("\x00", 5000))
	}
}

// TestDirectHole: a direct read of a hole is not the end of the file because what lies
// behind has not been written back.
func TestDirectHole(t *testing.T) {
	for _, mode := range []string{"auto", "always"} {
		_, mnt := mounted(t, "--parallel-direct-writes="+mode)
		for i := range 20 {
			name := fmt.Sprint(mnt, "/", i)
			fd := open(t, name, unix.O_CREAT|unix.O_RDWR)
			direct := open(t, name, unix.O_RDWR|unix.O_DIRECT)
			write(t, fd, "first", 0)
			write(t, fd, "last", 1<<20)
			m, err := unix.Mmap(direct, 0, 1<<20, unix.PROT_READ, unix.MAP_SHARED)
			if err != nil {
				t.Fatal(err)
			}
			if m[600<<10] != 0 { // read as a page, which is locked meanwhile
				t.Error("data in the hole")
			}
			if err := unix.Munmap(m); err != nil {
				t.Error(err)
			}
			b, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(b)
			b[1000] = 'x'
			if n, err := unix.Pread(direct, b, 0); n != len(b) || err != nil || string(b[:6]) != "first\x00" || b[1000] != 0 {
				t.Fatalf("%s: %d bytes read, want %d: %v", mode, n, len(b), err)
			}
			if n, err := unix.Pread(direct, b, 1<<20); n != 4 || err != nil || string(b[:4]) != "last" {
				t.Fatalf("%s: %d bytes read at the end, want 4: %v", mode, n, err)
			}
		}
	}
}
