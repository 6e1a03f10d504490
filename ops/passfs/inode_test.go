package passfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/protocol"
)

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, dir, nil, nil)
	a, b := w.mustLookup(1, "a"), w.mustLookup(1, "b")
	if a.Nodeid != b.Nodeid || a.Nodeid < 2 {
		t.Errorf("two links of one file: nodeids %d and %d", a.Nodeid, b.Nodeid)
	}
	if a.Attr.Nlink != 2 || a.Attr.Mode != unix.S_IFREG|0o644 || a.EntryValid != 1 || a.AttrValid != 1 {
		t.Errorf("entry: %+v", a)
	}
	w.settle(1)
	w.forget(a.Nodeid, 1)
	if _, e := w.getattr(a.Nodeid); e != 0 {
		t.Error("one of two lookups forgotten:", e)
	}
	w.forget(a.Nodeid, 1)
	w.settle(0)
	if _, e := w.getattr(a.Nodeid); e != unix.ESTALE {
		t.Error("forgotten:", e)
	}
	if again := w.mustLookup(1, "a"); again.Nodeid == a.Nodeid {
		t.Error("a nodeid was used again")
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	w := newWire(t, dir, nil, nil)
	for name, want := range map[string]unix.Errno{
		"a/b": unix.EINVAL, "../x": unix.EINVAL, "": unix.ENOENT,
		strings.Repeat("n", 256): unix.ENAMETOOLONG, strings.Repeat("n", 255): unix.ENOENT,
	} {
		if _, e := w.lookup(1, name); e != want {
			t.Errorf("lookup %.10q: %v, want %v", name, e, want)
		}
	}
	in := protocol.MkdirIn{Mode: 0o755}
	for _, name := range []string{".", "..", "a/b"} {
		if _, e := w.call(protocol.OpMkdir, 1, who{}, protocol.BytesOf(&in), cname(name)); e != unix.EINVAL {
			t.Errorf("mkdir %q: %v", name, e)
		}
		if _, e := w.call(protocol.OpUnlink, 1, who{}, cname(name)); e != unix.EINVAL {
			t.Errorf("unlink %q: %v", name, e)
		}
	}
	if up := w.mustLookup(1, ".."); up.Nodeid != protocol.RootID {
		t.Errorf(`".." of the root is %d`, up.Nodeid)
	}
}

func TestDotDot(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		mkdir(t, dir, "d")
		mkdir(t, dir, "e")
		mkdir(t, dir, "d/s")
		w := newWire(t, dir, nil, before)
		d, e := w.mustLookup(1, "d"), w.mustLookup(1, "e")
		s := w.mustLookup(d.Nodeid, "s")
		if self := w.mustLookup(s.Nodeid, "."); self.Nodeid != s.Nodeid {
			t.Error(`"." is another`)
		}
		if up := w.mustLookup(s.Nodeid, ".."); up.Nodeid != d.Nodeid {
			t.Error(`".." is not the parent`)
		}
		in := protocol.RenameIn{Newdir: e.Nodeid}
		if _, err := w.call(protocol.OpRename, d.Nodeid, who{}, protocol.BytesOf(&in), cname("s"), cname("s2")); err != 0 {
			t.Fatal("rename:", err)
		}
		if up := w.mustLookup(s.Nodeid, ".."); up.Nodeid != e.Nodeid {
			t.Error(`".." after a rename is not the new parent`)
		}
		gone := w.fs.nodes.Get(e.Nodeid)
		w.forget(e.Nodeid, 2)
		w.settle(2)
		for gone.held() {
			time.Sleep(time.Millisecond)
		}
		if up := w.mustLookup(s.Nodeid, ".."); up.Attr.Ino != e.Attr.Ino || up.Nodeid == e.Nodeid {
			t.Errorf(`".." after the parent was forgotten: %+v`, up)
		}
	})
}

// TestBudget looks at far more files than there are descriptors, in one
// directory and in nested ones, and then at all of them again.
func TestBudget(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		const wide, deep = 1500, 200
		for i := range wide {
			touch(t, dir, fmt.Sprint("f", i))
		}
		p := dir
		for range deep {
			p = mkdir(t, p, "d")
		}
		o := DefaultOptions()
		o.MaxFDs = 32
		w := newWire(t, dir, &o, before)
		var ids []uint64
		var inos []uint64
		for i := range wide {
			out := w.mustLookup(1, fmt.Sprint("f", i))
			ids, inos = append(ids, out.Nodeid), append(inos, out.Attr.Ino)
		}
		id := uint64(1)
		for range deep {
			out := w.mustLookup(id, "d")
			id = out.Nodeid
			ids, inos = append(ids, out.Nodeid), append(inos, out.Attr.Ino)
		}
		if n := w.fs.budget.used.Load(); n > 32+4 {
			t.Errorf("%d descriptors in use", n)
		}
		for n := len(ids) - 1; n >= 0; n-- {
			a, e := w.getattr(ids[n])
			if e != 0 || a.Attr.Ino != inos[n] {
				t.Fatalf("getattr of %d: %v", n, e)
			}
		}
		for i := range wide {
			if out := w.mustLookup(1, fmt.Sprint("f", i)); out.Nodeid != ids[i] {
				t.Fatalf("f%d has got another nodeid", i)
			}
			w.forget(ids[i], 2)
		}
		w.settle(deep)
		if n := w.fs.budget.used.Load(); n > 32+4 {
			t.Errorf("%d descriptors in use at the end", n)
		}
	})
}

