package passfs

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// What the wire can do with files.

func (w *wire) open(nodeid uint64, flags uint32) (*protocol.OpenOut, unix.Errno) {
	in := protocol.OpenIn{Flags: flags}
	b, e := w.call(protocol.OpOpen, nodeid, who{}, protocol.BytesOf(&in))
	if e != 0 {
		return nil, e
	}
	return viewOf[protocol.OpenOut](w.t, b), 0
}

func (w *wire) mustOpen(nodeid uint64, flags uint32) uint64 {
	w.t.Helper()
	o, e := w.open(nodeid, flags)
	if e != 0 {
		w.t.Fatalf("open: %v", e)
	}
	return o.Fh
}

func (w *wire) read(nodeid, fh, off uint64, size uint32) ([]byte, unix.Errno) {
	in := protocol.ReadIn{Fh: fh, Offset: off, Size: size}
	return w.call(protocol.OpRead, nodeid, who{}, protocol.BytesOf(&in))
}

func (w *wire) write(nodeid, fh, off uint64, data string, as who, wflags, flags uint32) (int, unix.Errno) {
	in := protocol.WriteIn{Fh: fh, Offset: off, Size: uint32(len(data)), WriteFlags: wflags, Flags: flags}
	b, e := w.call(protocol.OpWrite, nodeid, as, protocol.BytesOf(&in), []byte(data))
	if e != 0 {
		return 0, e
	}
	return int(viewOf[protocol.WriteOut](w.t, b).Size), 0
}

func (w *wire) setattr(nodeid uint64, in protocol.SetattrIn) (*protocol.AttrOut, unix.Errno) {
	b, e := w.call(protocol.OpSetattr, nodeid, who{}, protocol.BytesOf(&in))
	if e != 0 {
		return nil, e
	}
	return viewOf[protocol.AttrOut](w.t, b), 0
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fileWire serves a directory with file "f" of the content.
func fileWire(t *testing.T, o *Options, data string) (*wire, uint64) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, dir, o, nil)
	return w, w.mustLookup(1, "f").Nodeid
}

func direct() *Options {
	o := DefaultOptions()
	o.Cache = CacheNever
	return &o
}

func TestFileTable(t *testing.T) {
	var ft fileTable
	rng := rand.New(rand.NewPCG(1, 2))
	live := map[uint64]*file{}
	var dead []uint64
	for range 20000 {
		if rng.IntN(5) < 3 || len(live) == 0 {
			f := &file{}
			fh, err := ft.add(f)
			if err != nil || fh == 0 || live[fh] != nil {
				t.Fatalf("add: %#x, %v", fh, err)
			}
			live[fh] = f
			continue
		}
		for fh, f := range live {
			if g := ft.get(fh); g != f || g.refs.Load() != 2 {
				t.Fatalf("get %#x", fh)
			}
			f.refs.Add(-1)
			if ft.remove(fh) != f {
				t.Fatalf("remove %#x", fh)
			}
			delete(live, fh)
			dead = append(dead, fh)
			break
		}
	}
	for _, fh := range append(dead, 0, 1<<32, ^uint64(0), 1<<31) {
		if ft.get(fh) != nil || ft.remove(fh) != nil {
			t.Fatalf("stale %#x is found", fh)
		}
	}
	n := 0
	ft.each(func(f *file) {
		if live[f.fh] != f {
			t.Errorf("each: %#x", f.fh)
		}
		n++
	})
	if n != len(live) {
		t.Errorf("each: %d of %d", n, len(live))
	}
}

// TestFileTableRace looks handles up while they come and go: a reference got
// is one on the file asked for, and on one that is not closed.
func TestFileTableRace(t *testing.T) {
	var ft fileTable
	var wg sync.WaitGroup
	fhs := make(chan uint64, 64)
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for fh := range fhs {
				if f := ft.get(fh); f != nil {
					if f.fh != fh || f.refs.Load() < 1 {
						t.Errorf("got %#x for %#x", f.fh, fh)
					}
					f.refs.Add(-1)
				}
			}
		}()
	}
	for range 5000 {
		f := &file{}
		fh, err := ft.add(f)
		if err != nil {
			t.Fatal(err)
		}
		fhs <- fh
		fhs <- fh
		ft.remove(fh).refs.Add(-1)
	}
	close(fhs)
	wg.Wait()
}

