package conntest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

type answers map[protocol.Opcode]func(r *conn.Request) bool

func fail(e unix.Errno) func(r *conn.Request) bool {
	return func(r *conn.Request) bool { _ = r.ReplyError(e); return true }
}

func TestStatx(t *testing.T) {
	for _, minor := range []uint32{38, 39, 46} {
		h := &robot{}
		k := robotKernel(t, h, conntest.Options{Minor: minor}, "")
		c := k.Process(0, 0)
		sx, err := c.Statx("/f", 0, unix.STATX_SIZE) // the LOOKUP's attributes are good
		check(t, err)
		if sx.Size != robotSize || sx.Mask != unix.STATX_BASIC_STATS || k.Count(protocol.OpGetattr) != 0 {
			t.Errorf("size %d mask %#x after %d GETATTRs", sx.Size, sx.Mask, k.Count(protocol.OpGetattr))
		}
		h.took(0)
		sx, err = c.Statx("/f", 0, unix.STATX_BTIME)
		check(t, err)
		if minor < 39 {
			if k.Count(protocol.OpStatx) != 0 || sx.Mask&unix.STATX_BTIME != 0 {
				t.Error("STATX before 7.39")
			}
			continue
		}
		one(t, h, protocol.OpStatx, "nodeid=3")
		if sx.Btime.TvSec != 77 {
			t.Errorf("btime %+v", sx.Btime)
		}
		for _, flags := range []int{0, unix.AT_STATX_DONT_SYNC} { // cached
			if sx, err = c.Statx("/f", flags, unix.STATX_BTIME|unix.STATX_MODE); err != nil || sx.Btime.TvSec != 77 {
				t.Error(sx, err)
			}
		}
		k.Advance(2 * time.Second)
		if _, err = c.Statx("/f", 0, unix.STATX_MODE); err != nil {
			t.Error(err)
		}
		if k.Count(protocol.OpStatx) != 1 {
			t.Error("asked again")
		}
	}
}

func TestFallocate(t *testing.T) {
	h := &robot{}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(0, 0)
	f := open(t, c, "/f", unix.O_RDWR)
	p := make([]byte, robotSize)
	if n, err := f.ReadAt(p, 0); n != robotSize || err != nil {
		t.Fatal(n, err)
	}
	h.took(0)
	const keep, punch, zero = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE
	check(t, f.Fallocate(punch|keep, 100, 9000))
	one(t, h, protocol.OpFallocate, "offset=100", "length=9000")
	// Whole pages are read again, parts of pages were cleared.
	if _, err := f.ReadAt(p[:100+10], 0); err != nil || p[99] != 'x' || p[100] != 0 {
		t.Errorf("%q %v", p[90:110], err)
	}
	if n := len(h.took(protocol.OpRead)); n != 0 {
		t.Errorf("%d READs of a page that is cached", n)
	}
	if _, err := f.ReadAt(p[:10], int64(unix.Getpagesize())); err != nil {
		t.Error(err)
	}
	if n := len(h.took(protocol.OpRead)); unix.Getpagesize() == 4096 && n != 1 {
		t.Errorf("%d READs of a page that was punched out", n)
	}
	check(t, f.Fallocate(0, 0, 50000))
	h.took(0)
	for _, w := range []struct {
		mode     uint32
		off, len int64
		err      unix.Errno
	}{
		{0, -1, 5, unix.EINVAL}, {0, 0, 0, unix.EINVAL}, {0, 1<<63 - 5, 10, unix.EFBIG},
		{punch, 0, 5, unix.EOPNOTSUPP}, {punch | zero | keep, 0, 5, unix.EOPNOTSUPP},
		{unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096, unix.EOPNOTSUPP},
	} {
		want(t, f.Fallocate(w.mode, w.off, w.len), w.err)
	}
	want(t, open(t, c, "/g", unix.O_RDONLY).Fallocate(0, 0, 5), unix.EBADF)
	if l := h.took(protocol.OpFallocate); l != nil {
		t.Error(l)
	}
}