// TestReuse: the same key, but another file, as its handle shows.
func TestReuse(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	w := newWire(t, dir, nil, nil)
	a := w.mustLookup(1, "a")
	i := w.fs.nodes.Get(a.Nodeid)
	i.mu.Lock()
	i.handle = "another generation"
	i.mu.Unlock()
	if b := w.mustLookup(1, "a"); b.Nodeid != a.Nodeid {
		t.Error("a held inode was taken for another")
	}
	if !w.fs.drop(i) {
		t.Fatal("pinned")
	}
	b := w.mustLookup(1, "a")
	if b.Nodeid == a.Nodeid {
		t.Error("a reused inode number was taken for the old file")
	}
	if c := w.mustLookup(1, "a"); c.Nodeid != b.Nodeid {
		t.Error("a third nodeid")
	}
	w.forget(a.Nodeid, 2)
	w.settle(1)
	if c := w.mustLookup(1, "a"); c.Nodeid != b.Nodeid {
		t.Error("forgetting the old one removed the new one")
	}
}

// TestEvicted: what happens to inodes that are not held at the time.
func TestEvicted(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		mkdir(t, dir, "d")
		mkdir(t, dir, "e")
		touch(t, dir, "d/gone")
		touch(t, dir, "d/moved")
		touch(t, dir, "d/over")
		w := newWire(t, dir, nil, before)
		d, e := w.mustLookup(1, "d"), w.mustLookup(1, "e")
		gone, moved, over := w.mustLookup(d.Nodeid, "gone"), w.mustLookup(d.Nodeid, "moved"), w.mustLookup(d.Nodeid, "over")
		all := []uint64{d.Nodeid, e.Nodeid, gone.Nodeid, moved.Nodeid, over.Nodeid}
		evict := func(want int) {
			t.Helper()
			w.fs.evict(100)
			w.fs.evict(100)
			n := 0
			for _, id := range all {
				if !w.fs.nodes.Get(id).held() {
					n++
				}
			}
			if n != want {
				t.Errorf("%d evicted, want %d", n, want)
			}
		}
		evict(5)
		if _, err := w.call(protocol.OpUnlink, d.Nodeid, who{}, cname("gone")); err != 0 {
			t.Fatal(err)
		}
		in := protocol.RenameIn{Newdir: e.Nodeid}
		if _, err := w.call(protocol.OpRename, d.Nodeid, who{}, protocol.BytesOf(&in), cname("moved"), cname("m")); err != 0 {
			t.Fatal(err)
		}
		in.Newdir = d.Nodeid
		if _, err := w.call(protocol.OpRename, e.Nodeid, who{}, protocol.BytesOf(&in), cname("m"), cname("over")); err != 0 {
			t.Fatal(err)
		}
		in.Newdir = e.Nodeid
		if _, err := w.call(protocol.OpRename, 1, who{}, protocol.BytesOf(&protocol.RenameIn{Newdir: e.Nodeid}), cname("d"), cname("dd")); err != 0 {
			t.Fatal(err)
		}
		evict(3) // those without a name must stay
		for id, nlink := range map[uint64]uint32{gone.Nodeid: 0, over.Nodeid: 0, moved.Nodeid: 1} {
			a, err := w.getattr(id)
			if err != 0 || a.Attr.Nlink != nlink {
				t.Errorf("after removal: %+v, %v", a, err)
			}
		}
	})
}

// TestOutside: changes nobody told us of.
func TestOutside(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	w := newWire(t, dir, nil, byName)
	a := w.mustLookup(1, "a")
	w.fs.evict(10)
	w.fs.evict(10)
	if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	touch(t, dir, "a")
	if _, e := w.getattr(a.Nodeid); e != unix.ESTALE {
		t.Error("another file under the old name:", e)
	}
	if b := w.mustLookup(1, "b"); b.Nodeid != a.Nodeid {
		t.Error("the file under its new name has a new nodeid")
	}
	if _, e := w.getattr(a.Nodeid); e != 0 {
		t.Error("found again by its new name:", e)
	}
}