func TestReadWrite(t *testing.T) {
	w, id := fileWire(t, nil, "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	for _, c := range []struct {
		off  uint64
		size uint32
		want string
	}{{0, 10, "0123456789"}, {0, 4096, "0123456789"}, {4, 3, "456"}, {9, 5, "9"}, {10, 5, ""}, {1 << 40, 5, ""}, {1<<63 - 1, 100, ""}} {
		if b, e := w.read(id, fh, c.off, c.size); e != 0 || string(b) != c.want {
			t.Errorf("read %d at %d: %q, %v", c.size, c.off, b, e)
		}
	}
	if _, e := w.read(id, fh, 1<<63, 10); e != unix.EINVAL {
		t.Error("read at 2^63:", e)
	}
	if n, e := w.write(id, fh, 8, "abcd", who{}, 0, 0); n != 4 || e != 0 {
		t.Error("write:", n, e)
	}
	if _, e := w.write(id, fh, 1<<63-2, "abcd", who{}, 0, 0); e != unix.EFBIG {
		t.Error("write at the end of the world:", e)
	}
	if s := content(t, w.dir, "f"); s != "01234567abcd" {
		t.Errorf("%q", s)
	}
	w.release(id, fh, false)
	if _, e := w.read(id, fh, 0, 1); e != unix.EBADF {
		t.Error("read after release:", e)
	}
	if _, e := w.write(id, fh, 0, "x", who{}, 0, 0); e != unix.EBADF {
		t.Error("write after release:", e)
	}
	ro := w.mustOpen(id, unix.O_RDONLY)
	if _, e := w.write(id, ro, 0, "x", who{}, 0, 0); e != unix.EBADF {
		t.Error("write to O_RDONLY:", e)
	}
	w.release(id, ro, false)
}

// TestAppend is who decides where an appending write goes.
func TestAppend(t *testing.T) {
	const app = unix.O_WRONLY | unix.O_APPEND
	grow := func(w *wire) {
		f, err := os.OpenFile(filepath.Join(w.dir, "f"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("[theirs]")
		f.Close()
	}
	t.Run("cached", func(t *testing.T) {
		w, id := fileWire(t, nil, "0123")
		fh := w.mustOpen(id, app)
		// The page cache has put it at 4, so that is where it is.
		if n, e := w.write(id, fh, 4, "abc", who{}, 0, app); n != 3 || e != 0 {
			t.Error(n, e)
		}
		// A page of a shared mapping.
		if n, e := w.write(id, fh, 0, "X", who{}, protocol.WriteCache, 0); n != 1 || e != 0 {
			t.Error(n, e)
		}
		if s := content(t, w.dir, "f"); s != "X123abc" {
			t.Errorf("%q", s)
		}
	})
	t.Run("direct", func(t *testing.T) {
		needPwritev2(t)
		w, id := fileWire(t, direct(), "0123")
		fh := w.mustOpen(id, app)
		grow(w)
		if n, e := w.write(id, fh, 4, "abc", who{}, 0, app); n != 3 || e != 0 {
			t.Error(n, e)
		}
		if n, e := w.write(id, fh, 0, "X", who{}, protocol.WriteCache, 0); n != 1 || e != 0 {
			t.Error(n, e)
		}
		// O_APPEND taken away by fcntl(2).
		if n, e := w.write(id, fh, 1, "Y", who{}, 0, unix.O_WRONLY); n != 1 || e != 0 {
			t.Error(n, e)
		}
		if s := content(t, w.dir, "f"); s != "XY23[theirs]abc" {
			t.Errorf("%q", s)
		}
	})
}

func TestSyncWrites(t *testing.T) {
	w, id := fileWire(t, nil, "")
	fh := w.mustOpen(id, unix.O_RDWR)
	for n, fl := range []uint32{0, unix.O_DSYNC, unix.O_SYNC} {
		if k, e := w.write(id, fh, uint64(n), "x", who{}, 0, fl); k != 1 || e != 0 {
			t.Error(k, e)
		}
	}
	for _, fl := range []uint32{0, protocol.FsyncFdatasync} {
		in := protocol.FsyncIn{Fh: fh, FsyncFlags: fl}
		if _, e := w.call(protocol.OpFsync, id, who{}, protocol.BytesOf(&in)); e != 0 {
			t.Error("fsync:", e)
		}
	}
	fl := protocol.FlushIn{Fh: fh}
	if _, e := w.call(protocol.OpFlush, id, who{}, protocol.BytesOf(&fl)); e != 0 {
		t.Error("flush:", e)
	}
}

// TestNoatime: only for the owner.
func TestNoatime(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	in := protocol.OpenIn{Flags: unix.O_NOATIME}
	for _, c := range []struct {
		uid  uint32
		want bool
	}{{0, true}, {1000, false}} {
		b, e := w.call(protocol.OpOpen, id, who{uid: c.uid}, protocol.BytesOf(&in))
		if e != 0 {
			t.Fatal(e)
		}
		f := w.fs.files.get(viewOf[protocol.OpenOut](t, b).Fh)
		fl, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0)
		if err != nil || fl&unix.O_NOATIME != 0 != c.want {
			t.Errorf("uid %d: flags %#x, %v", c.uid, fl, err)
		}
		w.fs.put(f)
	}
}

// TestReadOnly refuses every change.
func TestReadOnlyFiles(t *testing.T) {
	o := DefaultOptions()
	o.ReadOnly = true
	w, id := fileWire(t, &o, "data")
	if _, e := w.open(id, unix.O_WRONLY); e != unix.EROFS {
		t.Error("open:", e)
	}
	if _, e := w.open(id, unix.O_RDONLY|unix.O_TRUNC); e != unix.EROFS {
		t.Error("O_TRUNC:", e)
	}
	if _, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrMode}); e != unix.EROFS {
		t.Error("setattr:", e)
	}
	in := protocol.SetxattrIn{Size: 1}
	if _, e := w.call(protocol.OpSetxattr, id, who{}, protocol.BytesOf(&in), cname("user.a"), []byte("v")); e != unix.EROFS {
		t.Error("setxattr:", e)
	}
	if _, e := w.call(protocol.OpRemovexattr, id, who{}, cname("user.a")); e != unix.EROFS {
		t.Error("removexattr:", e)
	}
	if content(t, w.dir, "f") != "data" {
		t.Error("changed")
	}
}

