package passfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestKillpriv: who writes, truncates, allocates or gives away takes suid.
func TestKillpriv(t *testing.T) {
	if !canFsetid() {
		t.Fatal("needs CAP_FSETID: run as root")
	}
	user := who{1000, 1000}
	w, id := fileWire(t, nil, "data")
	path := filepath.Join(w.dir, "f")
	fh := w.mustOpen(id, unix.O_RDWR)
	other, e := w.open(id, unix.O_RDWR)
	if e != 0 {
		t.Fatal(e)
	}
	set := func(valid uint32, as who) {
		in := protocol.SetattrIn{Valid: valid, Size: 3, Uid: 1000, Gid: 1000}
		if _, e := w.call(protocol.OpSetattr, id, as, protocol.BytesOf(&in)); e != 0 {
			t.Error("setattr:", e)
		}
	}
	write := func(as who, flags uint32) {
		if _, e := w.write(id, fh, 0, "x", as, flags, 0); e != 0 {
			t.Error("write:", e)
		}
	}
	alloc := func(as who) {
		in := protocol.FallocateIn{Fh: fh, Length: 10}
		if _, e := w.call(protocol.OpFallocate, id, as, protocol.BytesOf(&in)); e != 0 {
			t.Error("fallocate:", e)
		}
	}
	copyRange := func(as who) {
		in := protocol.CopyFileRangeIn{FhIn: other.Fh, NodeidOut: id, FhOut: fh, OffOut: 100, Len: 2}
		if _, e := w.call(protocol.OpCopyFileRange, id, as, protocol.BytesOf(&in)); e != 0 {
			t.Error("copy:", e)
		}
	}
	open := func(as who, kill uint32) {
		in := protocol.OpenIn{Flags: unix.O_RDWR | unix.O_TRUNC, OpenFlags: kill}
		b, e := w.call(protocol.OpOpen, id, as, protocol.BytesOf(&in))
		if e != 0 {
			t.Fatal("open:", e)
		}
		w.release(id, viewOf[protocol.OpenOut](t, b).Fh, false)
	}
	for name, c := range map[string]struct {
		do   func()
		kept bool
	}{
		"write":          {func() { write(user, protocol.WriteKillSuidgid) }, false},
		"root writes":    {func() { write(who{}, 0) }, true},
		"page":           {func() { write(who{}, protocol.WriteCache) }, true},
		"truncate":       {func() { set(protocol.FattrSize|protocol.FattrKillSuidgid, user) }, false},
		"root truncates": {func() { set(protocol.FattrSize, who{}) }, true},
		"chown":          {func() { set(protocol.FattrUid|protocol.FattrKillSuidgid, who{}) }, false},
		"allocate":       {func() { alloc(user) }, false},
		"root allocates": {func() { alloc(who{}) }, true},
		"copy":           {func() { copyRange(user) }, false},
		"root copies":    {func() { copyRange(who{}) }, true},
		"O_TRUNC":        {func() { open(user, protocol.OpenKillSuidgid) }, false},
		"root's O_TRUNC": {func() { open(who{}, 0) }, true},
	} {
		// More than once, with every thread in every state.
		for range 3 {
			if err := os.WriteFile(path, []byte("data"), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(path, 0, 0); err != nil {
				t.Fatal(err)
			}
			if err := unix.Chmod(path, 0o6777); err != nil {
				t.Fatal(err)
			}
			c.do()
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil {
				t.Fatal(err)
			}
			if kept := st.Mode&0o6000 == 0o6000; kept != c.kept || !kept && st.Mode&0o6000 != 0 {
				t.Errorf("%s: mode %o", name, st.Mode)
			}
		}
	}
}

func TestLseekFallocate(t *testing.T) {
	w, id := fileWire(t, nil, "")
	fh := w.mustOpen(id, unix.O_RDWR)
	if _, e := w.write(id, fh, 1<<20, "data", who{}, 0, 0); e != 0 {
		t.Fatal(e)
	}
	seek := func(off uint64, whence uint32) (uint64, unix.Errno) {
		in := protocol.LseekIn{Fh: fh, Offset: off, Whence: whence}
		b, e := w.call(protocol.OpLseek, id, who{}, protocol.BytesOf(&in))
		if e != 0 {
			return 0, e
		}
		return viewOf[protocol.LseekOut](t, b).Offset, 0
	}
	if n, e := seek(0, unix.SEEK_DATA); n != 1<<20 || e != 0 {
		t.Error("data:", n, e)
	}
	if n, e := seek(0, unix.SEEK_HOLE); n != 0 || e != 0 {
		t.Error("hole:", n, e)
	}
	if _, e := seek(2<<20, unix.SEEK_DATA); e != unix.ENXIO {
		t.Error("beyond:", e)
	}
	if _, e := seek(0, unix.SEEK_SET); e != unix.EINVAL {
		t.Error("SEEK_SET:", e)
	}
	if b, e := w.read(id, fh, 1<<20, 10); string(b) != "data" || e != 0 {
		t.Errorf("read after seeking: %q %v", b, e)
	}
	alloc := func(mode uint32, off, n uint64) unix.Errno {
		in := protocol.FallocateIn{Fh: fh, Mode: mode, Offset: off, Length: n}
		_, e := w.call(protocol.OpFallocate, id, who{}, protocol.BytesOf(&in))
		return e
	}
	if e := alloc(unix.FALLOC_FL_KEEP_SIZE, 0, 4<<20); e != 0 {
		t.Error(e)
	}
	if a, _ := w.getattr(id); a.Attr.Size != 1<<20+4 || a.Attr.Blocks < 8000 {
		t.Errorf("keep size: %+v", a.Attr)
	}
	if e := alloc(unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 1<<20, 2); e != 0 {
		t.Error(e)
	}
	if b, e := w.read(id, fh, 1<<20, 10); string(b) != "\x00\x00ta" || e != 0 {
		t.Errorf("hole punched: %q %v", b, e)
	}
	if e := alloc(0, 1<<63, 1); e != unix.EFBIG {
		t.Error(e)
	}
}

func TestCopyFileRange(t *testing.T) {
	w, id := fileWire(t, nil, "0123456789")
	touch(t, w.dir, "g")
	to := w.mustLookup(1, "g").Nodeid
	a, b := w.mustOpen(id, unix.O_RDONLY), w.mustOpen(to, unix.O_RDWR)
	for _, op := range []protocol.Opcode{protocol.OpCopyFileRange, protocol.OpCopyFileRange64} {
		in := protocol.CopyFileRangeIn{FhIn: a, OffIn: 2, NodeidOut: to, FhOut: b, OffOut: 1, Len: 1 << 40}
		out, e := w.call(op, id, who{}, protocol.BytesOf(&in))
		if e != 0 {
			t.Fatal(e)
		}
		n := viewOf[protocol.CopyFileRangeOut](t, out).BytesCopied
		if op == protocol.OpCopyFileRange {
			n = uint64(viewOf[protocol.WriteOut](t, out).Size)
		}
		if n != 8 {
			t.Errorf("%v: %d bytes", op, n)
		}
	}
	if s := content(t, w.dir, "g"); s != "\x0023456789" {
		t.Errorf("%q", s)
	}
	in := protocol.CopyFileRangeIn{FhIn: a, NodeidOut: to, FhOut: b, Len: 1, Flags: 1}
	if _, e := w.call(protocol.OpCopyFileRange64, id, who{}, protocol.BytesOf(&in)); e != unix.EINVAL {
		t.Error("flags:", e)
	}
}
