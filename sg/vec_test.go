package sg

import (
	"math"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVecTooLong counts beyond an int, which takes no memory, only ranges.
func TestVecTooLong(t *testing.T) {
	const maxInt = math.MaxInt
	var v, w Vec
	if err := v.AppendFile(3, 0, maxInt); err != nil {
		t.Fatal(err)
	}
	_ = w.AppendFile(3, 0, maxInt-1)
	_ = w.AppendMem(make([]byte, 1))
	for name, err := range map[string]error{
		"AppendMem":  v.AppendMem(make([]byte, 1)),
		"AppendFile": v.AppendFile(3, 0, 1),
		"AppendVec":  v.AppendVec(&w),
		"itself":     v.AppendVec(&v),
		"Slice":      w.Slice(&v, 0, 1),
		"Split":      w.Split(maxInt-1, &v),
		"aligned":    w.SplitAligned(0, maxInt, new(Vec), &v, new(Vec)),
	} {
		if err != ErrTooLong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if v.Len() != maxInt || len(v.Segs()) != 1 || w.Len() != maxInt || len(w.Segs()) != 2 {
		t.Error("an error changed something")
	}
	for _, c := range []struct {
		fd, n int
		off   int64
	}{{-1, 1, 0}, {3, -1, 0}, {3, 1, -1}, {3, 1, math.MaxInt64}, {3, 2, math.MaxInt64 - 1}} {
		if err := new(Vec).AppendFile(c.fd, c.off, c.n); err != unix.EINVAL {
			t.Errorf("AppendFile(%d, %d, %d): %v", c.fd, c.off, c.n, err)
		}
	}
	if v.Slice(&v, 0, 0) != unix.EINVAL || v.Split(0, &v) != unix.EINVAL {
		t.Error("a vector cannot be cut into itself")
	}
}

// TestCoalesce checks what is joined, and that nothing else is.
func TestCoalesce(t *testing.T) {
	b := make([]byte, 100)
	clipped := b[:10:10]
	for _, c := range []struct {
		name string
		segs []Seg
		want int
	}{
		{"neighbours", []Seg{{Mem: b[:10]}, {Mem: b[10:30]}, {Mem: b[30:]}}, 1},
		{"a gap", []Seg{{Mem: b[:10]}, {Mem: b[11:30]}}, 2},
		{"the other way round", []Seg{{Mem: b[10:30]}, {Mem: b[:10]}}, 2},
		{"adjacent, somebody else's", []Seg{{Mem: clipped}, {Mem: b[10:30]}}, 2},
		{"twice the same", []Seg{{Mem: b[:10]}, {Mem: b[:10]}}, 2},
		{"limited capacity", []Seg{{Mem: b[:10]}, {Mem: b[10:30:30]}, {Mem: b[30:]}}, 2},
		{"ranges", []Seg{{FD: 3, Off: 0, Len: 5}, {FD: 3, Off: 5, Len: 6}}, 1},
		{"ranges of two files", []Seg{{FD: 3, Off: 0, Len: 5}, {FD: 4, Off: 5, Len: 6}}, 2},
		{"ranges apart", []Seg{{FD: 3, Off: 0, Len: 5}, {FD: 3, Off: 6, Len: 6}}, 2},
		{"mixed", []Seg{{FD: 3, Off: 0, Len: 5}, {Mem: b[:10]}, {Mem: b[10:20]}, {FD: 3, Off: 5, Len: 5}}, 3},
	} {
		var v Vec
		n := 0
		for _, s := range c.segs {
			if s.Mem != nil {
				_ = v.AppendMem(s.Mem)
			} else {
				_ = v.AppendFile(s.FD, s.Off, s.Len)
			}
			n += max(s.Len, len(s.Mem))
		}
		v.Coalesce()
		if len(v.Segs()) != c.want || v.Len() != n {
			t.Errorf("%s: %d segments of %d bytes, want %d of %d", c.name, len(v.Segs()), v.Len(), c.want, n)
		}
	}
}

// TestAlign checks the corners; the model checks the middle.
func TestAlign(t *testing.T) {
	for _, c := range []struct {
		off              int64
		n, block         int
		head, body, tail int
	}{
		{0, 8192, 4096, 0, 8192, 0},
		{1, 8192, 4096, 4095, 4096, 1},
		{1, 4095, 4096, 4095, 0, 0},
		{1, 10, 4096, 10, 0, 0},
		{4090, 10, 4096, 6, 0, 4},
		{4096, 10, 4096, 0, 0, 10},
		{5, 7, 1, 0, 7, 0},
		{math.MaxInt64, 10, 4096, 1, 0, 9},
		{1<<40 + 3, math.MaxInt, 4096, 4093, (math.MaxInt - 4093) / 4096 * 4096, (math.MaxInt - 4093) % 4096},
		{10, 20, math.MaxInt, 20, 0, 0},
		{-1, 10, 4096, 0, 0, 0}, {0, -1, 4096, 0, 0, 0}, {0, 10, 0, 0, 0, 0}, {0, 10, -4, 0, 0, 0},
	} {
		if h, b, u := Align(c.off, c.n, c.block); h != c.head || b != c.body || u != c.tail {
			t.Errorf("Align(%d, %d, %d) = %d, %d, %d", c.off, c.n, c.block, h, b, u)
		}
	}
	a, err := NewArena(8192, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	buf, _ := a.Get()
	mem := buf.Bytes()
	for _, c := range []struct {
		mem  []byte
		off  int64
		want bool
	}{{mem, 512, true}, {mem[512:1024], 0, true}, {mem[1:513], 0, false}, {mem[:511], 0, false}, {mem, 1, false}} {
		var v Vec
		_ = v.AppendMem(c.mem)
		_ = v.AppendFile(3, c.off, 512)
		if v.Aligned(512) != c.want || v.Aligned(0) {
			t.Errorf("%d bytes, range at %d: %v", len(c.mem), c.off, !c.want)
		}
	}
}

// TestVecAllocs gates everything a request does, at every length after the
// first use, and short vectors on the first use too.
func TestVecAllocs(t *testing.T) {
	fd := tempFile(t, make([]byte, 10))
	src := tempFile(t, make([]byte, 100_000))
	mem := make([]byte, 64*(MaxIovecs+1))
	var v, a, b, c Vec
	for _, segs := range []int{1, 2, 17, MaxIovecs + 1} {
		work := func() {
			v.Reset()
			for i := range segs {
				_ = v.AppendMem(mem[i*64 : i*64+60])
			}
			if n, err := Pwritev(fd, &v, 1, 0); n != v.Len() || err != nil {
				t.Fatal(n, err)
			}
			if n, err := Preadv(fd, &v, 1, 0); n != v.Len() || err != nil {
				t.Fatal(n, err)
			}
			if _, err := Preadv(-1, &v, 1, 0); err != unix.EBADF {
				t.Fatal(err)
			}
			a.Reset()
			b.Reset()
			c.Reset()
			if v.SplitAligned(3, 32, &a, &b, &c) != nil || v.Split(30, &a) != nil || a.Advance(7) != nil {
				t.Fatal("refused")
			}
			_ = a.AppendVec(&v)
			a.Coalesce()
			_, _ = a.CopyTo(mem[:100])
			b.Reset()
			_ = b.AppendFile(src, 0, 100)
			if n, err := Pwritev(fd, &b, 1, 0); n != 100 || err != nil {
				t.Fatal(n, err)
			}
			_, _ = b.CopyFrom(mem[:100])
			var iov [8]syscall.Iovec
			for i := 0; i < len(a.Segs()); i += len(iov) {
				a.Iovecs(iov[:], i)
			}
			// a queue never grows for having been used long
			for range 100 {
				_ = c.AppendMem(mem[:10])
				_ = c.Advance(min(10, c.Len()))
			}
		}
		work()
		if n := testing.AllocsPerRun(20, work); n != 0 {
			t.Errorf("%d segments: %v allocations", segs, n)
		}
	}
	if n := testing.AllocsPerRun(20, func() {
		var fresh Vec
		_ = fresh.AppendMem(mem[:10])
		_ = fresh.AppendMem(mem[10:20])
		if n, err := Pwritev(fd, &fresh, 0, 0); n != 20 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("a new vector of two: %v allocations", n)
	}
}

// TestCopies is the table of the package's documentation: a 1 MiB WRITE and a
// 1 MiB READ in 256 pieces are not copied.
func TestCopies(t *testing.T) {
	data := randomBytes(1 << 20)
	fd := tempFile(t, nil)
	v := pieces(data, 256)
	before := Copied()
	n, err := Pwritev(fd, v, 0, 0)
	want(t, "Pwritev", n, err, len(data), nil)
	n, err = Preadv(fd, v, 0, 0)
	want(t, "Preadv", n, err, len(data), nil)
	if got := Copied() - before; got != 0 {
		t.Errorf("%d bytes copied", got)
	}
	if n, err := v.CopyTo(data); n != len(data) || err != nil {
		t.Fatal(n, err)
	}
	if got := Copied() - before; got != 1<<20 {
		t.Errorf("CopyTo: %d bytes counted", got)
	}
}
