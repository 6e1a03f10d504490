package main

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestNative: a file system that is known to be right is found to be.
func TestNative(t *testing.T) {
	for _, apart := range []bool{false, true} {
		c := config{path: filepath.Join(harness.Tmpfs(t), "f."), workers: 2, n: 2000, seed: seed(t), apart: apart}
		if _, err := c.run(); err != nil {
			t.Error(err)
		}
	}
}

// TestLies: wrong results are noticed.
func TestLies(t *testing.T) {
	const size = 10000
	for _, c := range []struct {
		o   op
		r   result // what is right
		lie func(r *result, mem []byte)
	}{
		{op{Kind: "read", Off: 100, N: 500}, result{N: 500}, func(r *result, mem []byte) { mem[499]++ }},
		{op{Kind: "read", Off: 100, N: 500}, result{N: 500}, func(r *result, mem []byte) { r.N-- }},
		{op{Kind: "read", Off: size - 1, N: 5}, result{N: 1}, func(r *result, mem []byte) { r.N++ }},
		{op{Kind: "read", Off: size - 1, N: 5}, result{N: 1}, func(r *result, mem []byte) { r.Errno = int(unix.EIO) }},
		{op{Kind: "mapread", Off: size - 1, N: 5}, result{N: 5}, func(r *result, mem []byte) { mem[4] = 1 }},
		{op{Kind: "write", Off: 0, N: 5}, result{N: 5}, func(r *result, mem []byte) { r.N = 4 }},
		{op{Kind: "copy", Off: 0, N: 5, Off2: 9}, result{N: 5}, func(r *result, mem []byte) { r.N = 6 }},
		{op{Kind: "copy", Off: 0, N: 5, Off2: 9}, result{N: 5}, func(r *result, mem []byte) { r.N = 0 }},
		{op{Kind: "stat"}, result{N: size}, func(r *result, mem []byte) { r.N-- }},
		{op{Kind: "seek", Mode: unix.SEEK_DATA, Off: 5000}, result{N: 6000}, func(r *result, mem []byte) { r.N++ }},
		{op{Kind: "seek", Mode: unix.SEEK_DATA, Off: 5000}, result{N: 5000}, func(r *result, mem []byte) { r.Errno = int(unix.ENXIO) }},
		{op{Kind: "seek", Mode: unix.SEEK_HOLE, Off: 0}, result{N: 3000}, func(r *result, mem []byte) { r.N = 7000 }},
		{op{Kind: "seek", Mode: unix.SEEK_HOLE, Off: size}, result{Errno: int(unix.ENXIO)}, func(r *result, mem []byte) { r.Errno = 0 }},
		{op{Kind: "whole", A: "a"}, result{N: size}, func(r *result, mem []byte) { mem[4000] = 7 }},
		{op{Kind: "open", A: "b"}, result{Errno: int(unix.ENOENT)}, func(r *result, mem []byte) { r.Errno = 0 }},
		{op{Kind: "fsync"}, result{}, func(r *result, mem []byte) { r.Errno = int(unix.EIO) }},
	} {
		for _, lie := range []bool{false, true} {
			m := newModel(1)
			i := &inode{total: -1}
			i.write(0, size, 1)
			clear(i.data[3000:6000])
			m.names["a"] = i
			m.files[0][0] = &handle{i, unix.O_RDWR}
			mem := make([]byte, size+10)
			copy(mem, i.at(c.o.Off, size))
			o, r := c.o, c.r
			if lie {
				c.lie(&r, mem)
			}
			if err := m.apply(&o, &r, mem); (err != nil) != lie {
				t.Errorf("%s: a lie: %v, noticed: %v", &c.o, lie, err)
			}
		}
	}
}

// TestPrograms: what is printed can be read.
func TestPrograms(t *testing.T) {
	m := newModel(2)
	m.names["a"] = &inode{total: -1}
	m.files[0][3] = &handle{m.names["a"], unix.O_RDWR}
	g := &generator{rng: rand.New(rand.NewPCG(1, 1)), m: m, most: 1 << 20, chunk: 1 << 16, hi: 1 << 20}
	var l []op
	for range 1000 {
		l = append(l, g.next())
	}
	t.Setenv("TMPDIR", harness.Disk(t))
	name, err := save(l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readProgram(name)
	if err != nil || len(got) != len(l) {
		t.Fatalf("%d of %d: %v", len(got), len(l), err)
	}
	for i := range l {
		if got[i] != l[i] {
			t.Errorf("%s: read as %s", &l[i], &got[i])
		}
	}
	if _, err := parseOp("read w=0"); err == nil {
		t.Error("half a line was read")
	}
}