// TestLimit: the descriptors are gone for reasons that the budget does not
// know of; references make room.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		touch(t, dir, fmt.Sprint("f", i))
	}
	w := newWire(t, dir, nil, nil)
	for i := range 200 {
		w.mustLookup(1, fmt.Sprint("f", i))
	}
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		t.Fatal(err)
	}
	low, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(low)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(low), Max: rl.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &rl)
	for i := range 300 {
		if _, e := w.lookup(1, fmt.Sprint("f", i)); e != 0 {
			t.Fatalf("lookup %d: %v", i, e)
		}
	}
	if _, o, e := w.create(1, "new", who{}, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT, Mode: unix.S_IFREG | 0o644}); e != 0 {
		t.Error("create:", e)
	} else {
		w.release(0, o.Fh, false)
	}
}

// TestConcurrent has everybody look up, forget and evict the same few files.
func TestConcurrent(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		for i := range 40 {
			touch(t, dir, fmt.Sprint("f", i))
		}
		o := DefaultOptions()
		o.MaxFDs = 16
		w := newWire(t, dir, &o, before)
		var g sync.WaitGroup
		for n := range 6 {
			g.Go(func() {
				for k := range 400 {
					name := fmt.Sprint("f", (k*7+n*3)%40)
					out, e := w.lookup(1, name)
					if e != 0 {
						t.Errorf("lookup: %v", e)
						return
					}
					a, e := w.getattr(out.Nodeid)
					if e != 0 || a.Attr.Ino != out.Attr.Ino {
						t.Errorf("getattr of %s: %v", name, e)
						return
					}
					w.forget(out.Nodeid, 1)
					if k%50 == 0 {
						w.fs.evict(8)
					}
				}
			})
		}
		g.Wait()
		w.settle(0)
	})
}

func TestNoAllocs(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	w := newWire(t, dir, nil, nil)
	a := w.mustLookup(1, "a")
	name := []byte("a\x00")[:1]
	var out protocol.EntryOut
	n := testing.AllocsPerRun(1000, func() {
		var buf nameBuf
		d, fd, c, err := w.fs.dirOf(1, name, &buf)
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Statx_t
		i, err := w.fs.lookupAt(d, fd, c, name, &st)
		w.fs.unpin(d)
		if err != nil {
			t.Fatal(err)
		}
		w.fs.entry(i, &st, &out)
	})
	if n != 0 || out.Nodeid != a.Nodeid {
		t.Errorf("%v allocations for each lookup", n)
	}
	i := w.fs.nodes.Get(a.Nodeid)
	if n := testing.AllocsPerRun(1000, func() {
		fd, err := w.fs.pin(i)
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Statx_t
		if err := statxFD(fd, &st); err != nil {
			t.Fatal(err)
		}
		w.fs.unpin(i)
	}); n != 0 {
		t.Errorf("%v allocations for each pin and statx", n)
	}
	w.forget(a.Nodeid, 1+1001)
	w.settle(0)
}

// TestOpenUnlinked: files without a name, open beyond the budget, cost their
// own descriptor and no more, and outlive it.
func TestOpenUnlinked(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		o := DefaultOptions()
		o.MaxFDs = 16
		w := newWire(t, dir, &o, before)
		const files = 60
		var es []*protocol.EntryOut
		var fhs []uint64
		me := who{uint32(os.Geteuid()), uint32(os.Getegid())}
		for i := range files {
			name := fmt.Sprint("f", i)
			e, op, err := w.create(1, name, me, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT, Mode: unix.S_IFREG | 0o600})
			if err != 0 {
				t.Fatal(err)
			}
			if _, err := w.call(protocol.OpUnlink, 1, who{}, cname(name)); err != 0 {
				t.Fatal(err)
			}
			es, fhs = append(es, e), append(fhs, op.Fh)
		}
		check := func(when string) {
			t.Helper()
			for i, e := range es {
				if a, err := w.getattr(e.Nodeid); err != 0 || a.Attr.Nlink != 0 || a.Attr.Ino != e.Attr.Ino {
					t.Errorf("%s: f%d: %v", when, i, err)
				}
			}
		}
		check("open")
		if n := w.fs.budget.used.Load(); n > files+8 {
			t.Errorf("%d descriptors for %d open files", n, files)
		}
		for i, e := range es {
			w.release(e.Nodeid, fhs[i], false)
		}
		check("closed")
		for _, e := range es {
			w.forget(e.Nodeid, 1)
		}
		w.settle(0)
	})
}
