package ops

import (
	"bytes"
	"testing"

	"github.com/fusewire/fusewire/protocol"
)

// entryModel is what a directory has; its cookie is its place.
type entryModel struct {
	id, off uint64
	typ     uint32
	name    []byte
}

// fuzzDir fills buffers of size from the entries until all are through, reading
// each as the kernel does.
func fuzzDir(t *testing.T, names []entryModel, size int, plus bool) {
	mem := make([]byte, size)
	for next, rounds := 0, 0; next < len(names); rounds++ {
		for i := range mem {
			mem[i] = 0xaa
		}
		d := NewDirBuf(mem, plus)
		want := 0
		start := next
		for next < len(names) {
			m := names[next]
			need := protocol.DirentSize(len(m.name))
			if plus {
				need = protocol.DirentplusSize(len(m.name))
			}
			fits := want+need <= size
			if d.Fits(len(m.name)) != fits {
				t.Fatalf("Fits(%d) with %d of %d used: %v", len(m.name), want, size, !fits)
			}
			before := d.Len()
			e := protocol.EntryOut{Nodeid: m.id, Generation: 9}
			e.Attr.Ino = m.id
			ok := false
			if plus && m.id%3 != 0 {
				ok = d.AddPlus(&e, m.off, m.typ, m.name)
			} else {
				ok = d.Add(m.id, m.off, m.typ, m.name)
			}
			if ok != fits {
				t.Fatalf("entry of %d into %d of %d: %v", need, want, size, ok)
			}
			if !ok {
				if d.Len() != before {
					t.Fatal("an entry that did not fit was added")
				}
				break
			}
			want += need
			if d.Len() != want || d.Room() != size-want {
				t.Fatalf("Len %d, Room %d; want %d of %d", d.Len(), d.Room(), want, size)
			}
			next++
		}
		for i, c := range mem[want:] {
			if c != 0xaa {
				t.Fatalf("byte %d behind the entries was written", i)
			}
		}
		b := d.Bytes()
		for _, m := range names[start:next] {
			var h protocol.Dirent
			var name []byte
			var err error
			if plus {
				var p protocol.Direntplus
				p, name, b, err = protocol.NextDirentplus(b)
				h = p.Dirent
				node := m.id
				if m.id%3 == 0 {
					node = 0
				}
				if p.EntryOut.Nodeid != node || p.EntryOut.Attr.Ino != m.id {
					t.Fatalf("entry %+v, want node %d of %d", p.EntryOut, node, m.id)
				}
			} else {
				h, name, b, err = protocol.NextDirent(b)
			}
			if err != nil || !bytes.Equal(name, m.name) || h.Ino != m.id || h.Off != m.off || h.Type != m.typ {
				t.Fatalf("read back %+v %q %v, want %+v", h, name, err, m)
			}
		}
		if len(b) != 0 {
			t.Fatalf("%d bytes too many", len(b))
		}
		if next == start {
			if !d.full {
				t.Fatal("nothing added, and not full")
			}
			return // never fits
		}
	}
}

func FuzzDirBuf(f *testing.F) {
	f.Add([]byte{1, 2, 3, 255, 9, 1}, 64, false)
	f.Add([]byte{1, 8, 16, 7, 9, 1}, 160, true)
	f.Add([]byte{200, 8, 16, 7, 9, 1, 1, 1, 1}, 4096, true)
	f.Fuzz(func(t *testing.T, lens []byte, size int, plus bool) {
		if size < 0 || size > 1<<16 {
			return
		}
		var names []entryModel
		for i, n := range lens {
			name := bytes.Repeat([]byte{byte('a' + i%26)}, max(int(n), 1))
			names = append(names, entryModel{uint64(i + 1), uint64(i + 1), uint32(n) % 16, name})
		}
		fuzzDir(t, names, size, plus)
	})
}

// Exactly full, one byte less.
func TestDirBufExactFit(t *testing.T) {
	for n := 1; n <= 17; n++ {
		name := bytes.Repeat([]byte("n"), n)
		for _, plus := range []bool{false, true} {
			size := protocol.DirentSize(n)
			if plus {
				size = protocol.DirentplusSize(n)
			}
			if !NewDirBuf(make([]byte, size), plus).Add(1, 1, 0, name) {
				t.Errorf("name of %d does not fit into %d", n, size)
			}
			d := NewDirBuf(make([]byte, size-1), plus)
			if d.Add(1, 1, 0, name) || d.AddPlus(&protocol.EntryOut{}, 1, 0, name) || d.Len() != 0 {
				t.Errorf("name of %d fits into %d", n, size-1)
			}
		}
	}
}

// AddPlus into a plain READDIR counts nothing.
func TestDirBufPlusInPlain(t *testing.T) {
	f := &full{}
	d := NewDirBuf(make([]byte, 100), false)
	d.lost = f
	e := protocol.EntryOut{Nodeid: 5}
	e.Attr.Ino = 6
	if !d.AddPlus(&e, 1, 4, []byte("x")) || f.take() != "forget 5 1" {
		t.Error("the lookup was not taken back")
	}
	if h, name, _, err := protocol.NextDirent(d.Bytes()); err != nil || string(name) != "x" || h.Ino != 6 {
		t.Errorf("%+v %q %v", h, name, err)
	}
}
