package writeback

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// The same for the cache of our own, --wb-cache.

// times is FUSEWIRE_LONG, or 1.
func times(t *testing.T) int {
	s := os.Getenv("FUSEWIRE_LONG")
	if s == "" {
		return 1
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("FUSEWIRE_LONG=%s is not a factor", s)
	}
	return n
}

// TestOwnInForce: what is written stays with the server at first, is in the source
// after close(2), or with lazy when its time has come, and in any case when the
// mount has ended.
func TestOwnInForce(t *testing.T) {
	for _, mode := range []string{"on", "lazy"} {
		src := harness.Tmpfs(t)
		m := harness.Serve(t, src, "--wb-cache="+mode, "--wb-cache-age=3600")
		fd := open(t, m.Dir+"/f", unix.O_CREAT|unix.O_RDWR)
		write(t, fd, "held back", 0)
		holds(t, src+"/f", "")
		holds(t, m.Dir+"/f", "held back") // opened, read and closed: what others do does not matter
		other := open(t, m.Dir+"/f", unix.O_RDONLY)
		var st unix.Stat_t
		if err := unix.Fstat(other, &st); err != nil || st.Size != 9 {
			t.Error(st.Size, err)
		}
		unix.Close(other)
		if mode == "on" {
			holds(t, src+"/f", "held back") // that close(2) was one, too
			write(t, fd, "HELD", 0)
			holds(t, src+"/f", "held back")
			unix.Close(fd)
			holds(t, src+"/f", "HELD back")
			continue
		}
		unix.Close(fd)
		holds(t, src+"/f", "")
		fd = open(t, m.Dir+"/g", unix.O_CREAT|unix.O_RDWR)
		write(t, fd, "synced", 0)
		fsync(t, fd)
		holds(t, src+"/g", "synced")
		unix.Close(fd)
		if err := unix.Rename(m.Dir+"/f", m.Dir+"/g"); err != nil {
			t.Fatal(err)
		}
		holds(t, src+"/g", "held back")
		fd = open(t, m.Dir+"/h", unix.O_CREAT|unix.O_RDWR)
		write(t, fd, "the end", 0)
		unix.Close(fd)
		holds(t, src+"/h", "")
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
		holds(t, src+"/h", "the end")
	}
}

// TestOwnAge: nobody has to ask.
func TestOwnAge(t *testing.T) {
	src := harness.Tmpfs(t)
	m := harness.Serve(t, src, "--wb-cache=lazy", "--wb-cache-age=0.05")
	fd := open(t, m.Dir+"/f", unix.O_CREAT|unix.O_RDWR)
	write(t, fd, "old", 0)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(src + "/f"); string(b) == "old" && err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatalf("the source has %q (%v)", b, err)
		}
	}
}

// TestOwnProgram: a random program, with buffered and direct descriptors, one that
// appends and a mapping, against an array.
func TestOwnProgram(t *testing.T) {
	for n, opt := range [][]string{
		{"--wb-cache=on"},
		{"--wb-cache=lazy", "--wb-cache-size=1M", "--wb-cache-age=0.01"},
		{"--wb-cache=lazy", "--wb-cache-size=1M", "--direct-io"},
		{"--wb-cache=on", "--wb-cache-size=1M", "--parallel-direct-writes=always", "--cache=always"},
	} {
		t.Run(strings.Join(opt, " "), func(t *testing.T) {
			seed := uint64(n)
			if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
				seed, _ = strconv.ParseUint(s, 0, 64)
			}
			t.Logf("seed %d", seed)
			src := harness.Tmpfs(t)
			mnt := harness.Serve(t, src, opt...).Dir
			p := &array{t: t, rng: rand.New(rand.NewPCG(seed, 4)), name: mnt + "/f"}
			p.run(1500 * times(t))
			for _, fd := range p.fds {
				unix.Close(fd)
			}
			holds(t, mnt+"/f", string(p.want))
			if !strings.Contains(opt[0], "lazy") {
				holds(t, src+"/f", string(p.want))
			}
		})
	}
}

// array is a file and what it is to hold.
type array struct {
	t    *testing.T
	rng  *rand.Rand
	name string
	fds  []int // buffered, direct, appending
	want []byte
	page []byte
	log  []string
}

func (p *array) fail(format string, arg ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), strings.Join(p.log[max(0, len(p.log)-30):], "\n"))
}