func TestSeek(t *testing.T) {
	h := &robot{answer: answers{protocol.OpLseek: func(r *conn.Request) bool {
		in := r.LseekIn()
		if in.Offset == 9 {
			_ = r.ReplyError(unix.ENXIO)
			return true
		}
		protocol.ViewOf[protocol.LseekOut](r.Out()).Offset = in.Offset + 1000
		if in.Offset == 8 {
			protocol.ViewOf[protocol.LseekOut](r.Out()).Offset = 1 << 63
		}
		_ = r.Reply(8, 0)
		return true
	}}}
	k := robotKernel(t, h, conntest.Options{}, "an offset above 1<<63-1")
	c := k.Process(0, 0)
	f := open(t, c, "/f", unix.O_RDONLY)
	for _, w := range []struct {
		off    int64
		whence int
		at     int64
		err    unix.Errno
	}{
		{5, unix.SEEK_SET, 5, 0}, {6, unix.SEEK_CUR, 11, 0}, {-3, unix.SEEK_END, robotSize - 3, 0},
		{-1, unix.SEEK_SET, 0, unix.EINVAL}, {0, 77, 0, unix.EINVAL},
		{10, unix.SEEK_DATA, 1010, 0}, {9, unix.SEEK_HOLE, 0, unix.ENXIO}, {8, unix.SEEK_DATA, 0, unix.EINVAL},
		{1, unix.SEEK_CUR, 1011, 0},
	} {
		at, err := f.Seek(w.off, w.whence)
		if got, _ := err.(unix.Errno); got != w.err || at != w.at {
			t.Errorf("%d from %d: %d, %v", w.off, w.whence, at, err)
		}
	}
	k.Advance(2 * time.Second)
	h.took(0)
	_, err := f.Seek(0, unix.SEEK_END)
	check(t, err)
	one(t, h, protocol.OpGetattr, "nodeid=3", "getattr_flags=FH")
}

func TestCopyRange(t *testing.T) {
	h := &robot{answer: answers{}}
	k := robotKernel(t, h, conntest.Options{}, "8193 bytes copied of 8192")
	c := k.Process(0, 0)
	f, g := open(t, c, "/f", unix.O_RDONLY), open(t, c, "/g", unix.O_RDWR)
	p := make([]byte, robotSize)
	if _, err := g.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	h.took(0)
	if n, err := f.CopyRange(100, g, 19000, 8192); n != 8192 || err != nil {
		t.Fatal(n, err)
	}
	one(t, h, protocol.OpCopyFileRange64, "nodeid=3", "nodeid_out=4", "len=8192", "off_out=19000")
	if _, err := g.ReadAt(p[:10], 19000); err != nil {
		t.Fatal(err)
	}
	if len(h.took(protocol.OpRead)) == 0 {
		t.Error("read from the cache what was copied over")
	}
	if n, err := f.CopyRange(robotSize-10, g, 0, 8192); n != 10 || err != nil { // cut at the end
		t.Fatal(n, err)
	}
	for _, w := range []struct {
		from, to *conntest.File
		off, n   int64
		err      unix.Errno
	}{
		{g, g, 5, 10, unix.EINVAL}, {g, f, 0, 10, unix.EBADF}, {f, g, -1, 10, unix.EINVAL}, {f, g, 1 << 62, 1 << 62, unix.EOVERFLOW},
	} {
		_, err := w.from.CopyRange(w.off, w.to, 0, w.n)
		want(t, err, w.err)
	}
	h.mu.Lock()
	h.answer[protocol.OpCopyFileRange64] = func(r *conn.Request) bool {
		protocol.ViewOf[protocol.CopyFileRangeOut](r.Out()).BytesCopied = r.CopyFileRangeIn().Len + 1
		_ = r.Reply(8, 0)
		return true
	}
	h.mu.Unlock()
	_, err := f.CopyRange(0, g, 0, 8192)
	want(t, err, unix.EIO)
}

