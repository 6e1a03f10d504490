package passfs

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// slowly are options with which everything goes through an engine of n threads,
// that carries ops out by do. The engine is closed after the file system.
func slowly(t testing.TB, n int, do func(*aio.Op)) *Options {
	e := aio.New(aio.NewWorkersFunc(n, do), aio.Config{})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	o := DefaultOptions()
	o.Engine, o.Slow = e, true
	return &o
}

// TestEngineErrors: what the engine says of an op is what its caller gets.
func TestEngineErrors(t *testing.T) {
	var fail atomic.Uint32
	w, id := fileWire(t, slowly(t, 2, func(op *aio.Op) {
		if e := fail.Load(); e != 0 {
			op.N, op.Err = 0, unix.Errno(e)
			return
		}
		aio.Do(op)
	}), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	sync := func() unix.Errno {
		in := protocol.FsyncIn{Fh: fh}
		_, e := w.call(protocol.OpFsync, id, who{}, protocol.BytesOf(&in))
		return e
	}
	for _, want := range []unix.Errno{0, unix.EIO, unix.ENOSPC, 0} {
		fail.Store(uint32(want))
		b, e := w.read(id, fh, 3, 100)
		if e != want || e == 0 && string(b) != "3456789" {
			t.Errorf("read: %v %q, want %v", e, b, want)
		}
		n, e := w.write(id, fh, 0, "012", who{}, 0, 0)
		if e != want || e == 0 && n != 3 {
			t.Errorf("write: %v %d, want %v", e, n, want)
		}
		if e := sync(); e != want {
			t.Errorf("fsync: %v, want %v", e, want)
		}
	}
	if b, e := w.read(id, fh, 10, 5); e != 0 || len(b) != 0 {
		t.Error("at the end:", e, b)
	}
	if _, e := w.read(id, fh, 1<<63, 5); e != unix.EINVAL {
		t.Error("beyond all offsets:", e)
	}
	if _, e := w.write(id, fh, 1<<63-2, "xyz", who{}, 0, 0); e != unix.EFBIG {
		t.Error("beyond all sizes:", e)
	}
}

// TestEnginePart: part of a write(2) is an answer, part of a page is not.
func TestEnginePart(t *testing.T) {
	w, id := fileWire(t, slowly(t, 1, func(op *aio.Op) {
		if op.Kind == aio.Write {
			op.N, op.Err = 2, unix.ENOSPC
		}
	}), "")
	fh := w.mustOpen(id, unix.O_RDWR)
	if n, e := w.write(id, fh, 0, "abcd", who{}, 0, 0); n != 2 || e != 0 {
		t.Error("write:", n, e)
	}
	if n, e := w.write(id, fh, 0, "abcd", who{}, protocol.WriteCache, 0); e != unix.ENOSPC {
		t.Error("pages:", n, e)
	}
}

// TestEngineInterrupt: a signal makes no READ fail, begun or not.
func TestEngineInterrupt(t *testing.T) {
	begun, goOn := make(chan bool, 1), make(chan bool)
	w, id := fileWire(t, slowly(t, 1, func(op *aio.Op) {
		begun <- true
		<-goOn
		aio.Do(op)
	}), "0123456789")
	fh := w.mustOpen(id, unix.O_RDONLY)
	var all [2]chan []byte
	for i := range all {
		in := protocol.ReadIn{Fh: fh, Size: 10}
		all[i] = w.send(protocol.OpRead, id, who{}, nil, protocol.BytesOf(&in))
		if i == 0 {
			<-begun
		}
		w.interrupt(w.unique.Load())
	}
	for _, c := range all {
		goOn <- true
		if b, e := w.wait(c); e != 0 || string(b) != "0123456789" {
			t.Errorf("%v %q", e, b)
		}
	}
}

// TestReadFails: a READ that fails behind its first part fails. A short one would
// be the end of the file.
func TestReadFails(t *testing.T) {
	w, id := fileWire(t, slowly(t, 1, func(op *aio.Op) { op.N, op.Err = 5, unix.EIO }), "0123456789")
	fh := w.mustOpen(id, unix.O_RDONLY)
	if b, e := w.read(id, fh, 0, 10); e != unix.EIO {
		t.Errorf("%v %q", e, b)
	}
}

// TestEngineShort: pages that were not all written are not clean.
func TestEngineShort(t *testing.T) {
	w, id := fileWire(t, slowly(t, 1, func(op *aio.Op) { op.N, op.Err = 2, 0 }), "")
	fh := w.mustOpen(id, unix.O_RDWR)
	if n, e := w.write(id, fh, 0, "abcd", who{}, protocol.WriteCache, 0); e != unix.EIO {
		t.Error(n, e)
	}
	if n, e := w.write(id, fh, 0, "abcd", who{}, 0, 0); n != 2 || e != 0 {
		t.Error(n, e)
	}
}

// TestEngineFull: what the engine has no room for waits, and no reader with it.
func TestEngineFull(t *testing.T) {
	goOn := make(chan bool)
	e := aio.New(aio.NewWorkersFunc(1, func(op *aio.Op) {
		<-goOn
		aio.Do(op)
	}), aio.Config{MaxOps: 3})
	defer e.Close()
	o := DefaultOptions()
	o.Engine, o.Slow = e, true
	w, id := fileWire(t, &o, "0123456789")
	fh := w.mustOpen(id, unix.O_RDONLY)
	var all []chan []byte
	for off := range uint64(60) {
		in := protocol.ReadIn{Fh: fh, Offset: off % 10, Size: 1}
		all = append(all, w.send(protocol.OpRead, id, who{}, nil, protocol.BytesOf(&in)))
	}
	if _, e := w.getattr(id); e != 0 { // behind all of them
		t.Error(e)
	}
	close(goOn)
	for off, c := range all {
		if b, e := w.wait(c); e != 0 || string(b) != string(rune('0'+off%10)) {
			t.Fatalf("%d: %v %q", off, e, b)
		}
	}
	if n := w.fs.overflow.n.Load(); n != 0 {
		t.Error(n, "left")
	}
}

// TestEngineSetid: a writer without CAP_FSETID takes the set-id bits, whichever
// thread writes.
func TestEngineSetid(t *testing.T) {
	var engine atomic.Int32
	w, id := fileWire(t, slowly(t, 1, func(op *aio.Op) { engine.Add(1); aio.Do(op) }), "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	name := filepath.Join(w.dir, "f")
	for _, c := range []struct {
		kill uint32
		mode os.FileMode
		by   int32
	}{
		{protocol.WriteKillSuidgid, 0o755, 1},
		{protocol.WriteKillSuidgid, 0o755 | os.ModeSetuid, 0},
		{0, 0o755 | os.ModeSetuid, 1},
	} {
		if err := os.Chmod(name, c.mode); err != nil {
			t.Fatal(err)
		}
		engine.Store(0)
		if n, e := w.write(id, fh, 0, "x", who{}, c.kill, 0); n != 1 || e != 0 {
			t.Fatal(n, e)
		}
		if !w.fs.hasFsetid {
			continue // the source decides, by what this process may
		}
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		want := c.mode
		if c.kill != 0 {
			want &^= os.ModeSetuid
		}
		if st.Mode() != want || engine.Load() != c.by {
			t.Errorf("%v, kill %v: %v after, %d by the engine", c.mode, c.kill != 0, st.Mode(), engine.Load())
		}
	}
}

// TestEngineSetidInline: nor does it take them for a writer with CAP_FSETID, on a
// thread that put it aside for the one before.
func TestEngineSetidInline(t *testing.T) {
	e := aio.New(aio.Inline{}, aio.Config{})
	defer e.Close()
	o := DefaultOptions()
	o.Engine, o.Slow = e, true
	w, id := fileWire(t, &o, "0123456789")
	fh := w.mustOpen(id, unix.O_RDWR)
	if !w.fs.hasFsetid {
		return // the source decides, by what this process may
	}
	name := filepath.Join(w.dir, "f")
	for range 20 {
		for _, kill := range []uint32{protocol.WriteKillSuidgid, 0} {
			if err := os.Chmod(name, 0o755|os.ModeSetuid); err != nil {
				t.Fatal(err)
			}
			if n, e := w.write(id, fh, 0, "x", who{}, kill, 0); n != 1 || e != 0 {
				t.Fatal(n, e)
			}
			st, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if kept := st.Mode()&os.ModeSetuid != 0; kept != (kill == 0) {
				t.Fatalf("kill %v: %v after", kill != 0, st.Mode())
			}
		}
	}
}

// TestEngineUnknown: where reading cannot be tried without waiting, the engine
// reads.
func TestEngineUnknown(t *testing.T) {
	var engine atomic.Int32
	o := slowly(t, 1, func(op *aio.Op) { engine.Add(1); aio.Do(op) })
	o.Slow = false
	w, id := fileWire(t, o, "0123456789")
	fh := w.mustOpen(id, unix.O_RDONLY)
	f := w.fs.files.get(fh)
	f.slow.Store(true)
	w.fs.put(f)
	if b, e := w.read(id, fh, 0, 10); e != 0 || string(b) != "0123456789" || engine.Load() != 1 {
		t.Errorf("%v %q, %d by the engine", e, b, engine.Load())
	}
}

// TestEngineMany: more requests than threads, of many files, each with its own
// result, and descriptors that are closed under way.
func TestEngineMany(t *testing.T) {
	dir := t.TempDir()
	const files, size = 8, 1 << 16
	want := make([][]byte, files)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = make([]byte, size)
		for j := range want[i] {
			want[i][j] = byte(rng.Uint32())
		}
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))), want[i], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := newWire(t, dir, slowly(t, 3, func(op *aio.Op) {
		time.Sleep(100 * time.Microsecond)
		aio.Do(op)
	}), nil)
	var wg sync.WaitGroup
	for i := range files {
		wg.Add(1)
		go func() {
			defer wg.Done()
			id := w.mustLookup(1, string(rune('a'+i))).Nodeid
			out, e := w.open(id, unix.O_RDWR)
			if e != 0 {
				t.Error(e)
				return
			}
			var all []chan []byte
			var at []uint64
			for range 40 {
				off := rand.Uint64N(size - 4096)
				in := protocol.ReadIn{Fh: out.Fh, Offset: off, Size: 4096}
				all = append(all, w.send(protocol.OpRead, id, who{}, nil, protocol.BytesOf(&in)))
				at = append(at, off)
			}
			for n, c := range all {
				if b, e := w.wait(c); e != 0 || !bytes.Equal(b, want[i][at[n]:at[n]+4096]) {
					t.Errorf("file %d at %d: %v, %d bytes", i, at[n], e, len(b))
				}
			}
			w.release(id, out.Fh, false)
		}()
	}
	wg.Wait()
}

