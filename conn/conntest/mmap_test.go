package conntest_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestMap: a shared mapping reads and dirties pages, in every cache mode, and
// outlives the close of its file; a private one changes nothing.
func TestMap(t *testing.T) {
	page := unix.Getpagesize()
	for _, on := range []bool{false, true} {
		h := &keeper{data: bytes.Repeat([]byte("x"), 2*page+10)}
		k := back(t, h, on)
		c := k.Process(1000, 1000)
		f, err := c.Open("/f", unix.O_RDWR, 0)
		check(t, err)
		m, err := f.Map(0, 4*page, true)
		check(t, err)
		p, err := f.Map(0, page, false)
		check(t, err)
		_, err = p.WriteAt([]byte("private"), 0)
		check(t, err)
		_, err = m.WriteAt([]byte("hello"), int64(page)-2)
		check(t, err)
		b := make([]byte, 5)
		_, err = f.ReadAt(b, int64(page)-2)
		check(t, err)
		if string(b) != "hello" || len(h.writes) != 0 || k.Count(protocol.OpRead) != 2 {
			t.Errorf("%q, WRITEs %v, %d READs", b, h.writes, k.Count(protocol.OpRead))
		}
		_, err = m.ReadAt(b, int64(3*page))
		want(t, err, unix.EFAULT) // SIGBUS
		check(t, m.Sync())
		if s := fmt.Sprintf("[0+%d]", 2*page); fmt.Sprint(h.writes) != s || h.kills[0] != protocol.WriteCache || h.foreign || k.Count(protocol.OpFsync) != 1 {
			t.Errorf("WRITEs %v, want %s; write_flags %v", h.writes, s, h.kills)
		}
		check(t, f.Close())
		_, err = m.WriteAt([]byte("end"), int64(2*page))
		check(t, err)
		check(t, p.Unmap())
		if k.Count(protocol.OpRelease) != 0 {
			t.Error("RELEASE of a file that is mapped")
		}
		check(t, m.Unmap())
		k.Idle()
		if k.Count(protocol.OpRelease) != 1 || h.writes[1] != fmt.Sprint(2*page, "+", 10) || string(h.data[:1]) != "x" || string(h.data[2*page:2*page+3]) != "end" {
			t.Errorf("%d RELEASEs, WRITEs %v", k.Count(protocol.OpRelease), h.writes)
		}
		want(t, m.Unmap(), unix.EINVAL)
		check(t, k.Unmount())
	}
}

// TestMapDirect: FOPEN_DIRECT_IO files, with DIRECT_IO_ALLOW_MMAP and without.
func TestMapDirect(t *testing.T) {
	page := unix.Getpagesize()
	for _, allow := range []bool{true, false} {
		h := &keeper{data: make([]byte, 4*page), open: protocol.FopenDirectIO | protocol.FopenParallelDirectWrites}
		o := options(conntest.Options{})
		if !allow {
			o.Flags = conntest.AllFlags &^ protocol.InitDirectIOAllowMmap
		}
		k, err := conntest.New(h, o)
		check(t, err)
		f, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
		check(t, err)
		m, err := f.Map(0, page, true)
		if allow {
			check(t, err)
			_, err = m.WriteAt([]byte("map"), 0)
			check(t, err)
			b := make([]byte, 3)
			_, err = f.ReadAt(b, 0) // writes the page back first
			check(t, err)
			if string(b) != "map" || len(h.writes) != 1 {
				t.Errorf("%q, WRITEs %v", b, h.writes)
			}
			check(t, m.Unmap())
		} else {
			want(t, err, unix.ENODEV)
		}
		p, err := f.Map(0, page, false)
		check(t, err)
		check(t, p.Unmap())
		check(t, f.Close())
		check(t, k.Unmount())
	}
}

