package uring

import (
	"bytes"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// page maps n bytes that the collector knows nothing of.
func page(t testing.TB, n int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return b
}

func result(t *testing.T, r *Ring, user uint64) int {
	t.Helper()
	c := next(t, r)
	if c.UserData != user {
		t.Fatalf("completion of %d, not %d", c.UserData, user)
	}
	n, e := c.Result()
	if e != 0 {
		t.Fatalf("request %d: %v", user, e)
	}
	return n
}

// TestFile: read, write, their vectors, fsync, fallocate.
func TestFile(t *testing.T) {
	for _, dir := range dirs(t) {
		r := modern(t, 8)
		fd := temp(t, dir, "0123456789")
		b := page(t, 4096)
		copy(b, "abc")
		r.SQE().Rw(OpWrite, fd, Address(b), 3, 2, 1)
		if n := result(t, r, 1); n != 3 {
			t.Errorf("%s: wrote %d", dir, n)
		}
		r.SQE().Rw(OpRead, fd, Address(b), 4096, 1, 2)
		if n := result(t, r, 2); n != 9 || string(b[:9]) != "1abc56789" {
			t.Errorf("%s: read %d: %q", dir, n, b[:9])
		}
		v := make([]syscall.Iovec, 2)
		copy(b, "XY")
		copy(b[100:], "Z")
		v[0].Base, v[1].Base = &b[0], &b[100]
		v[0].SetLen(2)
		v[1].SetLen(1)
		r.SQE().Rw(OpWritev, fd, IovecAddress(v), 2, 7, 3)
		if n := result(t, r, 3); n != 3 {
			t.Errorf("%s: wrote %d", dir, n)
		}
		clear(b)
		v[0].SetLen(5)
		v[1].SetLen(100)
		r.SQE().Rw(OpReadv, fd, IovecAddress(v), 2, 0, 4)
		if n := result(t, r, 4); n != 10 || string(b[:5]) != "01abc" || string(b[100:105]) != "56XYZ" {
			t.Errorf("%s: read %d: %q %q", dir, n, b[:5], b[100:105])
		}
		r.SQE().Fsync(fd, 0, 5)
		result(t, r, 5)
		r.SQE().Fsync(fd, FsyncDatasync, 6)
		result(t, r, 6)
		r.SQE().Fallocate(fd, 0, 10, 90, 7)
		result(t, r, 7)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Size != 100 {
			t.Errorf("%s: %d bytes after fallocate, %v", dir, st.Size, err)
		}
		r.SQE().Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 0, 5, 8)
		result(t, r, 8)
		r.SQE().Rw(OpRead, fd, Address(b), 10, 0, 9)
		if n := result(t, r, 9); n != 10 || !bytes.Equal(b[:10], []byte("\x00\x00\x00\x00\x0056XYZ")) {
			t.Errorf("%s: after a hole: %d: %q", dir, n, b[:10])
		}
		r.SQE().Rw(OpRead, -1, Address(b), 1, 0, 10)
		if c := next(t, r); c.Res != -int32(unix.EBADF) {
			t.Errorf("%s: a bad descriptor: %+v", dir, c)
		}
	}
}

