package conntest_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestAsyncDio: all requests of one O_DIRECT read are out at once with
// ASYNC_DIO, and one after the other without.
func TestAsyncDio(t *testing.T) {
	for _, async := range []bool{true, false} {
		data := make([]byte, 256<<10)
		for i := range data {
			data[i] = byte(i >> 8)
		}
		h := &holder{keeper: keeper{data: data}, hold: protocol.OpRead, gate: make(chan struct{})}
		o := options(conntest.Options{})
		o.Conn.Threads = 16
		if !async {
			o.Flags = conntest.AllFlags &^ protocol.InitAsyncDio
		}
		k, err := conntest.New(h, o)
		check(t, err)
		f, err := k.Process(0, 0).Open("/f", unix.O_RDONLY|unix.O_DIRECT, 0)
		check(t, err)
		b := make([]byte, 256<<10)
		reading := background(func() error {
			n, err := f.ReadAt(b, 0)
			if err == nil && n != len(b) {
				err = fmt.Errorf("%d bytes", n)
			}
			return err
		})
		if async {
			h.arrived(t, 2)
		} else {
			h.arrived(t, 1)
		}
		time.Sleep(20 * time.Millisecond)
		if n := k.Count(protocol.OpRead); async != (n > 1) {
			t.Errorf("ASYNC_DIO %v: %d READs are out", async, n)
		}
		close(h.gate)
		check(t, after(t, reading))
		if !bytes.Equal(b, data) {
			t.Error("other data")
		}
		check(t, f.Close())
		check(t, k.Unmount())
	}
}

// TestStart: reads and writes that are not waited for; one that extends is.
func TestStart(t *testing.T) {
	h := &holder{keeper: keeper{data: make([]byte, 128<<10), open: protocol.FopenDirectIO}, hold: protocol.OpWrite, gate: make(chan struct{})}
	k := serve(t, h, 0)
	f, err := k.Process(0, 0).Open("/f", unix.O_RDWR|unix.O_DIRECT, 0)
	check(t, err)
	one := f.StartWriteAt(bytes.Repeat([]byte("a"), 70000), 0)
	two := f.StartWriteAt(bytes.Repeat([]byte("b"), 1000), 100000)
	h.arrived(t, 3)
	if one.Done() || two.Done() {
		t.Error("done without an answer")
	}
	close(h.gate)
	for a, n := range map[*conntest.AIO]int{one: 70000, two: 1000} {
		if m, err := a.Wait(); m != n || err != nil {
			t.Errorf("%d, %v; want %d", m, err, n)
		}
	}
	three := f.StartWriteAt([]byte("c"), 1<<20)
	if !three.Done() {
		t.Error("an extending write was not waited for")
	}
	b := make([]byte, 1001)
	n, err := f.StartReadAt(b, 100000).Wait()
	check(t, err)
	if n != 1001 || string(b[:1]) != "b" || b[1000] != 0 {
		t.Errorf("%d bytes %q", n, b[:1])
	}
	check(t, f.Close())
	check(t, k.Unmount())
}

// partly answers the WRITE or READ at offset 65536 short, or with an error.
type partly struct {
	keeper
	err   unix.Errno
	short bool
}

func (h *partly) Serve(r *conn.Request) {
	if in := r.WriteIn(); in != nil && in.Offset == 65536 {
		if h.err != 0 {
			_ = r.ReplyError(h.err)
			return
		}
		if h.short {
			protocol.ViewOf[protocol.WriteOut](r.Out()).Size = in.Size / 2
			_ = r.Reply(8, 0)
			return
		}
	}
	if in := r.ReadIn(); in != nil && r.Op() == protocol.OpRead && in.Offset == 65536 && h.short {
		_ = r.Reply(0, int(in.Size/2))
		return
	}
	h.keeper.Serve(r)
}

// TestDioParts: what becomes of a read or write of which a part in the middle
// fails or is short; what a failed write has added is cut off.
func TestDioParts(t *testing.T) {
	for _, err := range []unix.Errno{0, unix.ENOSPC} {
		h := &partly{err: err, short: err == 0}
		k := serve(t, h, 0)
		f, e := k.Process(0, 0).Open("/f", unix.O_RDWR|unix.O_DIRECT, 0)
		check(t, e)
		n, e := f.WriteAt(make([]byte, 200000), 0)
		if n != 0 {
			t.Errorf("%d bytes written", n)
		}
		if err == 0 {
			want(t, e, unix.EIO)
		} else {
			want(t, e, err)
		}
		if len(h.data) != 0 || k.Count(protocol.OpSetattr) != 1 {
			t.Errorf("%d bytes are left, %d SETATTRs", len(h.data), k.Count(protocol.OpSetattr))
		}
		check(t, f.Close())
		check(t, k.Unmount())
	}
	h := &partly{keeper: keeper{data: make([]byte, 200000)}, short: true}
	k := serve(t, h, 0)
	f, e := k.Process(0, 0).Open("/f", unix.O_RDONLY|unix.O_DIRECT, 0)
	check(t, e)
	n, e := f.StartReadAt(make([]byte, 200000), 0).Wait()
	check(t, e)
	if n != 65536+32768 {
		t.Errorf("%d bytes read, want what is before the gap", n)
	}
	check(t, f.Close())
	_ = k.Unmount()
	expect(t, k, "read(2) returns less")
}

// TestBufferOffset: a buffer that is not aligned costs a page.
func TestBufferOffset(t *testing.T) {
	page := unix.Getpagesize()
	for _, off := range []int{0, 100} {
		var got []string
		o := options(conntest.Options{MaxPages: 2, BufferOffset: off, Trace: sizes(&got)})
		k, err := conntest.New(&keeper{data: make([]byte, 5*page), open: protocol.FopenDirectIO}, o)
		check(t, err)
		f, err := k.Process(0, 0).Open("/f", unix.O_RDONLY, 0)
		check(t, err)
		_, err = f.ReadAt(make([]byte, 4*page), 0)
		check(t, err)
		want := []string{fmt.Sprint("R0+", 2*page), fmt.Sprint("R", 2*page, "+", 2*page)}
		if off != 0 {
			want = []string{fmt.Sprint("R0+", 2*page-off), fmt.Sprint("R", 2*page-off, "+", 2*page), fmt.Sprint("R", 4*page-off, "+", off)}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		check(t, f.Close())
		check(t, k.Unmount())
	}
}