// TestMkwriteWaits: a page under write-back is not made dirty through a mapping
// before it has landed.
func TestMkwriteWaits(t *testing.T) {
	h, k, f := dirtied(t, 2, conntest.Options{})
	m, err := f.Map(0, unix.Getpagesize(), true)
	check(t, err)
	k.Writeback()
	h.arrived(t, 1)
	writing := background(func() error { _, err := m.WriteAt([]byte("mapped"), 0); return err })
	select {
	case <-writing:
		t.Error("a page under write-back was dirtied")
	case <-time.After(20 * time.Millisecond):
	}
	close(h.gate)
	check(t, after(t, writing))
	check(t, m.Unmap())
	check(t, f.Close())
	if string(h.data[:6]) != "mapped" {
		t.Errorf("%q", h.data[:6])
	}
	check(t, k.Unmount())
}

// TestReadahead: reads that go on ask ahead, others do not.
func TestReadahead(t *testing.T) {
	page := unix.Getpagesize()
	for _, async := range []bool{true, false} {
		var got []string
		h := &keeper{data: make([]byte, 40*page)}
		for i := range h.data {
			h.data[i] = byte(i / page)
		}
		o := options(conntest.Options{Readahead: 8, Trace: sizes(&got)})
		if !async {
			o.Flags = conntest.AllFlags &^ protocol.InitAsyncRead
		}
		k, err := conntest.New(h, o)
		check(t, err)
		f, err := k.Process(0, 0).Open("/f", unix.O_RDONLY, 0)
		check(t, err)
		b := make([]byte, page)
		for p := range 6 {
			_, err := f.ReadAt(b, int64(p*page))
			check(t, err)
			if b[0] != byte(p) {
				t.Errorf("page %d has %d", p, b[0])
			}
		}
		_, err = f.ReadAt(b, int64(30*page))
		check(t, err)
		if b[0] != 30 {
			t.Errorf("page 30 has %d", b[0])
		}
		if !k.Idle() {
			t.Error("not idle")
		}
		if s := fmt.Sprintf("[R0+%d R%d+%d R%d+%d]", 8*page, 8*page, 8*page, 30*page, page); fmt.Sprint(got) != s {
			t.Errorf("%v, want %s", got, s)
		}
		check(t, f.Close())
		check(t, k.Unmount())
	}
}

// TestReadaheadRaces: what is read ahead while others write and truncate is not
// older than what they wrote; a schedule repeats.
func TestReadaheadRaces(t *testing.T) {
	page := unix.Getpagesize()
	for seed := range uint64(6) {
		var traces [2][]string
		for round := range traces {
			h := &keeper{data: make([]byte, 16*page)}
			o := options(conntest.Options{Readahead: 4})
			o.Conn.Want |= protocol.InitWritebackCache
			o.Conn.Threads = 1
			k, err := conntest.New(h, o)
			check(t, err)
			traces[round] = k.Run(seed, 0, 0, func(c *conntest.Client) {
				f, err := c.Open("/f", unix.O_RDONLY, 0)
				if err != nil {
					t.Error(err)
					return
				}
				b := make([]byte, page)
				for p := range 16 {
					if _, err := f.ReadAt(b, int64(p*page)); err != nil || b[0] > 1 || b[0] != b[page-1] {
						t.Errorf("seed %d: page %d: %v, %d", seed, p, err, b[0])
					}
				}
			}, func(c *conntest.Client) {
				f, err := c.Open("/f", unix.O_RDWR, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for p := range 8 {
					want := bytes.Repeat([]byte{1}, page)
					if _, err := f.WriteAt(want, int64(2*p*page)); err != nil {
						t.Error(err)
					}
					b := make([]byte, page)
					if _, err := f.ReadAt(b, int64(2*p*page)); err != nil || !bytes.Equal(b, want) {
						t.Errorf("seed %d: page %d is older than its write (%v)", seed, 2*p, err)
					}
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
			check(t, k.Unmount())
		}
		if fmt.Sprint(traces[0]) != fmt.Sprint(traces[1]) {
			t.Errorf("seed %d does not repeat", seed)
		}
	}
}
