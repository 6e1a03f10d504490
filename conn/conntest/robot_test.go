package conntest_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// robot answers every request with success, as cheaply as it can: a directory
// "d", files "f" and "g" of 20000 bytes of 'x', and whatever is made. It writes
// down what it is sent.
type robot struct {
	mu     sync.Mutex
	log    []string
	count  map[protocol.Opcode]int
	no     map[protocol.Opcode]bool // ENOSYS
	answer map[protocol.Opcode]func(r *conn.Request) bool
	next   uint64
	types  map[uint64]uint32
	uid    uint32
	mode   uint32 // of files, default 0644
	gid    uint32
}

const robotSize = 20000

func (h *robot) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error {
	h.count = map[protocol.Opcode]int{}
	h.next = 10
	h.types = map[uint64]uint32{1: unix.S_IFDIR, 2: unix.S_IFDIR, 3: unix.S_IFREG, 4: unix.S_IFREG}
	return nil
}
func (h *robot) Forget(uint64, uint64) {}
func (h *robot) Done()                 {}

func (h *robot) attr(nodeid uint64, a *protocol.Attr) {
	a.Ino, a.Nlink, a.Uid, a.Gid, a.Mode = nodeid, 1, h.uid, h.gid, h.types[nodeid]|0o755
	if a.Mode&unix.S_IFMT == unix.S_IFREG {
		a.Size, a.Mode = robotSize, unix.S_IFREG|0o644
		if h.mode != 0 {
			a.Mode = unix.S_IFREG | h.mode
		}
	}
}

func (h *robot) entry(nodeid uint64, e *protocol.EntryOut) {
	e.Nodeid, e.AttrValid, e.EntryValid = nodeid, 1, 1
	h.attr(nodeid, &e.Attr)
}

func (h *robot) made(typ uint32, e *protocol.EntryOut) {
	h.next++
	h.types[h.next] = typ
	h.entry(h.next, e)
}

func (h *robot) Serve(r *conn.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op, data := r.Op(), 0
	h.log = append(h.log, string(r.Request.AppendText(nil)))
	h.count[op]++
	if h.no[op] {
		_ = r.ReplyError(unix.ENOSYS)
		return
	}
	if f := h.answer[op]; f != nil && f(r) {
		return
	}
	fixed, _ := protocol.ReplySize(op, r.Conn().Params())
	e := protocol.ViewOf[protocol.EntryOut](r.Out())
	switch op {
	case protocol.OpLookup:
		id := map[string]uint64{"d": 2, "f": 3, "g": 4}[string(r.Name)]
		if id == 0 {
			_ = r.ReplyError(unix.ENOENT)
			return
		}
		h.entry(id, e)
	case protocol.OpMknod, protocol.OpCreate, protocol.OpTmpfile:
		h.made(unix.S_IFREG, e)
	case protocol.OpMkdir:
		h.made(unix.S_IFDIR, e)
	case protocol.OpSymlink:
		h.made(unix.S_IFLNK, e)
	case protocol.OpLink:
		h.entry(r.LinkIn().Oldnodeid, e)
	case protocol.OpGetattr, protocol.OpSetattr:
		o := protocol.ViewOf[protocol.AttrOut](r.Out())
		h.attr(r.Header.Nodeid, &o.Attr)
		o.AttrValid = 1
		if in := r.SetattrIn(); in != nil && in.Valid&protocol.FattrSize != 0 {
			o.Attr.Size = in.Size
		}
	case protocol.OpStatx:
		o := protocol.ViewOf[protocol.StatxOut](r.Out())
		o.AttrValid = 1
		o.Stat = protocol.Statx{Mask: unix.STATX_BASIC_STATS | unix.STATX_BTIME, Ino: r.Header.Nodeid,
			Mode: uint16(h.types[r.Header.Nodeid] | 0o644), Size: robotSize, Nlink: 1, Btime: protocol.SxTime{TvSec: 77}}
	case protocol.OpRead:
		in := r.ReadIn()
		data = int(min(uint64(in.Size), robotSize-min(in.Offset, robotSize)))
		for i := range r.Payload()[:data] {
			r.Payload()[i] = 'x'
		}
	case protocol.OpWrite:
		protocol.ViewOf[protocol.WriteOut](r.Out()).Size = r.WriteIn().Size
	case protocol.OpCopyFileRange:
		protocol.ViewOf[protocol.WriteOut](r.Out()).Size = uint32(r.CopyFileRangeIn().Len)
	case protocol.OpCopyFileRange64:
		protocol.ViewOf[protocol.CopyFileRangeOut](r.Out()).BytesCopied = r.CopyFileRangeIn().Len
	case protocol.OpIoctl:
		data = int(r.IoctlIn().OutSize)
		clear(r.Payload()[:data])
	case protocol.OpPoll:
		protocol.ViewOf[protocol.PollOut](r.Out()).Revents = unix.POLLIN
	case protocol.OpBmap:
		protocol.ViewOf[protocol.BmapOut](r.Out()).Block = r.BmapIn().Block + 100
	case protocol.OpGetxattr, protocol.OpListxattr:
		if r.GetxattrIn().Size == 0 {
			fixed = 8
			break
		}
		fixed, data = 0, copy(r.Payload(), "v\x00")
	}
	_ = r.Reply(fixed, data)
}

// took returns the lines logged since the last call that are of op.
func (h *robot) took(op protocol.Opcode) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var l []string
	for _, s := range h.log {
		if strings.HasPrefix(s, op.String()+" ") {
			l = append(l, s)
		}
	}
	h.log = nil
	return l
}

// robotKernel mounts h, at a minor if that is not 0, and expects no violation
// unless bad is set.
func robotKernel(t *testing.T, h *robot, o conntest.Options, bad string) *conntest.Kernel {
	t.Helper()
	po := options(o)
	po.Conn.Threads = 2
	k, err := conntest.New(h, po)
	check(t, err)
	t.Cleanup(func() {
		_ = k.Unmount()
		expect(t, k, bad)
	})
	return k
}

func open(t *testing.T, c *conntest.Client, path string, flags int) *conntest.File {
	t.Helper()
	f, err := c.Open(path, flags, 0o644)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// one asks for exactly one line of op with all of the parts.
func one(t *testing.T, h *robot, op protocol.Opcode, parts ...string) {
	t.Helper()
	l := h.took(op)
	if len(l) != 1 {
		t.Errorf("%d %v, want one: %v", len(l), op, l)
		return
	}
	for _, p := range parts {
		if !strings.Contains(l[0], p) {
			t.Errorf("%s: lacks %q", l[0], p)
		}
	}
}
