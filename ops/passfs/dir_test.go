package passfs

import (
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestReaddir lists a directory in pieces of every size, with and without
// attributes.
func TestReaddir(t *testing.T) {
	dir := t.TempDir()
	const files = 700
	for i := range files {
		touch(t, dir, fmt.Sprint("file with a name of some length ", i))
	}
	w := newWire(t, dir, nil, nil)
	for _, plus := range []bool{false, true} {
		for _, size := range []uint32{300, 4096, 65536} {
			fh := w.opendir(1)
			seen := map[string]int{}
			for _, d := range w.readAll(1, fh, size, plus) {
				seen[d.name]++
				if dot := d.name == "." || d.name == ".."; plus && (d.nodeid == 0) != dot {
					t.Errorf("%q has nodeid %d", d.name, d.nodeid)
				}
				if d.nodeid != 0 {
					if i := w.fs.nodes.Get(d.nodeid); i == nil {
						t.Errorf("%q is not known", d.name)
					}
					w.forget(d.nodeid, 1)
				}
			}
			w.release(1, fh, true)
			if len(seen) != files+2 {
				t.Errorf("plus %v, size %d: %d names", plus, size, len(seen))
			}
			for name, n := range seen {
				if n != 1 {
					t.Errorf("%q %d times", name, n)
				}
			}
			w.settle(0)
		}
	}
	if b, err := w.call(protocol.OpReaddir, 1, who{}, protocol.BytesOf(&protocol.ReadIn{Fh: 12345, Size: 4096})); err != unix.EBADF {
		t.Errorf("an unknown handle: %v %v", b, err)
	}
}

// TestSeekdir goes to every cookie again, on the same and on a new handle, and
// starts over after having been at the end first: where the source is ext4
// that lists nothing unless asked twice.
func TestSeekdir(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		touch(t, dir, fmt.Sprint("f", i))
	}
	w := newWire(t, dir, nil, nil)
	fh := w.opendir(1)
	all := w.readAll(1, fh, 4096, false)
	for n, d := range all {
		for _, fh := range []uint64{fh, w.opendir(1)} {
			rest := w.readdir(1, fh, d.off, 4096, false)
			if len(rest) != len(all)-n-1 || len(rest) > 0 && rest[0] != all[n+1] {
				t.Fatalf("after %q: %v", d.name, rest)
			}
			if again := w.readAll(1, fh, 4096, false); len(again) != len(all) {
				t.Errorf("from the start after %d: %d names", n, len(again))
			}
		}
	}
	touch(t, dir, "new")
	if now := w.readAll(1, fh, 4096, false); len(now) != len(all)+1 {
		t.Error("a rewound handle does not see a new name")
	}
	in := protocol.FsyncIn{Fh: fh}
	for in.FsyncFlags = range uint32(2) {
		if _, err := w.call(protocol.OpFsyncdir, 1, who{}, protocol.BytesOf(&in)); err != 0 {
			t.Error("fsyncdir:", err)
		}
	}
}

// TestVanish removes what is being listed. Names that stay are listed once.
func TestVanish(t *testing.T) {
	dir := t.TempDir()
	const files = 3000
	for i := range files {
		touch(t, dir, fmt.Sprintf("f%04d", i))
	}
	w := newWire(t, dir, nil, nil)
	var g sync.WaitGroup
	g.Go(func() {
		for i := 0; i < files; i++ {
			if i%3 != 0 {
				if _, err := w.call(protocol.OpUnlink, 1, who{}, cname(fmt.Sprintf("f%04d", i))); err != 0 {
					t.Errorf("unlink: %v", err)
				}
			}
		}
	})
	for range 3 {
		g.Go(func() {
			fh := w.opendir(1)
			defer w.release(1, fh, true)
			for range 3 {
				seen := map[string]int{}
				for _, d := range w.readAll(1, fh, 4096, true) {
					seen[d.name]++
					if d.nodeid != 0 {
						w.forget(d.nodeid, 1)
					}
				}
				for i := 0; i < files; i += 3 {
					if n := seen[fmt.Sprintf("f%04d", i)]; n != 1 {
						t.Errorf("f%04d %d times", i, n)
					}
				}
			}
		})
	}
	g.Wait()
	w.settle(0)
}

// TestRemovedDir: an open directory that is removed stays usable.
func TestRemovedDir(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		mkdir(t, dir, "d")
		w := newWire(t, dir, nil, before)
		d := w.mustLookup(1, "d")
		fh := w.opendir(d.Nodeid)
		w.fs.evict(10)
		w.fs.evict(10)
		if _, err := w.call(protocol.OpRmdir, 1, who{}, cname("d")); err != 0 {
			t.Fatal(err)
		}
		in := protocol.ReadIn{Fh: fh, Size: 4096}
		if _, err := w.call(protocol.OpReaddir, d.Nodeid, who{}, protocol.BytesOf(&in)); err != unix.ENOENT {
			t.Errorf("readdir: %v, getdents(2) of a removed directory is ENOENT", err)
		}
		if a, err := w.getattr(d.Nodeid); err != 0 || a.Attr.Mode&unix.S_IFMT != unix.S_IFDIR {
			t.Errorf("getattr: %v", err)
		}
		w.release(d.Nodeid, fh, true)
		if _, err := w.getattr(d.Nodeid); err != 0 {
			t.Error("getattr after close:", err)
		}
		w.forget(d.Nodeid, 1)
		w.settle(0)
	})
}