// TestFixed: registered files, and buffers registered whole and by updates of a
// sparse table.
func TestFixed(t *testing.T) {
	for _, dir := range dirs(t) {
		r := modern(t, 8)
		fd := temp(t, dir, "0123456789")
		b := page(t, 2*4096)
		v := make([]syscall.Iovec, 2)
		v[0].Base, v[1].Base = &b[0], &b[4096]
		v[0].SetLen(4096)
		v[1].SetLen(4096)

		if err := r.RegisterFiles([]int32{-1, int32(fd)}); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterBuffers(v); err != nil {
			t.Fatal(err)
		}
		fixed := func(op uint8, file, buf int, at, n int, off int64, user uint64) CQE {
			s := r.SQE()
			s.Rw(op, file, Address(b[at:]), n, off, user)
			s.Flags, s.Buf = SQEFixedFile, uint16(buf)
			return next(t, r)
		}
		if c := fixed(OpReadFixed, 1, 1, 4096+10, 5, 3, 1); c.Res != 5 || string(b[4106:4111]) != "34567" {
			t.Errorf("%s: %+v %q", dir, c, b[4106:4111])
		}
		copy(b, "fixed")
		if c := fixed(OpWriteFixed, 1, 0, 0, 5, 5, 2); c.Res != 5 {
			t.Errorf("%s: %+v", dir, c)
		}
		if c := fixed(OpReadFixed, 1, 0, 4096, 5, 0, 3); c.Res != -int32(unix.EFAULT) {
			t.Errorf("%s: outside its buffer: %+v", dir, c)
		}
		if c := fixed(OpReadFixed, 0, 0, 0, 5, 0, 4); c.Res != -int32(unix.EBADF) {
			t.Errorf("%s: a gap among the files: %+v", dir, c)
		}
		if err := r.UnregisterBuffers(); err != nil {
			t.Fatal(err)
		}
		if err := r.UpdateFiles(0, []int32{int32(fd), -1}); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterBuffersSparse(4); err != nil {
			t.Fatal(err)
		}
		if c := fixed(OpReadFixed, 0, 3, 0, 10, 0, 5); c.Res != -int32(unix.EFAULT) {
			t.Errorf("%s: a gap among the buffers: %+v", dir, c)
		}
		if err := r.UpdateBuffers(3, v[:1]); err != nil {
			t.Fatal(err)
		}
		if c := fixed(OpReadFixed, 0, 3, 0, 10, 0, 6); c.Res != 10 || string(b[:10]) != "01234fixed" {
			t.Errorf("%s: %+v %q", dir, c, b[:10])
		}
		if c := fixed(OpReadFixed, 1, 3, 0, 10, 0, 7); c.Res != -int32(unix.EBADF) {
			t.Errorf("%s: a file that was taken out: %+v", dir, c)
		}
		if err := r.UpdateBuffers(3, make([]syscall.Iovec, 1)); err != nil {
			t.Fatal(err)
		}
		if c := fixed(OpReadFixed, 0, 3, 0, 10, 0, 8); c.Res != -int32(unix.EFAULT) {
			t.Errorf("%s: a buffer that was taken out: %+v", dir, c)
		}
		if err := r.UpdateBuffers(3, v); err == nil {
			t.Errorf("%s: an update beyond the table", dir)
		}
		if err := r.UnregisterFiles(); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterFilesSparse(2); err != nil {
			t.Fatal(err)
		}
		if err := r.UpdateFiles(1, []int32{int32(fd)}); err != nil {
			t.Fatal(err)
		}
		if c := fixed(OpRead, 1, 0, 0, 3, 0, 9); c.Res != 3 {
			t.Errorf("%s: %+v", dir, c)
		}
	}
}

// TestCancel: a read of an empty pipe ends with ECANCELED; what is not there is
// ENOENT.
func TestCancel(t *testing.T) {
	r := modern(t, 8)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	b := page(t, 4096)
	r.SQE().Rw(OpRead, p[0], Address(b), 10, -1, 1)
	if _, e := r.Submit(); e != 0 {
		t.Fatal(e)
	}
	r.SQE().Cancel(1, 2)
	r.SQE().Cancel(99, 3)
	enter(t, r, 3)
	want := map[uint64]int32{1: -int32(unix.ECANCELED), 2: 0, 3: -int32(unix.ENOENT)}
	for range 3 {
		c := next(t, r)
		if res, ok := want[c.UserData]; !ok || res != c.Res {
			t.Errorf("%+v, want one of %v", c, want)
		}
		delete(want, c.UserData)
	}
}

