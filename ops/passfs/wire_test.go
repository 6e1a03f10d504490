package passfs

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// wire is the kernel's end of a connection to a served directory: it speaks
// the protocol over a socket, with no cache and no checks in between.
type wire struct {
	t   testing.TB
	fs  *FS
	dir string
	fd  int

	unique  atomic.Uint64
	mu      sync.Mutex
	waiting map[uint64]chan []byte
	flags   protocol.InitFlags
}

// who calls; the zero value is root.
type who struct{ uid, gid uint32 }

// newWire serves a new directory. before, if not nil, sees the FS before the
// first request.
func newWire(t testing.TB, dir string, o *Options, before func(*FS)) *wire {
	t.Helper()
	src, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := New(src, o)
	unix.Close(src)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(fs)
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
	w := &wire{t: t, fs: fs, dir: dir, fd: pair[0], waiting: map[uint64]chan []byte{}}
	c := conn.New(dev, &conn.Options{MaxWrite: 65536, Want: fs.Want(), Log: func(s string) { t.Log(s) }})
	served := make(chan error, 1)
	go func() { served <- c.Serve(ops.New(fs)) }()
	go w.replies()
	t.Cleanup(func() {
		unix.Shutdown(w.fd, unix.SHUT_RDWR)
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			t.Error("Serve does not return")
		}
		unix.Close(w.fd)
		if n := fs.budget.used.Load(); n != 0 {
			t.Errorf("%d descriptors are still counted", n)
		}
	})
	in := protocol.InitIn{Major: 7, Minor: 46, MaxReadahead: 1 << 17, Flags: ^uint32(0) &^ (1 << 31), Flags2: 0xfffff7fd}
	b, e := w.call(protocol.OpInit, 0, who{}, protocol.BytesOf(&in))
	if e != 0 {
		t.Fatal("INIT:", e)
	}
	out := viewOf[protocol.InitOut](t, b)
	w.flags = protocol.InitFlags(out.Flags) | protocol.InitFlags(out.Flags2)<<32
	return w
}

// viewOf copies, so that alignment does not matter.
func viewOf[T protocol.Wire](t testing.TB, b []byte) *T {
	t.Helper()
	v := new(T)
	d := protocol.BytesOf(v)
	if len(b) < len(d) {
		t.Fatalf("reply of %d bytes, not %d", len(b), len(d))
	}
	copy(d, b)
	return v
}

