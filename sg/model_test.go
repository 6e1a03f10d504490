package sg

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A naive vector: one entry a byte, its place in memory or in a file.
type place struct {
	mem *byte
	fd  int
	off int64
}

// world is what a program of vector operations runs on: three vectors and their
// oracles, memory, and a file.
type world struct {
	t     *testing.T
	vecs  [3]Vec
	want  [3][]place
	arena []byte
	fd    int
	model []byte // the file's contents
	out   int    // another file, for transfers
}

const worldBytes = 512

func newWorld(t *testing.T) *world {
	w := &world{t: t, arena: make([]byte, worldBytes), model: make([]byte, worldBytes)}
	for i := range w.arena {
		w.arena[i], w.model[i] = byte(i), byte(i*7)
	}
	w.fd = tempFile(t, w.model)
	w.out = tempFile(t, nil)
	return w
}

func tempFile(t testing.TB, content []byte) int {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// run interprets a program, four bytes an instruction, checking after each.
func (w *world) run(program []byte) {
	for len(program) >= 4 {
		op, x, y, z := program[0]%14, int(program[1]), int(program[2]), int(program[3])
		program = program[4:]
		i := x % 3
		j := (i + 1 + x/3%2) % 3
		v, o := &w.vecs[i], w.want[i]
		if len(o) > 4*worldBytes && op < 4 {
			op = 11
		}
		switch op {
		case 0, 1: // memory, of limited capacity or not
			from := y * 2 % worldBytes
			b := w.arena[from:min(worldBytes, from+z%40)]
			if op == 1 {
				b = b[:len(b):len(b)]
			}
			w.ok(v.AppendMem(b))
			for k := range b {
				o = append(o, place{mem: &b[k]})
			}
		case 2:
			from, n := int64(y*2%worldBytes), z%40
			n = min(n, worldBytes-int(from))
			w.ok(v.AppendFile(w.fd, from, n))
			for k := range int64(n) {
				o = append(o, place{fd: w.fd, off: from + k})
			}
		case 3:
			k := z % 3 // perhaps itself
			w.ok(v.AppendVec(&w.vecs[k]))
			o = append(o, w.want[k]...)
		case 4:
			off, n := y-2, z-2
			good := off >= 0 && n >= 0 && off <= len(o) && n <= len(o)-off
			w.is(v.Slice(&w.vecs[j], off, n), good)
			if good {
				w.want[j] = append(w.want[j], o[off:off+n]...)
			}
		case 5:
			n := y - 2
			good := n >= 0 && n <= len(o)
			w.is(v.Split(n, &w.vecs[j]), good)
			if good {
				w.want[j] = append(w.want[j], o[n:]...)
				o = o[:n:n]
			}
		case 6:
			n := y - 2
			good := n >= 0 && n <= len(o)
			w.is(v.Advance(n), good)
			if good {
				o = o[n:]
			}
		case 7:
			v.Coalesce()
		case 8:
			w.checkAlign(v, o, int64(y), z-1)
		case 9:
			b := make([]byte, y)
			n, err := v.CopyTo(b)
			w.ok(err)
			if n != min(len(b), len(o)) || !bytes.Equal(b[:n], w.bytes(o[:n])) {
				w.t.Fatalf("CopyTo(%d bytes): %d", len(b), n)
			}
		case 10:
			b := bytes.Repeat([]byte{byte(z)}, y)
			for k := range b {
				b[k] += byte(k)
			}
			n, err := v.CopyFrom(b)
			w.ok(err)
			if n != min(len(b), len(o)) {
				w.t.Fatalf("CopyFrom(%d bytes): %d", len(b), n)
			}
			w.expectWritten(o[:n], b)
		case 11:
			if z%4 == 0 || len(o) > 4*worldBytes {
				v.Reset()
				o = nil
			}
		case 12:
			n, err := Pwritev(w.out, v, int64(y), 0)
			w.ok(err)
			got := make([]byte, len(o))
			if n != len(o) || n > 0 && !w.pread(got, int64(y)) || !bytes.Equal(got, w.bytes(o)) {
				w.t.Fatalf("Pwritev of %d bytes: %d, or others", len(o), n)
			}
		case 13: // up to the end of a file that may be shorter
			b := make([]byte, max(0, len(o)-z%5))
			for k := range b {
				b[k] = byte(z ^ k*3)
			}
			w.ok(unix.Ftruncate(w.out, 0))
			if n, err := unix.Pwrite(w.out, b, int64(y)); n != len(b) || err != nil {
				w.t.Fatal(n, err)
			}
			n, err := Preadv(w.out, v, int64(y), 0)
			w.ok(err)
			if n != len(b) {
				w.t.Fatalf("Preadv of %d bytes, %d there: %d", len(o), len(b), n)
			}
			w.expectWritten(o[:n], b)
		}
		w.want[i] = o
		for k := range w.vecs {
			w.check(&w.vecs[k], w.want[k])
		}
	}
}

func (w *world) pread(b []byte, off int64) bool {
	n, err := unix.Pread(w.out, b, off)
	return n == len(b) && err == nil
}

// expectWritten checks that the places hold b; a place that occurs more than
// once holds what was written last.
func (w *world) expectWritten(o []place, b []byte) {
	last := map[place]byte{}
	for k, p := range o {
		last[p] = b[k]
		if p.mem == nil {
			w.model[p.off] = b[k]
		}
	}
	got := make([]byte, worldBytes)
	if n, err := unix.Pread(w.fd, got, 0); n != worldBytes || err != nil || !bytes.Equal(got, w.model) {
		w.t.Fatalf("the file is not the model's (%d, %v)", n, err)
	}
	for p, c := range last {
		if p.mem != nil && *p.mem != c {
			w.t.Fatalf("memory holds %d, not %d", *p.mem, c)
		}
	}
}

func (w *world) bytes(o []place) []byte {
	b := make([]byte, len(o))
	for i, p := range o {
		if p.mem != nil {
			b[i] = *p.mem
		} else {
			b[i] = w.model[p.off]
		}
	}
	return b
}

func (w *world) ok(err error) { w.t.Helper(); w.is(err, true) }

func (w *world) is(err error, good bool) {
	w.t.Helper()
	if good && err != nil || !good && err != unix.EINVAL {
		w.t.Fatalf("got %v, good arguments: %v", err, good)
	}
}

// check compares a vector with its oracle byte by byte, and its iovecs.
func (w *world) check(v *Vec, o []place) {
	w.t.Helper()
	if v.Len() != len(o) {
		w.t.Fatalf("%d bytes, want %d", v.Len(), len(o))
	}
	at := 0
	segs := v.Segs()
	for i, s := range segs {
		if s.Len <= 0 || s.Mem != nil && s.Len != len(s.Mem) {
			w.t.Fatalf("segment %d: %d bytes, memory %d", i, s.Len, len(s.Mem))
		}
		for k := range s.Len {
			got := place{fd: s.FD, off: s.Off + int64(k)}
			if s.Mem != nil {
				got = place{mem: &s.Mem[k]}
			}
			if at == len(o) || got != o[at] {
				w.t.Fatalf("segment %d, byte %d is not byte %d of the oracle's", i, k, at)
			}
			at++
		}
	}
	var iov [5]syscall.Iovec
	for first := 0; first < len(segs); {
		n := v.Iovecs(iov[:], first)
		for k := range n {
			if s := segs[first+k]; iov[k].Base != &s.Mem[0] || int(iov[k].Len) != s.Len {
				w.t.Fatalf("iovec of segment %d", first+k)
			}
		}
		if first += n; n < len(iov) && first < len(segs) {
			if segs[first].Mem != nil {
				w.t.Fatalf("iovecs end at segment %d, memory", first)
			}
			first++
		}
	}
	for _, s := range v.store()[v.tail:] {
		if s.Mem != nil || s.Len != 0 {
			w.t.Fatal("a place not in use refers to something")
		}
	}
}

func (w *world) checkAlign(v *Vec, o []place, off int64, block int) {
	var part [3]Vec
	w.is(v.SplitAligned(off, block, &part[0], &part[1], &part[2]), block > 0)
	if block <= 0 {
		return
	}
	var want [3][]place
	// by the byte: in the body are those whose whole block is within
	for k, p := range o {
		first := (off + int64(k)) / int64(block) * int64(block)
		switch {
		case first >= off && first+int64(block) <= off+int64(len(o)):
			want[1] = append(want[1], p)
		case first < off:
			want[0] = append(want[0], p)
		default:
			want[2] = append(want[2], p)
		}
	}
	for k := range part {
		w.check(&part[k], want[k])
	}
}

// TestVecModel runs random programs against the oracle.
func TestVecModel(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 0, 64)
	}
	rounds := 300
	if n, _ := strconv.Atoi(os.Getenv("FUSEWIRE_LONG")); n > 0 {
		rounds *= n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FUSEWIRE_SEED=%d", seed)
		}
	})
	rnd := rand.New(rand.NewPCG(seed, 4))
	w := newWorld(t)
	for range rounds {
		for i := range w.vecs {
			w.vecs[i].Reset()
			if rnd.IntN(2) == 0 {
				w.vecs[i] = Vec{} // nothing grown yet
			}
			w.want[i] = nil
		}
		program := make([]byte, 4*(1+rnd.IntN(60)))
		for i := range program {
			program[i] = byte(rnd.Uint32())
		}
		w.run(program)
	}
}

// FuzzVec runs programs the fuzzer thinks of.
func FuzzVec(f *testing.F) {
	content := make([]byte, worldBytes)
	fd, out := tempFile(f, content), tempFile(f, nil)
	f.Fuzz(func(t *testing.T, program []byte) {
		w := &world{t: t, arena: make([]byte, worldBytes), model: make([]byte, worldBytes), fd: fd, out: out}
		if _, err := unix.Pwrite(fd, w.model, 0); err != nil {
			t.Fatal(err)
		}
		w.run(program[:min(len(program), 256)])
	})
}
