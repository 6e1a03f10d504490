package passfs

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/clock"
	small "github.com/fusewire/fusewire/sg/unix"
	"github.com/fusewire/fusewire/wb"
)

// holding are options with a cache that writes when it has to, by do.
func holding(t testing.TB, c wb.Config, do func(*aio.Op)) *Options {
	t.Helper()
	if c.Age == nil {
		c.Age = clock.Nanos(-1)
	}
	o := DefaultOptions()
	w, err := wb.New(wb.NewThreads(8, do), c)
	if err != nil {
		t.Fatal(err)
	}
	o.WriteCache = w
	return &o
}

func (w *wire) mustWrite(id, fh, off uint64, data string) {
	w.t.Helper()
	if n, e := w.write(id, fh, off, data, who{}, 0, 0); n != len(data) || e != 0 {
		w.t.Fatalf("write: %d %v", n, e)
	}
}

// has fails unless the source has this.
func (w *wire) has(name, want string) {
	w.t.Helper()
	if b, err := os.ReadFile(filepath.Join(w.dir, name)); string(b) != want || err != nil {
		w.t.Errorf("the source has %q, want %q (%v)", b, want, err)
	}
}

func (w *wire) flushed(id, fh uint64) unix.Errno {
	in := protocol.FlushIn{Fh: fh}
	_, e := w.call(protocol.OpFlush, id, who{}, protocol.BytesOf(&in))
	return e
}

func (w *wire) fsync(id, fh uint64) unix.Errno {
	in := protocol.FsyncIn{Fh: fh}
	_, e := w.call(protocol.OpFsync, id, who{}, protocol.BytesOf(&in))
	return e
}

// TestHeldBack: what is written is seen by whoever asks here, and is in the source
// when it has to be: each way to have it there, in turn.
func TestHeldBack(t *testing.T) {
	for name, do := range map[string]func(w *wire, id, fh uint64) unix.Errno{
		"FLUSH": (*wire).flushed,
		"FSYNC": (*wire).fsync,
		"LSEEK": func(w *wire, id, fh uint64) unix.Errno {
			in := protocol.LseekIn{Fh: fh, Whence: unix.SEEK_HOLE}
			b, e := w.call(protocol.OpLseek, id, who{}, protocol.BytesOf(&in))
			if e == 0 && viewOf[protocol.LseekOut](w.t, b).Offset != 14 {
				w.t.Error("a hole at", viewOf[protocol.LseekOut](w.t, b).Offset)
			}
			return e
		},
		"FALLOCATE": func(w *wire, id, fh uint64) unix.Errno {
			in := protocol.FallocateIn{Fh: fh, Length: 14}
			_, e := w.call(protocol.OpFallocate, id, who{}, protocol.BytesOf(&in))
			return e
		},
		"SETATTR of the times": func(w *wire, id, fh uint64) unix.Errno {
			a, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrMtime, Mtime: 1000})
			if e == 0 && (a.Attr.Mtime != 1000 || a.Attr.Size != 14) {
				w.t.Errorf("%+v", a.Attr)
			}
			time.Sleep(20 * time.Millisecond)
			if a, _ := w.getattr(id); a.Attr.Mtime != 1000 {
				w.t.Error("the time was overwritten")
			}
			return e
		},
		"SETATTR of the size": func(w *wire, id, fh uint64) unix.Errno {
			if a, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrSize, Size: 12}); e != 0 || a.Attr.Size != 12 {
				w.t.Error(e)
			}
			w.has("f", "0123456789ab")
			w.mustWrite(id, fh, 12, "cd")
			return w.fsync(id, fh)
		},
		"O_DSYNC": func(w *wire, id, fh uint64) unix.Errno {
			_, e := w.write(id, fh, 12, "cd", who{}, 0, unix.O_DSYNC|unix.O_RDWR)
			return e
		},
		"O_DIRECT": func(w *wire, id, fh uint64) unix.Errno {
			_, e := w.write(id, fh, 0, "0", who{}, 0, unix.O_DIRECT|unix.O_RDWR)
			return e
		},
		"SYNCFS": func(w *wire, id, fh uint64) unix.Errno {
			_, e := w.call(protocol.OpSyncfs, 1, who{}, make([]byte, 8))
			return e
		},
		"RENAME": func(w *wire, id, fh uint64) unix.Errno {
			in := protocol.RenameIn{Newdir: 1}
			_, e := w.call(protocol.OpRename, 1, who{}, protocol.BytesOf(&in), cname("f"), cname("g"))
			if e == 0 {
				w.has("g", "0123456789abcd")
				if err := os.Rename(filepath.Join(w.dir, "g"), filepath.Join(w.dir, "f")); err != nil {
					w.t.Error(err)
				}
			}
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, id := fileWire(t, holding(t, wb.Config{}, nil), "0123456789")
			fh := w.mustOpen(id, unix.O_RDWR)
			w.mustWrite(id, fh, 10, "abcd")
			w.has("f", "0123456789")
			if b, e := w.read(id, fh, 8, 100); e != 0 || string(b) != "89abcd" {
				t.Errorf("read: %q %v", b, e)
			}
			if a, e := w.getattr(id); e != 0 || a.Attr.Size != 14 {
				t.Errorf("GETATTR: %v %v", a, e)
			}
			if e := w.mustLookup(1, "f"); e.Attr.Size != 14 {
				t.Errorf("LOOKUP: %+v", e.Attr)
			}
			w.forget(id, 1)
			if e := do(w, id, fh); e != 0 {
				t.Error(e)
			}
			w.has("f", "0123456789abcd")
			if a, e := w.getattr(id); e != 0 || a.Attr.Size != 14 {
				t.Errorf("GETATTR afterwards: %v %v", a, e)
			}
			w.release(id, fh, false)
		})
	}
}

