package sg

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os/signal"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pieces cuts b into a vector of n segments.
func pieces(b []byte, n int) *Vec {
	v := new(Vec)
	for i := range n {
		from, to := len(b)*i/n, len(b)*(i+1)/n
		_ = v.AppendMem(b[from:to])
	}
	return v
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(uint64(n), 5))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func want(t *testing.T, what string, n int, err error, wantN int, wantErr error) {
	t.Helper()
	if n != wantN || err != wantErr {
		t.Fatalf("%s: %d, %v; want %d, %v", what, n, err, wantN, wantErr)
	}
}

// haveFlags says whether there is preadv2(2): emulators may lack it, and then
// flags must fail and not be ignored.
func haveFlags(t *testing.T) bool {
	t.Helper()
	_, err := PreadvOnce(tempFile(t, []byte("abc")), pieces(make([]byte, 3), 1), 0, unix.RWF_HIPRI)
	if err == unix.ENOSYS {
		t.Log("no preadv2 here")
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// TestFileTransfer writes and reads files, with more segments than one call
// takes, holes, the end, and offsets that need more than 32 bits.
func TestFileTransfer(t *testing.T) {
	for _, segs := range []int{1, 2, fewIovecs, fewIovecs + 1, MaxIovecs, MaxIovecs + 1, 2*MaxIovecs + 7} {
		for _, off := range []int64{0, 1, 4095, 1<<31 - 3, 1<<32 - 5, 1<<32 + 1, 3<<32 + 9} {
			fd := tempFile(t, nil)
			data := randomBytes(3*segs + 5)
			n, err := Pwritev(fd, pieces(data, segs), off, 0)
			want(t, "Pwritev", n, err, len(data), nil)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Size != off+int64(len(data)) {
				t.Fatalf("size %d, want %d", st.Size, off+int64(len(data)))
			}
			back := make([]byte, len(data)+10)
			n, err = Preadv(fd, pieces(back, segs), off, 0)
			want(t, "Preadv up to the end", n, err, len(data), nil)
			if !bytes.Equal(back[:n], data) {
				t.Fatalf("%d segments at %d: other data", segs, off)
			}
			if off > 100 { // the hole before it
				back = append(bytes.Repeat([]byte{1}, 100), back...)
				n, err = Preadv(fd, pieces(back[:110], 7), off-100, 0)
				want(t, "Preadv of a hole", n, err, min(110, 100+len(data)), nil)
				if !bytes.Equal(back[:n], append(make([]byte, 100), data...)[:n]) {
					t.Fatal("a hole reads as something else")
				}
			}
			n, err = Preadv(fd, pieces(back, segs), off+int64(len(data)), 0)
			want(t, "Preadv at the end", n, err, 0, nil)
			n, err = PwritevOnce(fd, pieces(data, segs), off, 0)
			if whole := len(data); segs <= MaxIovecs {
				want(t, "PwritevOnce", n, err, whole, nil)
			} else if n <= 0 || n >= whole || err != nil {
				t.Fatalf("PwritevOnce of %d segments: %d, %v", segs, n, err)
			}
			n, err = PreadvOnce(fd, pieces(back[:1], 1), off, 0)
			want(t, "PreadvOnce", n, err, 1, nil)
			unix.Close(fd)
		}
	}
}

// TestTransferArguments checks what is refused before any call, and bad files.
func TestTransferArguments(t *testing.T) {
	fd := tempFile(t, []byte("abc"))
	v := pieces(make([]byte, 8), 2)
	for _, off := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 - 7} {
		n, err := Preadv(fd, v, off, 0)
		want(t, "Preadv", n, err, 0, unix.EINVAL)
		n, err = PwritevOnce(fd, v, off, 0)
		want(t, "PwritevOnce", n, err, 0, unix.EINVAL)
	}
	n, err := Preadv(-1, v, 0, 0)
	want(t, "Preadv of no file", n, err, 0, unix.EBADF)
	n, err = Writev(-1, new(Vec))
	want(t, "nothing", n, err, 0, nil)
	n, err = WritevOnce(-1, new(Vec))
	want(t, "nothing, once", n, err, 0, nil)
	if !haveFlags(t) {
		return
	}
	n, err = Pwritev(fd, v, 0, 1<<30)
	want(t, "unknown flag", n, err, 0, unix.EOPNOTSUPP)
	n, err = Pwritev(fd, pieces([]byte("def"), 3), 0, unix.RWF_APPEND)
	want(t, "RWF_APPEND", n, err, 3, nil)
	b := make([]byte, 9)
	n, err = Preadv(fd, pieces(b, 3), 0, 0)
	want(t, "Preadv", n, err, 6, nil)
	if string(b[:6]) != "abcdef" {
		t.Errorf("appended: %q", b)
	}
}

// TestStreamTransfer moves a vector through a pipe of one page and through a
// socket, taken out in odd pieces, so that nearly every transfer is short.
func TestStreamTransfer(t *testing.T) {
	data := randomBytes(300_001)
	for _, kind := range []string{"pipe", "socket"} {
		var p [2]int
		if kind == "pipe" {
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 4096); err != nil {
				t.Fatal(err)
			}
		} else {
			var err error
			if p, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, segs := range []int{1, 1500} {
			done := make(chan []byte)
			go func() {
				got := make([]byte, len(data))
				at := 0
				for size := 1; at < len(data); size = size*3%7919 + 1 {
					v := pieces(got[at:min(len(data), at+size)], 1+size%5)
					n, err := Readv(p[0], v)
					if err != nil || n != v.Len() {
						t.Errorf("%s: Readv of %d: %d, %v", kind, v.Len(), n, err)
						break
					}
					at += n
				}
				done <- got
			}()
			n, err := Writev(p[1], pieces(data, segs))
			want(t, kind, n, err, len(data), nil)
			if got := <-done; !bytes.Equal(got, data) {
				t.Fatalf("%s, %d segments: other data", kind, segs)
			}
		}
		// Without a reader: what fits, and why no more.
		if err := unix.SetNonblock(p[1], true); err != nil {
			t.Fatal(err)
		}
		big := pieces(make([]byte, 4<<20), 64)
		n, err := Writev(p[1], big)
		if n <= 0 || n >= big.Len() || err != unix.EAGAIN {
			t.Errorf("%s: Writev into a full one: %d, %v", kind, n, err)
		}
		m, err := WritevOnce(p[1], big)
		want(t, "WritevOnce into a full one", m, err, 0, unix.EAGAIN)
		// The end: Readv is short without an error.
		unix.Close(p[1])
		m, err = Readv(p[0], pieces(make([]byte, n+9), 3))
		want(t, "Readv up to the end", m, err, n, nil)
		unix.Close(p[0])
	}
}

// TestMessages checks that a Once call leaves message boundaries alone.
func TestMessages(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	for _, n := range []int{40, 400} {
		m, err := WritevOnce(p[1], pieces(make([]byte, n), n/10))
		want(t, "WritevOnce", m, err, n, nil)
	}
	for _, n := range []int{40, 400} {
		m, err := ReadvOnce(p[0], pieces(make([]byte, 1000), 20))
		want(t, "ReadvOnce", m, err, n, nil)
	}
}

// TestInterrupted sends signals to a thread in a read that the kernel does not
// restart by itself, as it does not on sockets with a time-out.
func TestInterrupted(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if err := unix.SetsockoptTimeval(p[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		t.Fatal(err)
	}
	type result struct {
		n   int
		err error
	}
	tid, done := make(chan int), make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		n, err := Readv(p[0], pieces(make([]byte, 10), 3))
		done <- result{n, err}
	}()
	thread := <-tid
	for i := range 20 {
		time.Sleep(time.Millisecond)
		if err := unix.Tgkill(unix.Getpid(), thread, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			unix.Write(p[1], make([]byte, 4))
		}
	}
	unix.Write(p[1], make([]byte, 6))
	r := <-done
	want(t, "Readv", r.n, r.err, 10, nil)
}

// TestFault has a vector whose middle is no memory: what comes before counts.
func TestFault(t *testing.T) {
	page := unix.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	if err := unix.Mprotect(mem[page:2*page], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	fd := tempFile(t, randomBytes(4*page))
	good := make([]byte, page)
	v := new(Vec)
	for _, b := range [][]byte{good, mem[page : 2*page], good} {
		if err := v.AppendMem(b); err != nil {
			t.Fatal(err)
		}
	}
	n, err := Preadv(fd, v, 0, 0)
	want(t, "Preadv", n, err, page, unix.EFAULT)
	if !bytes.Equal(good, randomBytes(4 * page)[:page]) {
		t.Error("what came before the fault is not there")
	}
	n, err = Pwritev(fd, v, int64(page), 0)
	want(t, "Pwritev", n, err, page, unix.EFAULT)
}

// TestLimits reaches the ends of files and devices in the middle of a write.
func TestLimits(t *testing.T) {
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	fd := tempFile(t, nil)
	src := tempFile(t, randomBytes(9000))
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10_000, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &old)
	n, err := Pwritev(fd, pieces(randomBytes(20_000), 1500), 3, 0)
	want(t, "Pwritev over RLIMIT_FSIZE", n, err, 9997, unix.EFBIG)
	n, err = PwritevOnce(fd, pieces(randomBytes(20_000), 15), 9000, 0)
	want(t, "PwritevOnce over RLIMIT_FSIZE", n, err, 1000, nil)
	var v Vec
	_ = v.AppendMem(make([]byte, 5))
	_ = v.AppendFile(src, 0, 9000)
	n, err = Pwritev(fd, &v, 2000, 0)
	want(t, "a file range over RLIMIT_FSIZE", n, err, 8000, unix.EFBIG)

	full, err := unix.Open("/dev/full", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(full)
	n, err = Writev(full, pieces(make([]byte, 100), 3))
	want(t, "a full device", n, err, 0, unix.ENOSPC)
}

// TestDirectEnd reads past an end that direct I/O cannot ask about twice.
func TestDirectEnd(t *testing.T) {
	fd := tempFile(t, randomBytes(4096+512+100))
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	direct, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Logf("direct I/O refused here (%v), buffered instead", err)
		if direct, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	defer unix.Close(direct)
	a, err := NewArena(4096, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var v Vec
	for range 4 {
		b, _ := a.Get()
		defer a.Put(b)
		_ = v.AppendMem(b.Bytes())
	}
	if !v.Aligned(4096) {
		t.Error("slots are not aligned")
	}
	n, err := Preadv(direct, &v, 0, 0)
	want(t, "Preadv", n, err, 4096+512+100, nil)
	// What decides it where the file system refuses to be asked twice.
	size := int64(n)
	if !atEnd(direct, size) || !atEnd(direct, size+1) || atEnd(direct, size-1) || atEnd(-1, size) {
		t.Error("atEnd is wrong about the end")
	}
	dir, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	if atEnd(dir, math.MaxInt64) {
		t.Error("only a regular file has an end")
	}
}

// TestOffsetWords joins the words again as the kernel does.
func TestOffsetWords(t *testing.T) {
	const bits = 32 << (^uintptr(0) >> 63)
	for _, off := range []int64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<62 + 12345, math.MaxInt64} {
		low, high := offsetWords(off)
		if got := int64(uint64(high)<<(bits/2)<<(bits/2) | uint64(low)); got != off {
			t.Errorf("%d becomes %d", off, got)
		}
	}
}
