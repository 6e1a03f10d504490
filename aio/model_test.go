package aio

import (
	"bytes"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// engines are all ways to run, by name; those that this kernel forbids are left
// out, with the reason in the log.
func engines(t testing.TB, f func(name string, s *Scheduler)) {
	t.Helper()
	make := map[string]func() (Backend, error){
		"inline":  func() (Backend, error) { return Inline{}, nil },
		"workers": func() (Backend, error) { return NewWorkers(4), nil },
		"ring":    func() (Backend, error) { return NewRing(8) },
	}
	for _, name := range []string{"inline", "workers", "ring"} {
		for opt, c := range map[string]Config{
			"":           {},
			" try":       {Try: true},
			" gather":    {Gather: time.Millisecond, Depth: 3},
			" one":       {Depth: 1, MaxMerge: 10000},
			" unmerged":  {MaxMerge: -1, MaxOps: 20},
			" tight try": {MaxOps: 3, Depth: 2, MaxBytes: 20000, Try: true},
		} {
			b, err := make[name]()
			if name == "ring" && forbidden(err) {
				t.Logf("no io_uring here: %v", err)
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			s := New(b, c)
			f(name+opt, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func open(t testing.TB, dir string, flags int, content []byte) int {
	t.Helper()
	f, err := os.CreateTemp(dir, "aio")
	if err != nil {
		t.Fatal(err)
	}
	name := f.Name()
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	f.Close()
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestModel: submitters with a stretch of each of two files each, and random
// operations there, against arrays of bytes to which each op is applied when it
// is submitted: as overlapping ones happen in that order, and the others do not
// matter to each other, results and contents are the same. The files' ends do not
// move. Some reads are cancelled.
func TestModel(t *testing.T) {
	n := seed(t)
	const submitters, stretch, tail = 3, 40000, 500
	engines(t, func(name string, s *Scheduler) {
		var fds [2]int
		var oracle [2][]byte
		for i := range fds {
			oracle[i] = make([]byte, submitters*stretch+tail)
			fds[i] = open(t, t.TempDir(), 0, oracle[i])
		}
		var wg sync.WaitGroup
		for who := range submitters {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(n, uint64(who)))
				p := &program{t: t, name: name, s: s, rnd: rnd, fds: fds, oracle: &oracle, lo: int64(who * stretch), n: stretch}
				if who == submitters-1 {
					p.n += tail + 300 // beyond the end, for reads
					p.end = int64(len(oracle[0]))
				}
				for range 150 * long() {
					p.step()
				}
				p.wait()
			})
		}
		wg.Wait()
		s.Drain()
		for i, fd := range fds {
			got := make([]byte, len(oracle[i])+1)
			if n, err := unix.Pread(fd, got, 0); err != nil || n != len(oracle[i]) {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			} else if !bytes.Equal(got[:n], oracle[i]) {
				t.Errorf("%s: the contents of file %d differ from the model's", name, i)
			}
		}
		if st := s.Stats(); st.Done != st.Submitted || st.Ops != 0 || st.Depth != 0 {
			t.Errorf("%s: %+v", name, st)
		}
		t.Logf("%s: %s", name, text(s))
	})
}

func text(s *Scheduler) string {
	st := s.Stats()
	b, _ := st.AppendText(nil)
	return string(b)
}

// program is what one submitter does.
type program struct {
	t      *testing.T
	name   string
	s      *Scheduler
	rnd    *rand.Rand
	fds    [2]int
	oracle *[2][]byte
	lo     int64
	n      int
	end    int64 // of the file, if it is within; else 0
	last   int64

	mu       sync.Mutex
	inFlight int
	cond     sync.Cond
}

// expect is an op's Priv: what it must come to.
type expect struct {
	n         int
	data      []byte
	cancelled bool
	ended     int
}

func (p *program) done(op *Op) {
	e := op.Priv.(*expect)
	p.mu.Lock()
	defer p.mu.Unlock()
	e.ended++
	p.inFlight--
	p.cond.Broadcast()
	switch {
	case e.ended != 1:
		p.t.Errorf("%s: done %d times", p.name, e.ended)
	case e.cancelled && op.Err == unix.EINTR:
	case op.Err != 0 || op.N != e.n:
		p.t.Errorf("%s: kind %d at %d: %d, %v; expected %d", p.name, op.Kind, op.Off, op.N, op.Err, e.n)
	case op.Kind == Read:
		got := make([]byte, op.Vec.Len())
		op.Vec.CopyTo(got)
		if !bytes.Equal(got[:op.N], e.data) {
			p.t.Errorf("%s: read of %d at %d differs from the model", p.name, op.N, op.Off)
		}
	}
}

func (p *program) wait() {
	p.mu.Lock()
	for p.inFlight > 0 {
		p.cond.Wait()
	}
	p.mu.Unlock()
}

func (p *program) step() {
	if p.cond.L == nil {
		p.cond.L = &p.mu
	}
	file := p.rnd.IntN(2)
	op := &Op{FD: p.fds[file], Key: uint64(file), Done: p.done}
	e := new(expect)
	op.Priv = e
	// Sequential, mostly.
	off := p.last
	n := 1 + p.rnd.IntN(3000)
	if p.rnd.IntN(3) == 0 || off+int64(n) > p.lo+int64(p.n) || off < p.lo {
		off = p.lo + p.rnd.Int64N(int64(p.n-n))
	}
	p.last = off + int64(n)
	limit := p.lo + int64(p.n)
	if p.end > 0 {
		limit = p.end
	}
	model := p.oracle[file]
	op.Off = off
	switch k := p.rnd.IntN(20); {
	case k < 8:
		op.Kind = Read
		p.fill(&op.Vec, make([]byte, n))
		e.n = int(max(min(off+int64(n), limit)-off, 0))
		e.data = bytes.Clone(model[min(off, limit) : min(off, limit)+int64(e.n)])
	case k < 16:
		op.Kind = Write
		n = int(min(int64(n), max(limit-off, 0)))
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(p.rnd.Uint32())
		}
		p.fill(&op.Vec, b)
		copy(model[min(off, limit):], b)
		e.n = n
	case k < 17:
		op.Kind = Fsync + Kind(p.rnd.IntN(2))
	case k < 18 && off < limit:
		op.Kind, op.Mode = Fallocate, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE
		op.Len = min(int64(n), limit-off)
		clear(model[off : off+op.Len])
	case k < 20 && off < limit:
		from := p.rnd.IntN(2)
		op.Kind, op.Len = CopyRange, min(int64(n), limit-off)
		op.FD2, op.Key2 = p.fds[from], uint64(from)
		op.Off2 = p.lo + p.rnd.Int64N(limit-p.lo-op.Len+1)
		if from == file && max(op.Off, op.Off2) < min(op.Off, op.Off2)+op.Len {
			return // the kernel refuses
		}
		copy(model[off:off+op.Len], p.oracle[from][op.Off2:op.Off2+op.Len])
		e.n = int(op.Len)
	default:
		return
	}
	p.mu.Lock()
	p.inFlight++
	p.mu.Unlock()
	for !p.s.TrySubmit(op) {
		if p.rnd.IntN(2) == 0 {
			p.s.Submit(op)
			break
		}
		time.Sleep(20 * time.Microsecond)
	}
	if op.Kind == Read && p.rnd.IntN(5) == 0 {
		p.mu.Lock()
		e.cancelled = true
		p.mu.Unlock()
		p.s.Cancel(op)
	}
	if p.rnd.IntN(200) == 0 {
		p.wait()
	}
}

// fill cuts b into segments.
func (p *program) fill(v interface{ AppendMem([]byte) error }, b []byte) {
	for len(b) > 0 {
		n := len(b)
		if p.rnd.IntN(2) == 0 {
			n = 1 + p.rnd.IntN(n)
		}
		_ = v.AppendMem(b[:n])
		b = b[n:]
	}
}

// TestDirect: reads and writes of a file with O_DIRECT, up to an end that is not
// aligned, alone and merged.
func TestDirect(t *testing.T) {
	const block = 4096
	want := make([]byte, 9*block+123)
	for i := range want {
		want[i] = byte(i * 7 / 5)
	}
	engines(t, func(name string, s *Scheduler) {
		fd := open(t, t.TempDir(), unix.O_DIRECT, want)
		mem, err := unix.Mmap(-1, 0, 12*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(mem)
		l := newLog()
		var p [12]*Op
		for i := range p {
			p[i] = &Op{FD: fd, Waits: true, Off: int64(i) * block, Done: l.add}
			_ = p[i].Vec.AppendMem(mem[i*block : (i+1)*block])
			s.Submit(p[i])
		}
		all := &Op{FD: fd, Waits: true, Done: l.add}
		whole, err := unix.Mmap(-1, 0, 12*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(whole)
		_ = all.Vec.AppendMem(whole[:5*block])
		_ = all.Vec.AppendMem(whole[5*block:])
		s.Submit(all)
		s.Drain()
		for i, op := range p {
			if n := min(max(len(want)-i*block, 0), block); op.N != n || op.Err != 0 {
				t.Errorf("%s: block %d: %d, %v", name, i, op.N, op.Err)
			}
		}
		if all.N != len(want) || all.Err != 0 {
			t.Errorf("%s: whole: %d, %v", name, all.N, all.Err)
		}
		if !bytes.Equal(mem[:len(want)], want) || !bytes.Equal(whole[:len(want)], want) {
			t.Errorf("%s: contents differ", name)
		}
	})
}

// TestFull: writes of which some run into the end of a file that may not grow have
// the results they have alone, merged and not, and leave no wrong size behind.
func TestFull(t *testing.T) {
	const block, room = 4096, 10
	engines(t, func(name string, s *Scheduler) {
		fd, err := unix.MemfdCreate("aio", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Ftruncate(fd, room*block); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
			t.Fatal(err)
		}
		l := newLog()
		want := make([]byte, room*block)
		for i := range 30 {
			op := &Op{Kind: Write, FD: fd, Off: int64(i) * block, Done: l.add}
			b := bytes.Repeat([]byte{byte(i + 1)}, block)
			copy(want[min(i*block, len(want)):], b)
			_ = op.Vec.AppendMem(b)
			s.Submit(op)
		}
		s.Drain()
		for _, op := range l.done {
			i, n, e := op.Off/block, block, unix.Errno(0)
			if i >= room {
				n, e = 0, unix.EPERM
			}
			if op.N != n || op.Err != e {
				t.Errorf("%s: block %d: %d, %v", name, i, op.N, op.Err)
			}
		}
		got := make([]byte, 40*block)
		n, err := unix.Pread(fd, got, 0)
		if err != nil || len(l.done) != 30 || !bytes.Equal(got[:n], want) {
			t.Errorf("%s: %d done; the file has %d bytes, %v", name, len(l.done), n, err)
		}
	})
}