// TestHeldBackCopy: COPY_FILE_RANGE copies what was written.
func TestHeldBackCopy(t *testing.T) {
	w, id := fileWire(t, holding(t, wb.Config{}, nil), "0123456789")
	touch(t, w.dir, "to")
	to := w.mustLookup(1, "to").Nodeid
	a, b := w.mustOpen(id, unix.O_RDWR), w.mustOpen(to, unix.O_RDWR)
	w.mustWrite(id, a, 2, "xy")
	w.mustWrite(to, b, 20, "end")
	in := protocol.CopyFileRangeIn{FhIn: a, NodeidOut: to, FhOut: b, Len: 10}
	if _, e := w.call(protocol.OpCopyFileRange, id, who{}, protocol.BytesOf(&in)); e != 0 {
		t.Fatal(e)
	}
	w.has("to", "01xy456789"+strings.Repeat("\x00", 10)+"end")
}

// TestTruncateHeldBack: what was cut off never comes, and need not be written.
func TestTruncateHeldBack(t *testing.T) {
	var ops atomic.Int32
	w, id := fileWire(t, holding(t, wb.Config{}, func(op *aio.Op) { ops.Add(1); aio.Do(op) }), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	for _, how := range []string{"SETATTR", "CREATE"} {
		w.mustWrite(id, fh, 5, strings.Repeat("x", 100000))
		if how == "SETATTR" {
			if _, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrSize}); e != 0 {
				t.Fatal(e)
			}
		} else {
			e, o, err := w.create(1, "f", who{}, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_TRUNC, Mode: 0o644})
			if err != 0 || e.Nodeid != id || e.Attr.Size != 0 {
				t.Fatal(err, e)
			}
			w.release(id, o.Fh, false)
			w.forget(id, 1)
		}
		if n := ops.Load(); n != 0 {
			t.Errorf("%s: %d ops for what was cut off", how, n)
		}
		w.mustWrite(id, fh, 3, "end")
		if e := w.fsync(id, fh); e != 0 {
			t.Fatal(e)
		}
		w.has("f", "\x00\x00\x00end")
		ops.Store(0)
	}
}

