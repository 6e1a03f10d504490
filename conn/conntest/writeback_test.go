package conntest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// keeper is clerk with data in "f". A handle opened O_WRONLY cannot be read if
// strict, which is right without WRITEBACK_CACHE and a bug with it.
type keeper struct {
	clerk
	mu      sync.Mutex
	strict  bool
	full    bool // ENOSPC to every WRITE
	data    []byte
	writes  []string
	mtime   uint64
	foreign bool     // a WRITE of the cache came with somebody's ids
	mode    uint32   // of f, if not 0
	open    uint32   // FOPEN flags
	kills   []uint32 // write_flags of each WRITE
}

func (h *keeper) fill(a *protocol.Attr) {
	if a.Mode&unix.S_IFMT == unix.S_IFREG {
		a.Size, a.Mtime = uint64(len(h.data)), h.mtime
		if h.mode != 0 {
			a.Mode = unix.S_IFREG | h.mode
		}
	}
}

func (h *keeper) resize(n int) {
	h.data = append(h.data, make([]byte, max(0, n-len(h.data)))...)[:n]
}

func (h *keeper) Serve(r *conn.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r.Op() {
	case protocol.OpLookup:
		e := protocol.ViewOf[protocol.EntryOut](r.Out())
		if !h.entry(string(r.Name), e) {
			_ = r.ReplyError(unix.ENOENT)
			return
		}
		h.fill(&e.Attr)
		_ = r.Reply(128, 0)
	case protocol.OpGetattr, protocol.OpSetattr:
		o := protocol.ViewOf[protocol.AttrOut](r.Out())
		if in := r.SetattrIn(); in != nil {
			if in.Valid&protocol.FattrSize != 0 {
				h.resize(int(in.Size))
			}
			if in.Valid&protocol.FattrMtime != 0 {
				h.mtime = in.Mtime
			}
		}
		h.attr(r.Header.Nodeid, &o.Attr)
		h.fill(&o.Attr)
		_ = r.Reply(104, 0)
	case protocol.OpOpen:
		o := protocol.ViewOf[protocol.OpenOut](r.Out())
		o.Fh = uint64(r.OpenIn().Flags & unix.O_ACCMODE)
		o.OpenFlags = h.open
		_ = r.Reply(16, 0)
	case protocol.OpRead:
		in := r.ReadIn()
		if h.strict && in.Fh == unix.O_WRONLY {
			_ = r.ReplyError(unix.EBADF)
			return
		}
		n := 0
		if in.Offset < uint64(len(h.data)) {
			n = copy(r.Payload()[:in.Size], h.data[in.Offset:])
		}
		_ = r.Reply(0, n)
	case protocol.OpWrite:
		in := r.WriteIn()
		if h.full {
			_ = r.ReplyError(unix.ENOSPC)
			return
		}
		h.writes = append(h.writes, fmt.Sprint(in.Offset, "+", in.Size))
		h.kills = append(h.kills, in.WriteFlags)
		if in.WriteFlags&protocol.WriteCache != 0 && r.Header.Pid|r.Header.Uid != 0 {
			h.foreign = true
		}
		h.resize(max(len(h.data), int(in.Offset)+len(r.Data)))
		copy(h.data[in.Offset:], r.Data)
		protocol.ViewOf[protocol.WriteOut](r.Out()).Size = in.Size
		_ = r.Reply(8, 0)
	case protocol.OpFsync:
		_ = r.Reply(0, 0)
	default:
		h.clerk.Serve(r)
	}
}

// back serves h with the write-back cache, or without.
func back(t *testing.T, h *keeper, on bool) *conntest.Kernel {
	t.Helper()
	o := options(conntest.Options{})
	o.Conn.Want |= protocol.InitWritebackCache
	if !on {
		o.Flags = conntest.AllFlags &^ protocol.InitWritebackCache
	}
	k, err := conntest.New(h, o)
	check(t, err)
	if on != (k.Params().Flags&protocol.InitWritebackCache != 0) {
		t.Fatal("WRITEBACK_CACHE is not as asked for")
	}
	return k
}