func (p *array) run(steps int) {
	t := p.t
	for _, flags := range []int{0, unix.O_DIRECT, unix.O_APPEND} {
		p.fds = append(p.fds, open(t, p.name, unix.O_CREAT|unix.O_RDWR|flags))
	}
	page, err := unix.Mmap(-1, 0, 1<<18, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	p.page = page
	defer unix.Munmap(page)
	for range steps {
		p.step()
	}
	p.read(0, 0, len(p.want)+1)
}

func (p *array) step() {
	off, n := p.rng.IntN(300<<10), 1+p.rng.IntN(60<<10)
	fd := p.rng.IntN(2)
	if fd == 1 {
		off, n = off&^4095, (n+4095)&^4095
	}
	k := p.rng.IntN(16)
	p.log = append(p.log, fmt.Sprintf("%d: by %d, %d at %d (size %d)", k, fd, n, off, len(p.want)))
	switch {
	case k < 5:
		b := p.page[:n]
		x := p.rng.Uint64()
		for i := 0; i+8 <= n; i += 8 {
			x = x*6364136223846793005 + 1
			binary.LittleEndian.PutUint64(b[i:], x)
		}
		if got, err := unix.Pwrite(p.fds[fd], b, int64(off)); got != n || err != nil {
			p.fail("write: %d %v", got, err)
		}
		p.put(b, off)
	case k == 5:
		b := bytes.Repeat([]byte{byte(p.rng.Uint32())}, 1+n/20)
		if got, err := unix.Write(p.fds[2], b); got != len(b) || err != nil {
			p.fail("append: %d %v", got, err)
		}
		p.put(b, len(p.want))
	case k < 10:
		p.read(fd, off, n)
	case k == 10:
		if err := unix.Ftruncate(p.fds[fd], int64(off)); err != nil {
			p.fail("truncate: %v", err)
		}
		p.resize(off)
	case k == 11:
		if err := unix.Fallocate(p.fds[0], unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n)); err != nil {
			p.fail("punch: %v", err)
		}
		if off < len(p.want) {
			clear(p.want[off:min(off+n, len(p.want))])
		}
	case k == 12:
		if err := unix.Fsync(p.fds[fd]); err != nil {
			p.fail("fsync: %v", err)
		}
	case k == 13:
		var st unix.Stat_t
		if err := unix.Stat(p.name, &st); err != nil || st.Size != int64(len(p.want)) {
			p.fail("size %d: %v", st.Size, err)
		}
	case k == 14 && len(p.want) > 0: // by a mapping
		b, err := unix.Mmap(p.fds[0], 0, len(p.want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			p.fail("mmap: %v", err)
		}
		if !bytes.Equal(b, p.want) {
			p.fail("the mapping differs from byte %d on", differ(string(b), string(p.want)))
		}
		i := p.rng.IntN(len(b))
		b[i]++
		p.want[i]++
		if err := unix.Msync(b, unix.MS_SYNC); err != nil {
			p.fail("msync: %v", err)
		}
		unix.Munmap(b)
	default:
		to := p.rng.IntN(300 << 10)
		a, z := int64(off), int64(to)
		if n = min(n, len(p.want)-off); n <= 0 || off < to+n && to < off+n {
			return
		}
		got, err := unix.CopyFileRange(p.fds[0], &a, p.fds[0], &z, n, 0)
		if err != nil || got <= 0 {
			p.fail("copy: %d %v", got, err)
		}
		p.put(bytes.Clone(p.want[off:off+got]), to)
	}
}

func (p *array) resize(n int) {
	if n <= len(p.want) {
		p.want = p.want[:n:n]
	} else {
		p.want = append(p.want, make([]byte, n-len(p.want))...)
	}
}

func (p *array) put(b []byte, off int) {
	if end := off + len(b); end > len(p.want) {
		p.resize(end)
	}
	copy(p.want[off:], b)
}

func (p *array) read(fd, off, n int) {
	p.t.Helper()
	b := make([]byte, n)
	if fd == 1 {
		b = p.page[:n]
	}
	got, err := unix.Pread(p.fds[fd], b, int64(off))
	var want []byte
	if off < len(p.want) {
		want = p.want[off:min(off+n, len(p.want))]
	}
	if err != nil || !bytes.Equal(b[:max(got, 0)], want) {
		p.fail("read %d at %d: %d bytes, want %d (%v); they differ from byte %d on", n, off, got, len(want), err, differ(string(b[:max(got, 0)]), string(want)))
	}
}

// TestOwnCrash kills the server while records are appended and now and then synced:
// what was synced is there, and what is there is what was written, from the beginning
// on and without holes.
func TestOwnCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 12 * times(t) {
		crash(t, rng, i)
	}
}

func crash(t *testing.T, rng *rand.Rand, i int) {
	src := harness.Tmpfs(t)
	mode := []string{"--wb-cache=on", "--wb-cache=lazy"}[i%2]
	m := harness.ServeWith(t, &harness.Options{Killed: true}, src, mode, "--wb-cache-size=1M", "--wb-cache-age=0.002")
	fd, err := unix.Open(m.Dir+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	const size = 1000
	var written, synced atomic.Int64
	ended := make(chan bool)
	go func() {
		defer close(ended)
		b := make([]byte, size)
		for n := int64(0); ; n++ {
			fill(b, n)
			written.Store(n + 1)
			if _, err := unix.Write(fd, b); err != nil {
				return
			}
			if n%37 == 36 {
				if unix.Fsync(fd) != nil {
					return
				}
				synced.Store(n + 1)
			}
		}
	}()
	for synced.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(rng.IntN(20000)) * time.Microsecond)
	_ = m.Process.Kill()
	<-m.Done()
	<-ended
	unix.Close(fd)
	got, err := os.ReadFile(src + "/f")
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(got)); n < synced.Load()*size || n > written.Load()*size {
		t.Errorf("crash %d: %d bytes are left; %d records of %d were synced, %d written", i, n, synced.Load(), size, written.Load())
	}
	b := make([]byte, size)
	for n := int64(0); len(got) > 0; n++ {
		fill(b, n)
		k := min(len(got), size)
		if !bytes.Equal(got[:k], b[:k]) {
			t.Fatalf("crash %d: record %d, of which %d were synced and %d written, is not what was written", i, n, synced.Load(), written.Load())
		}
		got = got[k:]
	}
}

// fill makes record n of b.
func fill(b []byte, n int64) {
	x := uint64(n)*2654435761 | 1
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x>>56) | 1 // no hole
	}
}
