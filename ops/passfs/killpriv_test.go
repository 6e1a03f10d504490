package passfs

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

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
