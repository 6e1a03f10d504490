package passfs

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		os.Exit(m.Run())
	}
	harness.Main(m)
}

// client is the kernel's end of a connection to a served directory, without a
// cache and without the kernel's own checks in between.
type client struct {
	t   testing.TB
	dir string
	fd  int

	unique  atomic.Uint64
	mu      sync.Mutex
	waiting map[uint64]chan []byte
}

// who calls; the zero value is root.
type who struct{ uid, gid uint32 }

var user = who{1000, 1001}

// serve serves dir until the test ends.
func serve(t testing.TB, dir string, o *passfs.Options) *client {
	t.Helper()
	src, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := passfs.New(src, o)
	unix.Close(src)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := conn.NewFuseDevice(pair[1])
	unix.Close(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, dir: dir, fd: pair[0], waiting: map[uint64]chan []byte{}}
	cn := conn.New(dev, &conn.Options{MaxWrite: 65536, Want: fs.Want(), Log: func(s string) { t.Log(s) }})
	served := make(chan error, 1)
	go func() { served <- cn.Serve(ops.New(fs)) }()
	go c.replies()
	t.Cleanup(func() {
		unix.Shutdown(c.fd, unix.SHUT_RDWR)
		select {
		case err := <-served:
			if err != nil {
				t.Error("Serve:", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Serve does not return")
		}
		unix.Close(c.fd)
		if left := held(t, dir); len(left) > 0 {
			t.Errorf("the server has left open: %q", left)
		}
	})
	in := protocol.InitIn{Major: 7, Minor: 46, MaxReadahead: 1 << 17, Flags: ^uint32(0) &^ (1 << 31), Flags2: 0xfffff7fd}
	if _, e := c.call(protocol.OpInit, 0, who{}, protocol.BytesOf(&in)); e != 0 {
		t.Fatal("INIT:", e)
	}
	return c
}

// serveFile serves a directory with file "f" of the content, and looks that up.
func serveFile(t testing.TB, data string) (c *client, id uint64) {
	t.Helper()
	dir := harness.Disk(t)
	put(t, data, dir, "f")
	c = serve(t, dir, nil)
	return c, c.lookup(1, "f").Nodeid
}

// held lists what at or below dir this process has open.
func held(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range list {
		// ReadDir's own is closed by now.
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (to == dir || strings.HasPrefix(to, dir+"/")) {
			open = append(open, to)
		}
	}
	return open
}

func (c *client) replies() {
	buf := make([]byte, 1<<18)
	for {
		n, err := unix.Read(c.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n < 16 || err != nil {
			return
		}
		b := append([]byte(nil), buf[:n]...)
		h := view[protocol.OutHeader](c.t, b)
		c.mu.Lock()
		w := c.waiting[h.Unique]
		delete(c.waiting, h.Unique)
		c.mu.Unlock()
		if w != nil {
			w <- b
		}
	}
}

// view copies, so that alignment does not matter.
func view[T protocol.Wire](t testing.TB, b []byte) *T {
	t.Helper()
	v := new(T)
	d := protocol.BytesOf(v)
	if len(b) < len(d) {
		t.Errorf("reply of %d bytes, not %d", len(b), len(d))
	}
	copy(d, b)
	return v
}

// call sends a request and waits for the reply. parts follow each other, names
// with their NUL.
func (c *client) call(op protocol.Opcode, nodeid uint64, as who, parts ...[]byte) ([]byte, unix.Errno) {
	return c.callExt(op, nodeid, as, nil, parts...)
}

// callExt is call with an extension area.
func (c *client) callExt(op protocol.Opcode, nodeid uint64, as who, ext []byte, parts ...[]byte) ([]byte, unix.Errno) {
	h := protocol.InHeader{Opcode: op, Unique: c.unique.Add(2), Nodeid: nodeid, Uid: as.uid, Gid: as.gid, Pid: 1,
		Len: 40 + uint32(len(ext)), TotalExtlen: uint16(len(ext) / 8)}
	for _, p := range parts {
		h.Len += uint32(len(p))
	}
	b := append([]byte(nil), protocol.BytesOf(&h)...)
	for _, p := range parts {
		b = append(b, p...)
	}
	b = append(b, ext...)
	w := make(chan []byte, 1)
	c.mu.Lock()
	c.waiting[h.Unique] = w
	c.mu.Unlock()
	if _, err := unix.Write(c.fd, b); err != nil {
		c.t.Errorf("%v: %v", op, err)
		return nil, unix.EIO
	}
	select {
	case b := <-w:
		return b[16:], unix.Errno(-view[protocol.OutHeader](c.t, b).Error)
	case <-time.After(20 * time.Second):
		c.t.Errorf("%v: no reply", op)
		return nil, unix.ETIMEDOUT
	}
}

func cname(s string) []byte { return append([]byte(s), 0) }

// lookup takes one reference.
func (c *client) lookup(dir uint64, name string) *protocol.EntryOut {
	c.t.Helper()
	b, e := c.call(protocol.OpLookup, dir, who{}, cname(name))
	if e != 0 {
		c.t.Fatalf("lookup %q: %v", name, e)
	}
	return view[protocol.EntryOut](c.t, b)
}

func (c *client) forget(nodeid uint64) {
	in := protocol.ForgetIn{Nlookup: 1}
	h := protocol.InHeader{Opcode: protocol.OpForget, Unique: c.unique.Add(2), Nodeid: nodeid, Len: 48}
	b := append(append([]byte(nil), protocol.BytesOf(&h)...), protocol.BytesOf(&in)...)
	if _, err := unix.Write(c.fd, b); err != nil {
		c.t.Error("write:", err)
	}
}

func (c *client) getattr(nodeid uint64) (protocol.Attr, unix.Errno) {
	b, e := c.call(protocol.OpGetattr, nodeid, who{}, protocol.BytesOf(new(protocol.GetattrIn)))
	if e != 0 {
		return protocol.Attr{}, e
	}
	return view[protocol.AttrOut](c.t, b).Attr, 0
}

func (c *client) setattr(nodeid uint64, as who, in protocol.SetattrIn) (protocol.Attr, unix.Errno) {
	b, e := c.call(protocol.OpSetattr, nodeid, as, protocol.BytesOf(&in))
	if e != 0 {
		return protocol.Attr{}, e
	}
	return view[protocol.AttrOut](c.t, b).Attr, 0
}

// create makes a file, and releases the handle if there is one.
func (c *client) create(dir uint64, name string, as who, ext []byte, in protocol.CreateIn) (*protocol.EntryOut, unix.Errno) {
	b, e := c.callExt(protocol.OpCreate, dir, as, ext, protocol.BytesOf(&in), cname(name))
	if e != 0 {
		return nil, e
	}
	out := view[protocol.EntryOut](c.t, b)
	c.release(out.Nodeid, view[protocol.OpenOut](c.t, b[128:]).Fh)
	return out, 0
}

func (c *client) open(nodeid uint64, as who, in protocol.OpenIn) (fh uint64, e unix.Errno) {
	b, e := c.call(protocol.OpOpen, nodeid, as, protocol.BytesOf(&in))
	if e != 0 {
		return 0, e
	}
	return view[protocol.OpenOut](c.t, b).Fh, 0
}

func (c *client) mustOpen(nodeid uint64, flags uint32) uint64 {
	c.t.Helper()
	fh, e := c.open(nodeid, who{}, protocol.OpenIn{Flags: flags})
	if e != 0 {
		c.t.Fatal("open:", e)
	}
	return fh
}

func (c *client) release(nodeid, fh uint64) {
	in := protocol.ReleaseIn{Fh: fh}
	if _, e := c.call(protocol.OpRelease, nodeid, who{}, protocol.BytesOf(&in)); e != 0 {
		c.t.Errorf("release: %v", e)
	}
}

func (c *client) write(nodeid uint64, as who, in protocol.WriteIn, data string) unix.Errno {
	in.Size = uint32(len(data))
	b, e := c.call(protocol.OpWrite, nodeid, as, protocol.BytesOf(&in), []byte(data))
	if n := len(data); e == 0 && int(view[protocol.WriteOut](c.t, b).Size) != n {
		c.t.Errorf("wrote %d of %d bytes", view[protocol.WriteOut](c.t, b).Size, n)
	}
	return e
}

func (c *client) getxattr(id uint64, name string, as who) (string, unix.Errno) {
	in := protocol.GetxattrIn{Size: 100}
	b, e := c.call(protocol.OpGetxattr, id, as, protocol.BytesOf(&in), cname(name))
	return string(b), e
}

// setxattr is as of 7.33 (SETXATTR_EXT).
func (c *client) setxattr(id uint64, name, value string, ext uint32) unix.Errno {
	in := protocol.SetxattrIn{Size: uint32(len(value)), SetxattrFlags: ext}
	_, e := c.call(protocol.OpSetxattr, id, who{}, protocol.BytesOf(&in), cname(name), []byte(value))
	return e
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, data string, path ...string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(path...), []byte(data), 0o644))
}

func mkdir(t testing.TB, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	must(t, os.Mkdir(p, 0o755))
	return p
}

func lstat(t testing.TB, path ...string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(path...), &st); err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return st
}

func content(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	must(t, err)
	return string(b)
}