// TestLink: the second of a chain runs after the first, and not at all if the
// first fails.
func TestLink(t *testing.T) {
	r := modern(t, 8)
	fd := temp(t, t.TempDir(), "0123456789")
	b := page(t, 4096)
	copy(b, "link")
	s := r.SQE()
	s.Rw(OpWrite, fd, Address(b), 4, 0, 1)
	s.Flags = SQEIOLink
	r.SQE().Rw(OpRead, fd, Address(b[100:]), 10, 0, 2)
	if n := result(t, r, 1); n != 4 {
		t.Errorf("wrote %d", n)
	}
	if n := result(t, r, 2); n != 10 || string(b[100:110]) != "link456789" {
		t.Errorf("read %d: %q", n, b[100:110])
	}
	s = r.SQE()
	s.Rw(OpRead, -1, Address(b), 4, 0, 3)
	s.Flags = SQEIOLink
	r.SQE().Rw(OpWrite, fd, Address(b), 4, 0, 4)
	if c := next(t, r); c.UserData != 3 || c.Res != -int32(unix.EBADF) {
		t.Errorf("%+v", c)
	}
	if c := next(t, r); c.UserData != 4 || c.Res != -int32(unix.ECANCELED) {
		t.Errorf("%+v", c)
	}
	// Success that nobody wants to hear of.
	if r.Features()&FeatCQESkip != 0 {
		s = r.SQE()
		s.Nop(5)
		s.Flags = SQECQESkipSuccess
		r.SQE().Nop(6)
		if c := next(t, r); c.UserData != 6 {
			t.Errorf("%+v", c)
		}
	}
}

// TestMaxWorkers: limits are accepted.
func TestMaxWorkers(t *testing.T) {
	r := setup(t, 4, Options{})
	if err := r.MaxWorkers(2, 3); err != nil {
		t.Fatal(err)
	}
}

// TestCommand: where a command's parts lie, whatever the byte order; and the
// kernel finds them: a command to a file that has none is EOPNOTSUPP.
func TestCommand(t *testing.T) {
	var s SQE128
	s.SetCmdOp(0x01020304)
	s.Cmd()[0], s.Cmd()[79] = 0xaa, 0xbb
	raw := (*[128]byte)(unsafe.Pointer(&s))
	var op [4]byte
	*(*uint32)(unsafe.Pointer(&op)) = 0x01020304
	if !bytes.Equal(raw[8:12], op[:]) || !bytes.Equal(raw[12:16], make([]byte, 4)) || raw[48] != 0xaa || raw[127] != 0xbb {
		t.Errorf("% x", *raw)
	}
	r := setup(t, 4, Options{Flags: SetupSQE128})
	w := r.SQE128()
	w.Opcode, w.FD, w.UserData = OpURingCmd, int32(temp(t, t.TempDir(), "")), 5
	w.SetCmdOp(1)
	if c := next(t, r); c.UserData != 5 || c.Res != -int32(unix.EOPNOTSUPP) {
		t.Errorf("%+v", c)
	}
}

// TestMixed: wide entries among narrow ones take two neighbours, and a no-op that
// nobody hears of fills the last place when it is alone. On memory of our own,
// as kernels from 6.19 only have such rings.
func TestMixed(t *testing.T) {
	var head, tail, flags, dropped uint32
	mem := make([]SQE, 8)
	r := &Ring{fd: -1, flags: SetupSQEMixed, sqHead: &head, sqTail: &tail, sqFlags: &flags, sqDropped: &dropped,
		sqMask: 7, sqEntries: 8, sqes: unsafe.Pointer(&mem[0]), sqeShift: 6}
	for i := range 7 {
		r.SQE().Nop(uint64(i))
	}
	if r.SQE128() != nil {
		t.Error("a wide entry in one place")
	}
	r.publish()
	head = 1
	if r.SQE128() != nil {
		t.Error("a wide entry around the end")
	}
	head = 2
	w := r.SQE128()
	if w == nil {
		t.Fatal("no wide entry though there is room")
	}
	w.UserData, w.Cmd()[79] = 77, 1
	if mem[7].Opcode != OpNop || mem[7].Flags != SQECQESkipSuccess || mem[0].UserData != 77 {
		t.Errorf("%+v", mem)
	}
	if n := r.publish(); n != 8 || tail != 10 || r.Space() != 0 || r.SQE() != nil {
		t.Errorf("%d pending, tail %d, space %d", n, tail, r.Space())
	}
	r.flags = 0
	head = 10
	if r.SQE128() != nil {
		t.Error("a wide entry on a narrow ring")
	}
}
