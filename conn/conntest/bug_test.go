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

// clerk is a handler with nothing in between: a directory "d", a file "f" of
// 10000 bytes. Each of its fields breaks one rule.
type clerk struct {
	twice      bool // replies twice
	overflow   bool // an entry counted, for which there was no room
	cut        bool // half a READDIRPLUS entry at the end, counted
	cookie     bool // a cookie of 0
	shortRead  bool // a READ that stops in the middle of the file
	longWrite  bool // more written than asked
	badSize    bool // a payload that is too long
	noType     bool // attributes without a file type
	changeType bool // a file becomes a directory
	rootEntry  bool // the root's nodeid for a name
	sameGen    bool // a nodeid comes back for another type of object
	dotCounted bool // "." with a nodeid
	slash      bool // a name with '/' in a directory
	noUndo     bool // a lost reply is not taken back
	resize     bool // SETATTR of size answered with another size
	mute       bool // no reply
	lookups    map[uint64]uint64
	seen       int
	lastID     uint64
	k          *conntest.Kernel
}

const fileSize = 10000

func (h *clerk) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error {
	h.lookups = map[uint64]uint64{}
	return nil
}
func (h *clerk) Forget(nodeid, n uint64) { h.lookups[nodeid] -= n }
func (h *clerk) Done()                   {}

func (h *clerk) attr(nodeid uint64, a *protocol.Attr) {
	a.Ino, a.Nlink, a.Mode = nodeid, 1, unix.S_IFDIR|0o755
	if nodeid == 3 {
		a.Mode, a.Size = unix.S_IFREG|0o644, fileSize
		h.seen++
		switch {
		case h.noType:
			a.Mode = 0o644
		case h.changeType && h.seen > 1:
			a.Mode = unix.S_IFDIR | 0o755
		}
	}
}

func (h *clerk) entry(name string, e *protocol.EntryOut) bool {
	switch name {
	case "d":
		e.Nodeid = 2
	case "f":
		e.Nodeid = 3
	default:
		return false
	}
	if h.rootEntry {
		e.Nodeid = protocol.RootID
	}
	h.attr(e.Nodeid, &e.Attr)
	if h.sameGen && name == "d" {
		e.Nodeid = 3
	}
	h.lookups[e.Nodeid]++
	return true
}

func (h *clerk) Serve(r *conn.Request) {
	fixed, _ := protocol.ReplySize(r.Op(), r.Conn().Params())
	data := 0
	switch r.Op() {
	case protocol.OpLookup:
		e := protocol.ViewOf[protocol.EntryOut](r.Out())
		if !h.entry(string(r.Name), e) {
			_ = r.ReplyError(unix.ENOENT)
			return
		}
		h.lastID = r.Unique()
		if id := e.Nodeid; r.Reply(fixed, 0) == unix.ENOENT && !h.noUndo {
			h.lookups[id]--
		}
		if h.twice {
			h.again(r)
		}
		return
	case protocol.OpGetattr, protocol.OpSetattr:
		o := protocol.ViewOf[protocol.AttrOut](r.Out())
		h.attr(r.Header.Nodeid, &o.Attr)
		if in := r.SetattrIn(); in != nil && !h.resize {
			o.Attr.Size = in.Size
		}
		if h.badSize {
			data = 8
		}
		if h.mute {
			r.Detach()
			return
		}
	case protocol.OpOpen, protocol.OpOpendir:
	case protocol.OpRead:
		in := r.ReadIn()
		data = int(min(uint64(in.Size), fileSize-min(in.Offset, fileSize)))
		if h.shortRead {
			data /= 2
		}
	case protocol.OpWrite:
		o := protocol.ViewOf[protocol.WriteOut](r.Out())
		o.Size = r.WriteIn().Size
		if h.longWrite {
			o.Size++
		}
	case protocol.OpReaddirplus:
		if r.ReadIn().Offset == 0 {
			data = h.list(r.Payload())
		}
	case protocol.OpFlush, protocol.OpRelease, protocol.OpReleasedir:
		fixed = 0
	default:
		_ = r.ReplyError(unix.ENOSYS)
		return
	}
	_ = r.Reply(fixed, data)
}

// list fills a READDIRPLUS reply.
func (h *clerk) list(dst []byte) int {
	var b []byte
	var e protocol.EntryOut
	if h.dotCounted {
		e.Nodeid, e.Attr.Mode = 9, unix.S_IFDIR
	}
	b = protocol.AppendDirentplus(b, &e, 1, unix.DT_DIR, []byte("."))
	name := "f"
	e = protocol.EntryOut{}
	h.entry(name, &e)
	if h.slash {
		name = "f/g"
	}
	off := uint64(2)
	if h.cookie {
		off = 0
	}
	b = protocol.AppendDirentplus(b, &e, off, unix.DT_REG, []byte(name))
	if h.overflow {
		h.entry("d", new(protocol.EntryOut))
	}
	if h.cut {
		e = protocol.EntryOut{}
		h.entry("d", &e)
		b = protocol.AppendDirentplus(b, &e, 3, unix.DT_DIR, []byte("d"))
		b = b[:len(b)-16]
	}
	return copy(dst, b)
}

// again answers once more, past conn, which does not let a handler do it.
func (h *clerk) again(r *conn.Request) {
	_ = h.k.Write(protocol.BytesOf(&protocol.OutHeader{Len: 16, Error: -int32(unix.EIO), Unique: h.lastID}))
}