// TestLazyClose: with it a file that nobody has open any more, and that the kernel
// has forgotten, is still what was written, and is written in the end.
func TestLazyClose(t *testing.T) {
	o := holding(t, wb.Config{}, nil)
	o.LazyClose = true
	w, id := fileWire(t, o, "")
	fh := w.mustOpen(id, unix.O_WRONLY)
	w.mustWrite(id, fh, 0, "lazy")
	if e := w.flushed(id, fh); e != 0 {
		t.Fatal(e)
	}
	w.release(id, fh, false)
	w.forget(id, 1)
	w.has("f", "")
	again := w.mustLookup(1, "f")
	if again.Attr.Size != 4 {
		t.Errorf("size %d", again.Attr.Size)
	}
	fh = w.mustOpen(again.Nodeid, unix.O_RDONLY)
	if b, e := w.read(again.Nodeid, fh, 0, 10); e != 0 || string(b) != "lazy" {
		t.Errorf("%q %v", b, e)
	}
	w.release(again.Nodeid, fh, false)
	w.forget(again.Nodeid, 1)
	unix.Shutdown(w.fd, unix.SHUT_RDWR)
	for end := time.Now().Add(20 * time.Second); w.fs.opt.WriteCache.Stats().Files > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the end does not write it")
		}
	}
	w.has("f", "lazy")
}

// TestHeldBackErrors: what goes wrong is told by FLUSH or FSYNC, once to each open
// file, and tried again.
func TestHeldBackErrors(t *testing.T) {
	var fail atomic.Uint32
	w, id := fileWire(t, holding(t, wb.Config{}, func(op *aio.Op) {
		if e := fail.Load(); e != 0 && op.Kind == aio.Write {
			op.N, op.Err = 0, unix.Errno(e)
			return
		}
		aio.Do(op)
	}), "0123456789")
	a, b, ro := w.mustOpen(id, unix.O_RDWR), w.mustOpen(id, unix.O_RDWR), w.mustOpen(id, unix.O_RDONLY)
	for _, want := range []unix.Errno{unix.EIO, unix.ENOSPC, unix.EDQUOT} {
		fail.Store(uint32(want))
		w.mustWrite(id, a, 10, want.Error())
		if e := w.flushed(id, a); e != want {
			t.Errorf("FLUSH: %v, want %v", e, want)
		}
		fail.Store(0)
		if e := w.fsync(id, a); e != 0 {
			t.Errorf("the second time: %v", e)
		}
		w.has("f", "0123456789"+want.Error())
		for fh, call := range map[uint64]func(id, fh uint64) unix.Errno{b: w.fsync, ro: w.flushed} {
			if e := call(id, fh); e != want {
				t.Errorf("another open file: %v, want %v", e, want)
			}
			if e := call(id, fh); e != 0 {
				t.Errorf("another open file is told twice: %v", e)
			}
		}
		if _, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrSize, Size: 10}); e != 0 {
			t.Fatal(e)
		}
	}
}

// TestHeldBackHang: a source that does not answer for a file keeps no reader of the
// device, and no other file.
func TestHeldBackHang(t *testing.T) {
	var hang atomic.Uint64
	goOn := make(chan bool)
	o := holding(t, wb.Config{Bytes: 64 << 14, FileBytes: 16 << 14}, func(op *aio.Op) {
		if op.Key == hang.Load() {
			<-goOn
		}
		aio.Do(op)
	})
	w, id := fileWire(t, o, "0123456789")
	hang.Store(id)
	fh := w.mustOpen(id, unix.O_RDWR)
	w.mustWrite(id, fh, 0, "hangs")
	var waiting []chan []byte
	for i := range 30 { // more than there are readers
		switch i % 3 {
		case 0:
			in := protocol.FsyncIn{Fh: fh}
			waiting = append(waiting, w.send(protocol.OpFsync, id, who{}, nil, protocol.BytesOf(&in)))
		case 1:
			in := protocol.FlushIn{Fh: fh}
			waiting = append(waiting, w.send(protocol.OpFlush, id, who{}, nil, protocol.BytesOf(&in)))
		default:
			in := protocol.WriteIn{Fh: fh, Offset: uint64(i) * 30000, Size: 30000}
			waiting = append(waiting, w.send(protocol.OpWrite, id, who{}, nil, protocol.BytesOf(&in), make([]byte, 30000)))
		}
	}
	touch(t, w.dir, "other")
	other := w.mustLookup(1, "other").Nodeid
	oh := w.mustOpen(other, unix.O_RDWR)
	for i := range 50 {
		w.mustWrite(other, oh, uint64(i)*30000, strings.Repeat("x", 30000))
	}
	if e := w.fsync(other, oh); e != 0 {
		t.Error(e)
	}
	w.has("other", strings.Repeat("x", 50*30000))
	if b, e := w.read(id, fh, 0, 5); e != 0 || string(b) != "hangs" {
		t.Errorf("what hangs is not to be read: %q %v", b, e)
	}
	close(goOn)
	for i, c := range waiting {
		if _, e := w.wait(c); e != 0 {
			t.Errorf("request %d: %v", i, e)
		}
	}
}

