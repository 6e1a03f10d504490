package sg

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// mixed appends to a new vector memory, a range of fd at 10, and memory.
func mixed(t *testing.T, a []byte, fd, n int, b []byte) *Vec {
	t.Helper()
	v := new(Vec)
	for _, err := range []error{v.AppendMem(a), v.AppendFile(fd, 10, n), v.AppendMem(b)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func content(t *testing.T, fd, n int, off int64) []byte {
	t.Helper()
	b := make([]byte, n)
	if m, err := unix.Pread(fd, b, off); m != n || err != nil {
		t.Fatalf("%d, %v", m, err)
	}
	return b
}

// TestRangeToFile writes a vector with a file range, each way it can go.
func TestRangeToFile(t *testing.T) {
	data := randomBytes(100_000)
	src := tempFile(t, data)
	want1 := append(append([]byte("head"), data[10:90_010]...), "tail"...)
	for _, c := range []struct {
		name   string
		bounce int
		flags  int
		open   int // flags to add to the destination
		copied int
	}{
		{"in the kernel", 0, 0, 0, 0},
		{"in the kernel, with a bounce", 100, 0, 0, 0},
		{"flags", 1000, unix.RWF_DSYNC, 0, 90_000},
		{"appending", 1 << 20, 0, unix.O_APPEND, 90_000},
	} {
		if c.flags != 0 && !haveFlags(t) {
			continue
		}
		dst := tempFile(t, nil)
		if c.open != 0 {
			if _, err := unix.FcntlInt(uintptr(dst), unix.F_SETFL, c.open); err != nil {
				t.Fatal(err)
			}
		}
		v := mixed(t, []byte("head"), src, 90_000, []byte("tail"))
		v.Bounce = make([]byte, c.bounce)
		before := Copied()
		n, err := Pwritev(dst, v, 0, c.flags)
		want(t, c.name, n, err, len(want1), nil)
		if !bytes.Equal(content(t, dst, n, 0), want1) {
			t.Errorf("%s: other data", c.name)
		}
		if got := int(Copied() - before); got != c.copied {
			t.Errorf("%s: %d bytes copied, want %d", c.name, got, c.copied)
		}
	}
	// Nothing to bounce through.
	dst := tempFile(t, nil)
	v := mixed(t, nil, src, 100, nil)
	n, err := Pwritev(dst, v, 0, unix.RWF_DSYNC)
	want(t, "flags, no bounce", n, err, 0, unix.EOPNOTSUPP)
	// A range that ends early ends the transfer.
	for _, bounce := range []int{0, 50} {
		v = mixed(t, []byte("head"), src, len(data), []byte("tail"))
		v.Bounce = make([]byte, bounce)
		n, err = Pwritev(dst, v, 0, 0)
		want(t, "a range beyond the end", n, err, 4+len(data)-10, nil)
		n, err = v.CopyTo(make([]byte, 2*len(data)))
		want(t, "CopyTo, a range beyond the end", n, err, 4+len(data)-10, nil)
	}
	// One call at a time: the range is one.
	if err := v.Advance(4); err != nil {
		t.Fatal(err)
	}
	n, err = PwritevOnce(dst, v, 0, 0)
	if n <= 0 || n > len(data)-10 || err != nil || !bytes.Equal(content(t, dst, n, 0), data[10:10+n]) {
		t.Errorf("PwritevOnce of a range: %d, %v", n, err)
	}
	// Neither file is one.
	v = mixed(t, nil, 1<<20, 5, nil)
	v.Bounce = make([]byte, 10)
	n, err = Pwritev(dst, v, 0, 0)
	want(t, "a range of no file", n, err, 0, unix.EBADF)
}

// TestRangeOfProc reads a file that says it is empty and is not.
func TestRangeOfProc(t *testing.T) {
	fd, err := unix.Open("/proc/version", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	dst := tempFile(t, nil)
	v := mixed(t, nil, fd, 20, nil)
	v.Bounce = make([]byte, 7)
	n, err := Pwritev(dst, v, 0, 0)
	want(t, "Pwritev", n, err, 20, nil)
	if got := content(t, dst, 20, 0); !bytes.Equal(got, content(t, fd, 20, 10)) {
		t.Errorf("%q", got)
	}
}

// TestFileToRange reads a file into a vector with a range of another.
func TestFileToRange(t *testing.T) {
	data := randomBytes(50_000)
	src := tempFile(t, data)
	for _, flags := range []int{0, unix.RWF_HIPRI} {
		if flags != 0 && !haveFlags(t) {
			continue
		}
		dst := tempFile(t, nil)
		head, tail := make([]byte, 5), make([]byte, 100)
		v := mixed(t, head, dst, 40_000, tail)
		v.Bounce = make([]byte, 4097)
		n, err := Preadv(src, v, 3, flags)
		want(t, "Preadv", n, err, 40_105, nil)
		got := append(append(head, content(t, dst, 40_000, 10)...), tail...)
		if !bytes.Equal(got, data[3:3+n]) {
			t.Error("other data")
		}
		n, err = Preadv(src, v, 30_000, flags)
		want(t, "Preadv up to the end", n, err, 20_000, nil)
	}
}

// TestRangeAndStream sends a range through a pipe and a socket, and takes it out
// into a range.
func TestRangeAndStream(t *testing.T) {
	data := randomBytes(200_000)
	src := tempFile(t, data)
	for _, kind := range []string{"pipe", "socket"} {
		var p [2]int
		var err error
		if kind == "pipe" {
			err = unix.Pipe2(p[:], unix.O_CLOEXEC)
		} else {
			p, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		dst := tempFile(t, nil)
		type result struct {
			n   int
			err error
		}
		done := make(chan result)
		before := Copied()
		head, tail := make([]byte, 4), make([]byte, 4)
		in := mixed(t, head, dst, 180_000, tail)
		if kind == "socket" { // only pipes can be spliced from
			in.Bounce = make([]byte, 5000)
		}
		go func() {
			n, err := Readv(p[0], in)
			done <- result{n, err}
		}()
		n, err := Writev(p[1], mixed(t, []byte("head"), src, 180_000, []byte("tail")))
		want(t, kind+": Writev", n, err, 180_008, nil)
		r := <-done
		want(t, kind+": Readv", r.n, r.err, 180_008, nil)
		if string(head)+string(tail) != "headtail" || !bytes.Equal(content(t, dst, 180_000, 10), data[10:180_010]) {
			t.Errorf("%s: other data", kind)
		}
		if got, bounced := Copied()-before, kind == "socket"; got != 180_000 && bounced || got != 0 && !bounced {
			t.Errorf("%s: %d bytes copied", kind, got)
		}
		unix.Close(p[0])
		unix.Close(p[1])
	}
}