// TestNotPollable: no POLL handler, so the kernel takes files as always ready
// and does not ask again.
func TestNotPollable(t *testing.T) {
	if _, ok := any(&FS{}).(ops.Poller); ok {
		t.Error("FS answers POLL")
	}
	w, id := fileWire(t, nil, "data")
	in := protocol.PollIn{}
	if _, e := w.call(protocol.OpPoll, id, who{}, protocol.BytesOf(&in)); e != unix.ENOSYS {
		t.Error("POLL:", e)
	}
}

// TestParallel reads, writes, stats and closes one file from many at once.
func TestParallel(t *testing.T) {
	w, id := fileWire(t, direct(), "")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mark := bytes.Repeat([]byte{byte('a' + n)}, 1000)
			for k := range 40 {
				fh := w.mustOpen(id, unix.O_RDWR)
				off := uint64(n*40+k) * 1000
				if m, e := w.write(id, fh, off, string(mark), who{uid: uint32(n)}, uint32(n&1)*protocol.WriteKillSuidgid, 0); m != 1000 || e != 0 {
					t.Error("write:", m, e)
				}
				if b, e := w.read(id, fh, off, 1000); !bytes.Equal(b, mark) || e != 0 {
					t.Error("read:", len(b), e)
				}
				w.release(id, fh, false)
			}
		}()
	}
	wg.Wait()
	if a, e := w.getattr(id); e != 0 || a.Attr.Size != 320000 {
		t.Error(a, e)
	}
}

// TestLeases: an open that has to wait for a lease in the source waits by
// itself, not with a reader.
func TestLeases(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	lease, err := unix.Open(filepath.Join(w.dir, "f"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { unix.Close(lease) })
	defer end()
	if _, err := unix.FcntlInt(uintptr(lease), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		t.Fatal(err)
	}
	in := protocol.OpenIn{Flags: unix.O_WRONLY | unix.O_NONBLOCK}
	if _, e := w.wait(w.send(protocol.OpOpen, id, who{}, nil, protocol.BytesOf(&in))); e != unix.EAGAIN {
		t.Error("O_NONBLOCK:", e)
	}
	var all []chan []byte
	for range 20 {
		in := protocol.OpenIn{Flags: unix.O_WRONLY}
		all = append(all, w.send(protocol.OpOpen, id, who{}, nil, protocol.BytesOf(&in)))
	}
	w.interrupt(w.unique.Load())
	if _, e := w.wait(all[19]); e != unix.EINTR {
		t.Error("interrupted:", e)
	}
	if _, e := w.getattr(id); e != 0 {
		t.Error("meanwhile:", e)
	}
	waits(t, all[0])
	end()
	for _, c := range all[:19] {
		b, e := w.wait(c)
		if e != 0 {
			t.Fatal(e)
		}
		f, err := w.fs.file(viewOf[protocol.OpenOut](t, b).Fh)
		if err != nil {
			t.Fatal(err)
		}
		// Taken back, unless nobody there looks at it.
		if fl, err := unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0); err != nil || fl&unix.O_NONBLOCK != 0 && !f.i.mnt.quiet {
			t.Errorf("flags %#x, %v", fl, err)
		}
		w.fs.put(f)
	}
}