// TestSeededBugs breaks one rule at a time and asks that the kernel says so.
func TestSeededBugs(t *testing.T) {
	stat := func(c *conntest.Client) { _, _ = c.Stat("/f") }
	list := func(c *conntest.Client) {
		f, err := c.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			_, _ = f.ReadDir(0)
			_ = f.Close()
		}
	}
	file := func(do func(f *conntest.File)) func(c *conntest.Client) {
		return func(c *conntest.Client) {
			if f, err := c.Open("/f", unix.O_RDWR, 0); err == nil {
				do(f)
				_ = f.Close()
			}
		}
	}
	for _, b := range []struct {
		name string
		h    clerk
		do   func(c *conntest.Client)
		want string // in the violation; "": none
	}{
		{"none", clerk{}, func(c *conntest.Client) {
			stat(c)
			list(c)
			file(func(f *conntest.File) {
				_, _ = f.ReadAt(make([]byte, 20000), 0)
				_, _ = f.WriteAt(make([]byte, 100), 50)
				_ = f.Truncate(5)
			})(c)
		}, ""},
		{"cut entry", clerk{cut: true}, list, "did not fit"},
		{"cookie", clerk{cookie: true}, list, "cookie 0"},
		{"dot", clerk{dotCounted: true}, list, `"." has nodeid 9`},
		{"slash", clerk{slash: true}, list, "EIO to the caller"},
		{"short read", clerk{shortRead: true}, file(func(f *conntest.File) { _, _ = f.ReadAt(make([]byte, 8192), 0) }), "4096 of 8192 bytes at 0"},
		{"long write", clerk{longWrite: true}, file(func(f *conntest.File) {
			if _, err := f.WriteAt(make([]byte, 100), 0); err != unix.EIO {
				t.Error(err)
			}
		}), "101 bytes written of 100"},
		{"size", clerk{badSize: true}, stat, "a payload of 112 bytes, not 104"},
		{"no type", clerk{noType: true}, stat, "has no file type"},
		{"type changes", clerk{changeType: true}, func(c *conntest.Client) {
			stat(c)
			if _, err := c.Stat("/f"); err != nil {
				t.Error(err) // the bad inode is dropped, and looked up anew
			}
		}, "the type changes"},
		{"root", clerk{rootEntry: true}, stat, "the root's nodeid"},
		{"generation", clerk{sameGen: true}, func(c *conntest.Client) { stat(c); _, _ = c.Stat("/d") }, "comes back with generation 0"},
		{"resize", clerk{resize: true}, func(c *conntest.Client) { _ = c.Truncate("/f", 5) }, "size is 10000 after it was set to 5"},
		{"twice", clerk{twice: true}, stat, "a second reply"},
		{"mute", clerk{mute: true}, stat, "was not answered"},
	} {
		t.Run(b.name, func(t *testing.T) {
			h := b.h
			o := options(conntest.Options{})
			o.Deadline = 5e9
			if h.mute {
				o.Deadline = 5e7
			}
			o.Conn.DrainTimeout = 100 * time.Millisecond
			o.Conn.Threads = 1
			k, err := conntest.New(&h, o)
			check(t, err)
			h.k = k
			b.do(k.Process(0, 0))
			_ = k.Unmount()
			expect(t, k, b.want)
		})
	}
}

func expect(t *testing.T, k *conntest.Kernel, want string) {
	t.Helper()
	v := k.Violations()
	if want == "" {
		if len(v) > 0 {
			t.Error(v[0])
		}
		return
	}
	for _, v := range v {
		if strings.Contains(v.Error(), want) {
			return
		}
	}
	t.Errorf("violations %v, want one with %q", v, want)
}

// TestLost loses replies: who does not take lookups back has too many.
func TestLost(t *testing.T) {
	for _, noUndo := range []bool{false, true} {
		h := clerk{noUndo: noUndo}
		n := 0
		o := options(conntest.Options{Lose: func(op protocol.Opcode, _ uint64) bool { n++; return op == protocol.OpLookup && n%2 == 1 }})
		o.Conn.Threads = 1
		k, err := conntest.New(&h, o)
		check(t, err)
		c := k.Process(0, 0)
		lost := 0
		for range 10 {
			if _, err := c.Stat("/f"); err == unix.ECONNABORTED {
				lost++
			}
			k.DropCaches()
			k.Idle()
		}
		check(t, k.Unmount())
		if lost == 0 {
			t.Fatal("nothing was lost")
		}
		switch left := h.lookups[3]; {
		case !noUndo && left != 0:
			t.Errorf("%d lookups left", left)
		case noUndo && left != uint64(lost):
			t.Errorf("%d lookups left of %d lost replies", left, lost)
		}
	}
}

// TestStray writes messages that answer nothing.
func TestStray(t *testing.T) {
	for _, m := range []struct {
		h    protocol.OutHeader
		err  unix.Errno
		want string
	}{
		{protocol.OutHeader{Len: 16, Unique: 1 << 40}, unix.ENOENT, "a request that was not sent"},
		{protocol.OutHeader{Len: 16, Unique: 1 << 40, Error: -600}, unix.EINVAL, "error -600 is none of"},
		{protocol.OutHeader{Len: 16, Unique: 1 << 40, Error: 5}, unix.EINVAL, "error 5 is none of"},
		{protocol.OutHeader{Len: 17, Unique: 1 << 40}, unix.EINVAL, "len is 17 in a message of 16"},
		{protocol.OutHeader{Len: 16}, unix.EINVAL, "no notification"},
		{protocol.OutHeader{Len: 16, Error: 77}, unix.EINVAL, "unknown notification"},
		{protocol.OutHeader{Len: 16, Error: int32(protocol.NotifyInvalInode)}, unix.EINVAL, "INVAL_INODE"},
	} {
		k, err := conntest.New(&clerk{}, options(conntest.Options{}))
		check(t, err)
		want(t, k.Write(protocol.BytesOf(&m.h)), m.err)
		_ = k.Unmount()
		expect(t, k, m.want)
	}
}