func (w *wire) replies() {
	buf := make([]byte, 1<<18)
	for {
		n, err := unix.Read(w.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n < 16 || err != nil {
			return
		}
		b := append([]byte(nil), buf[:n]...)
		var h protocol.OutHeader
		copy(protocol.BytesOf(&h), b)
		w.mu.Lock()
		c := w.waiting[h.Unique]
		delete(w.waiting, h.Unique)
		w.mu.Unlock()
		if c != nil {
			c <- b
		}
	}
}

// send sends a request; parts follow each other, names with their NUL.
func (w *wire) send(op protocol.Opcode, nodeid uint64, as who, ext []byte, parts ...[]byte) chan []byte {
	h := protocol.InHeader{Opcode: op, Unique: w.unique.Add(2), Nodeid: nodeid, Uid: as.uid, Gid: as.gid, Pid: 1, Len: 40}
	for _, p := range parts {
		h.Len += uint32(len(p))
	}
	h.Len += uint32(len(ext))
	h.TotalExtlen = uint16(len(ext) / 8)
	b := append([]byte(nil), protocol.BytesOf(&h)...)
	for _, p := range parts {
		b = append(b, p...)
	}
	b = append(b, ext...)
	c := make(chan []byte, 1)
	w.mu.Lock()
	w.waiting[h.Unique] = c
	w.mu.Unlock()
	if _, err := unix.Write(w.fd, b); err != nil {
		w.t.Error("write:", err)
	}
	return c
}

func (w *wire) wait(c chan []byte) ([]byte, unix.Errno) {
	select {
	case b := <-c:
		var h protocol.OutHeader
		copy(protocol.BytesOf(&h), b)
		return b[16:], unix.Errno(-h.Error)
	case <-time.After(20 * time.Second):
		w.t.Error("no reply")
		return nil, unix.ETIMEDOUT
	}
}

func (w *wire) call(op protocol.Opcode, nodeid uint64, as who, parts ...[]byte) ([]byte, unix.Errno) {
	return w.wait(w.send(op, nodeid, as, nil, parts...))
}

func cname(s string) []byte { return append([]byte(s), 0) }

func (w *wire) lookup(dir uint64, name string) (*protocol.EntryOut, unix.Errno) {
	w.t.Helper()
	b, e := w.call(protocol.OpLookup, dir, who{}, cname(name))
	if e != 0 {
		return nil, e
	}
	return viewOf[protocol.EntryOut](w.t, b), 0
}

func (w *wire) mustLookup(dir uint64, name string) *protocol.EntryOut {
	w.t.Helper()
	out, e := w.lookup(dir, name)
	if e != 0 {
		w.t.Fatalf("lookup %q: %v", name, e)
	}
	return out
}

func (w *wire) forget(nodeid, n uint64) {
	in := protocol.ForgetIn{Nlookup: n}
	h := protocol.InHeader{Opcode: protocol.OpForget, Unique: w.unique.Add(2), Nodeid: nodeid, Len: 48}
	b := append(append([]byte(nil), protocol.BytesOf(&h)...), protocol.BytesOf(&in)...)
	if _, err := unix.Write(w.fd, b); err != nil {
		w.t.Error("write:", err)
	}
}

// settle waits until n inodes besides the root are known.
func (w *wire) settle(n int) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); w.fs.nodes.Len() != n; {
		if time.Now().After(end) {
			w.t.Fatalf("%d inodes known, want %d", w.fs.nodes.Len(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *wire) getattr(nodeid uint64) (*protocol.AttrOut, unix.Errno) {
	var in protocol.GetattrIn
	b, e := w.call(protocol.OpGetattr, nodeid, who{}, protocol.BytesOf(&in))
	if e != 0 {
		return nil, e
	}
	return viewOf[protocol.AttrOut](w.t, b), 0
}

func (w *wire) create(dir uint64, name string, as who, in protocol.CreateIn) (*protocol.EntryOut, *protocol.OpenOut, unix.Errno) {
	b, e := w.call(protocol.OpCreate, dir, as, protocol.BytesOf(&in), cname(name))
	if e != 0 {
		return nil, nil, e
	}
	return viewOf[protocol.EntryOut](w.t, b), viewOf[protocol.OpenOut](w.t, b[128:]), 0
}

func (w *wire) release(nodeid, fh uint64, dir bool) {
	op := protocol.OpRelease
	if dir {
		op = protocol.OpReleasedir
	}
	in := protocol.ReleaseIn{Fh: fh}
	if _, e := w.call(op, nodeid, who{}, protocol.BytesOf(&in)); e != 0 {
		w.t.Errorf("release: %v", e)
	}
}

func (w *wire) opendir(nodeid uint64) uint64 {
	w.t.Helper()
	var in protocol.OpenIn
	b, e := w.call(protocol.OpOpendir, nodeid, who{}, protocol.BytesOf(&in))
	if e != 0 {
		w.t.Fatal("opendir:", e)
	}
	return viewOf[protocol.OpenOut](w.t, b).Fh
}

type dirent struct {
	name   string
	off    uint64
	nodeid uint64
}

// readdir is one READDIR or READDIRPLUS.
func (w *wire) readdir(nodeid, fh, off uint64, size uint32, plus bool) []dirent {
	w.t.Helper()
	op := protocol.OpReaddir
	if plus {
		op = protocol.OpReaddirplus
	}
	in := protocol.ReadIn{Fh: fh, Offset: off, Size: size}
	b, e := w.call(op, nodeid, who{}, protocol.BytesOf(&in))
	if e != 0 {
		w.t.Fatalf("readdir at %d: %v", off, e)
	}
	var list []dirent
	for len(b) > 0 {
		var d dirent
		if plus {
			p, name, rest, err := protocol.NextDirentplus(b)
			if err != nil {
				w.t.Fatal(err)
			}
			d, b = dirent{string(name), p.Dirent.Off, p.EntryOut.Nodeid}, rest
		} else {
			p, name, rest, err := protocol.NextDirent(b)
			if err != nil {
				w.t.Fatal(err)
			}
			d, b = dirent{string(name), p.Off, 0}, rest
		}
		list = append(list, d)
	}
	return list
}

func (w *wire) readAll(nodeid, fh uint64, size uint32, plus bool) []dirent {
	w.t.Helper()
	var all []dirent
	off := uint64(0)
	for {
		l := w.readdir(nodeid, fh, off, size, plus)
		if len(l) == 0 {
			return all
		}
		all = append(all, l...)
		off = l[len(l)-1].off
	}
}

func touch(t testing.TB, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.WriteFile(p, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func mkdir(t testing.TB, path ...string) string {
	t.Helper()
	p := filepath.Join(path...)
	if err := os.Mkdir(p, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// byName makes a source look as if it had no file handles to open.
func byName(fs *FS) { fs.root.mnt.openable = false }

// both runs f on a source with file handles (if there are any) and on one
// without.
func both(t *testing.T, f func(t *testing.T, before func(*FS))) {
	t.Run("handle", func(t *testing.T) { f(t, nil) })
	t.Run("name", func(t *testing.T) { f(t, byName) })
}