// TestEngineAllocs: a request that the engine carries out allocates nothing.
func TestEngineAllocs(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := New(src, slowly(t, 1, aio.Do))
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
	served := make(chan error, 1)
	go func() {
		served <- conn.New(dev, &conn.Options{MaxWrite: 65536, Want: fs.Want()}).Serve(ops.New(fs))
	}()
	t.Cleanup(func() {
		unix.Close(pair[0])
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	unique := uint64(0)
	msg, reply := make([]byte, 0, 8192), make([]byte, 8192)
	rpc := func(op protocol.Opcode, nodeid uint64, part, data []byte) []byte {
		unique += 2
		h := protocol.InHeader{Opcode: op, Unique: unique, Nodeid: nodeid, Len: uint32(40 + len(part) + len(data))}
		msg = append(append(append(msg[:0], protocol.BytesOf(&h)...), part...), data...)
		if _, err := unix.Write(pair[0], msg); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := unix.Read(pair[0], reply)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n < 16 || protocol.ViewOf[protocol.OutHeader](reply).Error != 0 {
				t.Fatal(op, n, err)
			}
			return reply[16:n]
		}
	}
	init := protocol.InitIn{Major: 7, Minor: 46, Flags: ^uint32(0) &^ (1 << 31), Flags2: 0xfffff7fd}
	rpc(protocol.OpInit, 0, protocol.BytesOf(&init), nil)
	id := protocol.ViewOf[protocol.EntryOut](rpc(protocol.OpLookup, 1, nil, cname("f"))).Nodeid
	fh := protocol.ViewOf[protocol.OpenOut](rpc(protocol.OpOpen, id, protocol.BytesOf(&protocol.OpenIn{Flags: unix.O_RDWR}), nil)).Fh
	read := protocol.BytesOf(&protocol.ReadIn{Fh: fh, Size: 4096})
	write := protocol.BytesOf(&protocol.WriteIn{Fh: fh, Size: 4096})
	data := make([]byte, 4096)
	both := func() {
		if b := rpc(protocol.OpRead, id, read, nil); len(b) != 4096 {
			t.Fatal(len(b))
		}
		rpc(protocol.OpWrite, id, write, data)
	}
	for range 100 {
		both() // every slot in use has its Requests
	}
	// The few there may be are the runtime's, which are not for each request.
	if n := testing.AllocsPerRun(2000, both); n >= 1 {
		t.Errorf("%v allocations for a READ and a WRITE", n)
	}
}
