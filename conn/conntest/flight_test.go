package conntest_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// dirtied mounts a holder of WRITEs with the write-back cache, and dirties every
// other page of n.
func dirtied(t *testing.T, n int64, o conntest.Options) (*holder, *conntest.Kernel, *conntest.File) {
	t.Helper()
	h := &holder{keeper: keeper{data: make([]byte, n*int64(unix.Getpagesize()))}, hold: protocol.OpWrite, gate: make(chan struct{})}
	po := options(o)
	po.Conn.Want |= protocol.InitWritebackCache
	po.Conn.Threads, po.Conn.MaxBackground = 16, 4
	k, err := conntest.New(h, po)
	check(t, err)
	f, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
	check(t, err)
	for p := int64(0); p < n; p += 2 {
		_, err := f.WriteAt(bytes.Repeat([]byte{1 + byte(p)}, unix.Getpagesize()), p*int64(unix.Getpagesize()))
		check(t, err)
	}
	return h, k, f
}

// TestFlights: WRITEs of one file are out at once, up to max_background; a
// truncation waits for them; a page is not written again before it has landed.
func TestFlights(t *testing.T) {
	h, k, f := dirtied(t, 12, conntest.Options{})
	k.Writeback()
	h.arrived(t, 4)
	time.Sleep(10 * time.Millisecond)
	if n := k.Count(protocol.OpWrite); n != 4 {
		t.Errorf("%d WRITEs were sent, max_background is 4", n)
	}
	_, err := f.WriteAt([]byte("again"), 0) // dirty again, while under write-back
	check(t, err)
	cut := background(func() error { return f.Truncate(5 * uint64(unix.Getpagesize())) })
	time.Sleep(10 * time.Millisecond)
	if k.Count(protocol.OpSetattr) != 0 {
		t.Error("SETATTR while WRITEs are out")
	}
	close(h.gate)
	check(t, after(t, cut))
	check(t, f.Close())
	if len(h.data) != 5*unix.Getpagesize() || string(h.data[:6]) != "again\x01" || h.data[len(h.data)-1] != 5 {
		t.Errorf("%d bytes at the server, or others: %q", len(h.data), h.data[:6])
	}
	if n := k.Count(protocol.OpWrite); n != 7 {
		t.Errorf("%d WRITEs, want 7", n)
	}
	check(t, k.Unmount())
}

// TestDirtyLimit: a writer that dirties much starts write-back, and waits.
func TestDirtyLimit(t *testing.T) {
	h := &keeper{}
	o := options(conntest.Options{DirtyLimit: 4})
	o.Conn.Want |= protocol.InitWritebackCache
	k, err := conntest.New(h, o)
	check(t, err)
	f, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
	check(t, err)
	page := unix.Getpagesize()
	for p := range 10 {
		_, err := f.WriteAt(make([]byte, page), int64(p*page))
		check(t, err)
	}
	if n := k.Count(protocol.OpWrite); n != 2 {
		t.Errorf("%d WRITEs before the close, want 2", n)
	}
	check(t, f.Close())
	want := []string{fmt.Sprint("0+", 4*page), fmt.Sprint(4*page, "+", 4*page), fmt.Sprint(8*page, "+", 2*page)}
	slices.Sort(want)
	slices.Sort(h.writes)
	if !slices.Equal(h.writes, want) {
		t.Errorf("WRITEs %v, want %v", h.writes, want)
	}
	check(t, k.Unmount())
}

// TestSuidWritesThrough: with HANDLE_KILLPRIV_V2 an unprivileged write to a file
// with S_ISUID does not stay in the write-back cache, and says KILL_SUIDGID.
func TestSuidWritesThrough(t *testing.T) {
	for _, v := range []struct {
		mode, uid uint32
		through   bool
	}{{0o4755, 1000, true}, {0o4755, 0, false}, {0o2755, 1000, true}, {0o2745, 0, false}, {0o755, 1000, false}} {
		h := &keeper{data: make([]byte, 10), mode: v.mode}
		k := back(t, h, true)
		f, err := k.Process(v.uid, v.uid).Open("/f", unix.O_RDWR, 0)
		check(t, err)
		_, err = f.WriteAt([]byte("x"), 0)
		check(t, err)
		h.mu.Lock()
		through := len(h.kills) == 1 && h.kills[0] == protocol.WriteKillSuidgid
		h.mu.Unlock()
		if through != v.through {
			t.Errorf("mode %#o, uid %d: write_flags %v", v.mode, v.uid, h.kills)
		}
		check(t, f.Close())
		check(t, k.Unmount())
	}
}

// TestWritebackRaces: processes that write, sync and truncate one file at once
// leave what one after the other would; the last word is one of theirs.
func TestWritebackRaces(t *testing.T) {
	page := unix.Getpagesize()
	for seed := range uint64(8) {
		h := &keeper{data: make([]byte, 8*page)}
		k := back(t, h, true)
		task := func(n int) func(*conntest.Client) {
			return func(c *conntest.Client) {
				f, err := c.Open("/f", unix.O_RDWR, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for r := range 4 {
					_, err := f.WriteAt(bytes.Repeat([]byte{byte(n)}, page), int64((n+3*r)%9*page))
					if err == nil && r == 1 {
						err = f.Fsync(false)
					}
					if err == nil && r == 2 {
						err = f.Truncate(uint64(9*page + n))
					}
					if err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
				k.Writeback()
				if err := f.Close(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		}
		k.Run(seed, 0, 0, task(1), task(2), task(3))
		for p := range 9 {
			b := h.data[p*page : p*page+page]
			if !bytes.Equal(b, bytes.Repeat(b[:1], page)) || b[0] != 0 && b[0] > 3 {
				t.Errorf("seed %d: page %d is torn", seed, p)
			}
		}
		check(t, k.Unmount())
	}
}