// TestCopyRangeDirty copies what is not written yet.
func TestCopyRangeDirty(t *testing.T) {
	h := &robot{}
	o := options(conntest.Options{})
	o.Conn.Want |= protocol.InitWritebackCache
	k := robotKernel(t, h, *o, "")
	c := k.Process(0, 0)
	f, g := open(t, c, "/f", unix.O_RDWR), open(t, c, "/g", unix.O_RDWR)
	for _, x := range []*conntest.File{f, g} {
		if _, err := x.WriteAt(make([]byte, 2*unix.Getpagesize()), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.CopyRange(0, g, 0, 100); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	writes := 0
	for _, l := range h.log {
		if strings.HasPrefix(l, "WRITE ") {
			writes++
		}
		if strings.HasPrefix(l, "COPY") && writes != 2 {
			t.Errorf("%d WRITEs before %s", writes, l)
		}
	}
	if writes != 2 {
		t.Errorf("%d WRITEs", writes)
	}
}

func TestTmpfile(t *testing.T) {
	h := &robot{}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(0, 0)
	f, err := c.Tmpfile("/d", unix.O_RDWR, 0o600)
	check(t, err)
	one(t, h, protocol.OpTmpfile, "nodeid=2", `name="/"`, "mode=0100600")
	check(t, f.Link("/d/name"))
	one(t, h, protocol.OpLink, "nodeid=2", "oldnodeid=11")
	if a, err := c.Stat("/d/name"); err != nil || a.Ino != 11 {
		t.Error(a, err)
	}
	check(t, f.Close())
	_, err = c.Tmpfile("/d", unix.O_RDONLY, 0o600)
	want(t, err, unix.EINVAL)
	_, err = c.Tmpfile("/f", unix.O_RDWR, 0o600)
	want(t, err, unix.ENOTDIR)
	f, err = c.Tmpfile("/d", unix.O_RDWR|unix.O_EXCL, 0o600)
	check(t, err)
	check(t, f.Close())
	k.DropCaches()
	k.Idle()
	if n := k.Nlookup(); len(n) != 1 {
		t.Errorf("still known: %v", n)
	}
	old := robotKernel(t, &robot{}, conntest.Options{Minor: 36}, "")
	_, err = old.Process(0, 0).Tmpfile("/d", unix.O_RDWR, 0o600)
	want(t, err, unix.EOPNOTSUPP)
}

func TestPoll(t *testing.T) {
	ready, asked := false, make(chan uint64, 8)
	h := &robot{answer: answers{}}
	h.answer[protocol.OpPoll] = func(r *conn.Request) bool {
		in, out := r.PollIn(), protocol.ViewOf[protocol.PollOut](r.Out())
		if ready {
			out.Revents = unix.POLLIN
		}
		if in.Flags&protocol.PollScheduleNotify != 0 {
			asked <- in.Kh
		}
		_ = r.Reply(8, 0)
		return true
	}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(0, 0)
	f := open(t, c, "/f", unix.O_RDONLY)
	if got, err := f.Poll(unix.POLLIN); got != 0 || err != nil || len(asked) != 0 {
		t.Error(got, err, len(asked))
	}
	done := background(func() error {
		got, err := f.PollWait(unix.POLLIN)
		if err == nil && got != unix.POLLIN {
			err = unix.EDOM
		}
		return err
	})
	kh := <-asked
	check(t, k.Conn().NotifyPoll(kh+100)) // nobody's: ignored
	check(t, k.Conn().NotifyPoll(kh))     // too early: asked again
	<-asked
	h.mu.Lock()
	ready = true
	h.mu.Unlock()
	check(t, k.Conn().NotifyPoll(kh))
	check(t, after(t, done))
}

func TestFlock(t *testing.T) {
	for _, flags := range []protocol.InitFlags{conntest.AllFlags, conntest.AllFlags &^ (protocol.InitFlockLocks | protocol.InitPosixLocks)} {
		h := &robot{}
		k := robotKernel(t, h, conntest.Options{Flags: flags}, "")
		c := k.Process(0, 0)
		f, g := open(t, c, "/f", unix.O_RDWR), open(t, c, "/f", unix.O_RDWR)
		h.took(0)
		check(t, f.Flock(unix.LOCK_EX))
		if flags&protocol.InitFlockLocks != 0 {
			one(t, h, protocol.OpSetlkw, "lk_flags=FLOCK", "end=9223372036854775807")
			check(t, f.Close())
			k.Idle()
			one(t, h, protocol.OpRelease, "release_flags=FLOCK_UNLOCK")
			continue
		}
		want(t, g.Flock(unix.LOCK_SH|unix.LOCK_NB), unix.EAGAIN)
		done := background(func() error { return g.Flock(unix.LOCK_SH) })
		check(t, f.Flock(unix.LOCK_UN))
		check(t, after(t, done))
		other := open(t, k.Process(0, 0), "/f", unix.O_RDWR)
		check(t, f.Lock(unix.F_WRLCK, 10, 30, false))
		check(t, f.Lock(unix.F_UNLCK, 15, 20, false))
		want(t, other.Lock(unix.F_RDLCK, 21, 21, false), unix.EAGAIN)
		check(t, other.Lock(unix.F_RDLCK, 15, 20, false))
		if l, err := other.TestLock(unix.F_RDLCK, 0, 100); err != nil || l.Start != 10 || l.End != 14 {
			t.Error(l, err)
		}
		check(t, f.Close()) // drops the process's locks
		check(t, other.Lock(unix.F_WRLCK, 0, 100, false))
		h.took(0)
		if k.Count(protocol.OpSetlk)+k.Count(protocol.OpSetlkw)+k.Count(protocol.OpGetlk) != 0 {
			t.Error("the server was asked")
		}
	}
}

func TestBlockDevice(t *testing.T) {
	for _, block := range []bool{true, false} {
		h := &robot{}
		k := robotKernel(t, h, conntest.Options{Block: block}, "")
		c := k.Process(0, 0)
		f := open(t, c, "/f", unix.O_RDONLY)
		n, err := f.Bmap(5)
		check(t, err)
		check(t, c.Sync())
		check(t, f.Close())
		check(t, k.Unmount())
		if got := []int{int(n), k.Count(protocol.OpBmap), k.Count(protocol.OpSyncfs), k.Count(protocol.OpDestroy)}; block != (got[0] == 105 && got[1]+got[2]+got[3] == 3) ||
			!block && got[0]+got[1]+got[2]+got[3] != 0 {
			t.Error(block, got)
		}
	}
}