func TestWriteBack(t *testing.T) {
	h := &keeper{data: bytes.Repeat([]byte("x"), 3*unix.Getpagesize())}
	k := back(t, h, true)
	c := k.Process(1000, 1000)
	f, err := c.Open("/f", unix.O_WRONLY, 0)
	check(t, err)
	page := int64(unix.Getpagesize())
	for _, off := range []int64{10, page + 10, 3 * page} {
		_, err := f.WriteAt([]byte("hello"), off)
		check(t, err)
	}
	if len(h.writes) != 0 || k.Count(protocol.OpRead) != 2 {
		t.Errorf("before the close: %v, %d READs", h.writes, k.Count(protocol.OpRead))
	}
	st, err := c.Stat("/f")
	check(t, err)
	if st.Size != uint64(3*page+5) {
		t.Errorf("size %d: the server's was believed", st.Size)
	}
	check(t, f.Close())
	want := fmt.Sprintf("[0+%d %d+%d]", 2*page, 3*page, 5)
	if fmt.Sprint(h.writes) != want || h.foreign || h.mtime == 0 {
		t.Errorf("WRITEs %v, want %s; ids %v; mtime %d", h.writes, want, h.foreign, h.mtime)
	}
	if string(h.data[10:15]) != "hello" || h.data[9] != 'x' || h.data[15] != 'x' || string(h.data[3*page:]) != "hello" {
		t.Error("other data arrived")
	}
	check(t, k.Unmount())
}

// TestWriteBackErrors: who leaves a back end O_WRONLY is told so, and a lost
// write is told of once.
func TestWriteBackErrors(t *testing.T) {
	h := &keeper{strict: true, data: make([]byte, 100)}
	k := back(t, h, true)
	f, err := k.Process(0, 0).Open("/f", unix.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("hello"), 10)
	want(t, err, unix.EBADF)
	check(t, f.Close())
	_ = k.Unmount()
	expect(t, k, "must be opened O_RDWR")

	h = &keeper{full: true, data: make([]byte, 100)}
	k = back(t, h, true)
	f, err = k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("hello"), 10)
	check(t, err)
	want(t, f.Fsync(false), unix.ENOSPC)
	check(t, f.Fsync(false))
	check(t, f.Close())
	check(t, k.Unmount())
}

// TestData runs fsx's operations on two handles in every mode, every byte
// compared with a slice.
func TestData(t *testing.T) {
	for _, on := range []bool{false, true} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("writeback=%v/seed=%d", on, seed), func(t *testing.T) {
				h := &keeper{strict: !on}
				k := back(t, h, on)
				rng := rand.New(rand.NewPCG(seed, 2))
				c := k.Process(0, 0)
				var data []byte
				flags := []int{unix.O_RDWR, unix.O_WRONLY, unix.O_RDWR | unix.O_APPEND, unix.O_RDWR | unix.O_DIRECT}
				open := func() (*conntest.File, int) {
					fl := flags[rng.IntN(len(flags))]
					f, err := c.Open("/f", fl, 0)
					check(t, err)
					return f, fl
				}
				var fs [2]*conntest.File
				var fl [2]int
				fs[0], fl[0] = open()
				fs[1], fl[1] = open()
				for range 600 {
					i := rng.IntN(2)
					f := fs[i]
					off, n := rng.IntN(50000), 1+rng.IntN(20000)
					switch rng.IntN(8) {
					case 0, 1, 2:
						b := make([]byte, n)
						for j := range b {
							b[j] = byte(rng.Uint32())
						}
						m, err := f.WriteAt(b, int64(off))
						check(t, err)
						if fl[i]&unix.O_APPEND != 0 {
							off = len(data)
						}
						if m != n {
							t.Fatalf("%d of %d written", m, n)
						}
						data = append(data, make([]byte, max(0, off+n-len(data)))...)
						copy(data[off:], b)
					case 3:
						check(t, f.Truncate(uint64(off)))
						data = append(data, make([]byte, max(0, off-len(data)))...)[:off]
					case 4:
						check(t, f.Fsync(false))
					case 5:
						check(t, f.Close())
						fs[i], fl[i] = open()
					default:
						if fl[i]&unix.O_ACCMODE == unix.O_WRONLY {
							continue
						}
						b := make([]byte, n)
						m, err := f.ReadAt(b, int64(off))
						check(t, err)
						var want []byte
						if off < len(data) {
							want = data[off:min(len(data), off+n)]
						}
						if !bytes.Equal(b[:m], want) {
							t.Fatalf("%d bytes at %d of %d: %d read, or others", n, off, len(data), m)
						}
					}
					if st, err := fs[i].Stat(); err != nil || st.Size != uint64(len(data)) {
						t.Fatalf("size %d (%v), want %d", st.Size, err, len(data))
					}
				}
				check(t, fs[0].Close())
				check(t, fs[1].Close())
				if !bytes.Equal(h.data, data) {
					t.Errorf("the server has %d bytes, want %d, or others", len(h.data), len(data))
				}
				if h.foreign {
					t.Error("write-back with somebody's ids")
				}
				check(t, k.Unmount())
			})
		}
	}
}