// TestHeldBackKill: set-id bits go with the write, not some time later.
func TestHeldBackKill(t *testing.T) {
	w, id := fileWire(t, holding(t, wb.Config{}, nil), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	name := filepath.Join(w.dir, "f")
	for range 2 {
		if _, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrMode, Mode: 0o4755}); e != 0 {
			t.Fatal(e)
		}
		for i := range uint64(3) {
			if _, e := w.write(id, fh, i, "x", who{uid: 1234, gid: 1234}, protocol.WriteKillSuidgid, unix.O_RDWR); e != 0 {
				t.Fatal(e)
			}
			if st, err := os.Stat(name); err != nil || st.Mode()&os.ModeSetuid != 0 {
				t.Errorf("after write %d: %v %v", i, st.Mode(), err)
			}
		}
	}
	if s := w.fs.opt.WriteCache.Stats(); s.Writes == 0 {
		t.Errorf("nothing was held back: %+v", s)
	}
}

// TestTwoCaches: the kernel's and ours exclude each other.
func TestTwoCaches(t *testing.T) {
	o := holding(t, wb.Config{}, nil)
	o.Writeback = true
	src, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(src)
	if _, err := New(src, o); err == nil {
		t.Error("New takes both")
	}
}

// TestWriteCacheAllocs: WRITE, READ and GETATTR of what is held back allocate
// nothing in the long run.
func TestWriteCacheAllocs(t *testing.T) {
	w, id := fileWire(t, holding(t, wb.Config{}, nil), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	var h protocol.InHeader
	h.Nodeid = id
	r := &ops.Request{Request: new(conn.Request)}
	r.Header = &h
	buf := make([]byte, 4096)
	var attr protocol.AttrOut
	fs := w.fs
	off := uint64(0)
	if n := testing.AllocsPerRun(500, func() {
		if n, err := fs.Write(r, &protocol.WriteIn{Fh: fh, Offset: off, Size: 4096}, buf); n != 4096 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := fs.Read(r, &protocol.ReadIn{Fh: fh, Offset: off, Size: 4096}, buf); n != 4096 || err != nil {
			t.Fatal(n, err)
		}
		if err := fs.Getattr(r, &protocol.GetattrIn{}, &attr); err != nil || attr.Attr.Size < off+4096 {
			t.Fatal(err)
		}
		off = (off + 4096) % (1 << 20)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHeldBackAppend: without the page cache the end of the file is ours to find,
// which is behind what is held back.
func TestHeldBackAppend(t *testing.T) {
	o := holding(t, wb.Config{}, nil)
	o.Cache = CacheNever
	w, id := fileWire(t, o, "0123456789")
	fh := w.mustOpen(id, unix.O_WRONLY|unix.O_APPEND)
	for range 3 {
		if n, e := w.write(id, fh, 0, "ab", who{}, 0, unix.O_WRONLY|unix.O_APPEND); n != 2 || e != 0 {
			t.Fatal(n, e)
		}
	}
	w.has("f", "0123456789")
	if e := w.fsync(id, fh); e != 0 {
		t.Fatal(e)
	}
	w.has("f", "0123456789ababab")
}

// TestOldAnswer: attributes that the source stated before something was written
// there are not passed on when it has been.
func TestOldAnswer(t *testing.T) {
	w, id := fileWire(t, holding(t, wb.Config{}, nil), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	i := w.fs.nodes.Get(id)
	gen := i.gen()
	fd, err := w.fs.pin(i)
	if err != nil {
		t.Fatal(err)
	}
	defer w.fs.unpin(i)
	for _, g := range []uint64{gen, anyGen} {
		var st small.Statx_t
		if err := statxFD(fd, &st); err != nil {
			t.Fatal(err)
		}
		was := st.Size
		w.mustWrite(id, fh, st.Size, "more")
		if e := w.fsync(id, fh); e != 0 {
			t.Fatal(e)
		}
		if w.fs.asWritten(i, &st, g); st.Size != was+4 {
			t.Errorf("size %d, was %d", st.Size, was)
		}
	}
}
