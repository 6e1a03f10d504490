package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Variables by which this binary learns that it is to be a worker.
const (
	pathVar = "FUSEWIRE_FSX_PATH"
	sizeVar = "FUSEWIRE_FSX_SIZE"
)

// hung is how long an op may take.
const hung = time.Minute

// config says what is to be run.
type config struct {
	path    string // of the files: "a", "b" and "c" are appended
	source  string // the same elsewhere, compared in the end; "" for nowhere
	workers int
	n       int // operations in all
	most    int64
	chunk   int64
	seed    uint64
	apart   bool
	within  bool // no io_uring read beyond the end, see doc.go
	replay  []op // instead of random ones; not apart
}

// defaults fills in what was not said.
func (c *config) defaults() {
	p := int64(pageSize)
	if c.most == 0 {
		c.most = 256 << 10
	}
	if c.chunk == 0 {
		c.chunk = min(64<<10, c.most/2)
	}
	c.most, c.chunk = (c.most+p-1)&^(p-1), max(c.chunk, 4*p)
}

// proc is a worker, seen from here.
type proc struct {
	cmd *exec.Cmd
	enc *gob.Encoder
	dec *gob.Decoder
	in  interface{ Close() error }
	out *os.File
	mem []byte
}

// maybeWork is the whole life of a process that is to be a worker.
func maybeWork() {
	path := os.Getenv(pathVar)
	if path == "" {
		return
	}
	var size, most int
	_, err := fmt.Sscan(os.Getenv(sizeVar), &size, &most)
	if err == nil {
		err = work(path, size, most)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fsx worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (c *config) start() (*proc, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	size := int(c.most) + 4*pageSize // a file that is too long must show
	fd, err := unix.MemfdCreate("fsx", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	memfd := os.NewFile(uintptr(fd), "memory")
	defer memfd.Close()
	if err := memfd.Truncate(int64(size)); err != nil {
		return nil, err
	}
	p := &proc{}
	if p.mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	runtime.LockOSThread() // for good: Pdeathsig is the thread's
	p.cmd = exec.Command(exe)
	p.cmd.Env = append(os.Environ(), pathVar+"="+c.path, sizeVar+"="+strconv.Itoa(size)+" "+strconv.Itoa(int(c.most)))
	p.cmd.Stderr = os.Stderr
	p.cmd.ExtraFiles = []*os.File{memfd}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, out.(*os.File)
	p.enc, p.dec = gob.NewEncoder(in), gob.NewDecoder(out)
	return p, p.cmd.Start()
}

// do has an op carried out.
func (p *proc) do(o *op) (r result, err error) {
	if err := p.out.SetReadDeadline(time.Now().Add(hung)); err != nil {
		return r, err
	}
	if err := p.enc.Encode(o); err != nil {
		return r, err
	}
	if err := p.dec.Decode(&r); errors.Is(err, os.ErrDeadlineExceeded) {
		return r, fmt.Errorf("no answer for %v: the file system hangs", hung)
	} else if err != nil {
		return r, fmt.Errorf("the worker: %w", err)
	}
	return r, nil
}

func (p *proc) stop() error {
	_ = p.in.Close()
	limit := time.AfterFunc(hung, func() { _ = p.cmd.Process.Kill() })
	defer limit.Stop()
	return errors.Join(p.cmd.Wait(), unix.Munmap(p.mem))
}

// run runs it all.
func (c *config) run() (m *model, err error) {
	c.defaults()
	var ps []*proc
	defer func() {
		for _, p := range ps {
			if err != nil {
				_ = p.cmd.Process.Kill() // it may wait for ever; p's result counts no more
			}
			if e := p.stop(); err == nil {
				err = e
			}
		}
	}()
	for range c.workers {
		p, err := c.start()
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	for _, a := range []string{"a", "b", "c"} { // of another time
		if _, err := ps[0].do(&op{Kind: "unlink", A: a}); err != nil {
			return nil, err
		}
	}
	m = newModel(c.workers)
	t := &track{c: c, m: m, ps: ps}
	if c.apart {
		err = t.apart()
	} else {
		err = t.turns()
	}
	if err == nil {
		err = t.end()
	}
	return m, err
}

// track is a sequence of ops.
type track struct {
	c   *config
	m   *model
	ps  []*proc
	ops []op
}

// do has o carried out, and compared.
func (t *track) do(o op) error {
	t.ops = append(t.ops, o)
	p := t.ps[o.W]
	r, err := p.do(&o)
	if err == nil {
		err = t.m.apply(&o, &r, p.mem)
	}
	if err == nil {
		return nil
	}
	var b strings.Builder
	from := max(len(t.ops)-40, 0)
	for i := range t.ops[from:] {
		fmt.Fprintf(&b, "\n%6d %s", from+i, &t.ops[from+i])
	}
	name, e := save(t.ops)
	if e != nil {
		name = e.Error()
	}
	return fmt.Errorf("seed %d: op %d, %s: %w\nthe program: %s; its end:%s", t.c.seed, len(t.ops)-1, o.Kind, err, name, b.String())
}

func (t *track) turns() error {
	c := t.c
	for i := range c.replay {
		if o := &c.replay[i]; o.W >= c.workers || o.S >= slots {
			return fmt.Errorf("%s: there are %d workers", o, c.workers)
		}
		if err := t.do(c.replay[i]); err != nil {
			return err
		}
	}
	if c.replay != nil {
		return nil
	}
	g := &generator{rng: rand.New(rand.NewPCG(c.seed, 1)), m: t.m, most: c.most, chunk: c.chunk, hi: c.most, within: c.within}
	for range c.n {
		if err := t.do(g.next()); err != nil {
			return err
		}
	}
	return nil
}

// apart has every worker go about its own part of "a", at the same time.
func (t *track) apart() error {
	c := t.c
	for _, o := range []op{{Kind: "open", A: "a", Mode: unix.O_CREAT | unix.O_RDWR}, {Kind: "truncate", Off: c.most}, {Kind: "close"}} {
		if err := t.do(o); err != nil {
			return err
		}
	}
	whole := t.m.names["a"]
	errs := make(chan error, c.workers)
	each := c.most / int64(c.workers)
	tracks := make([]*track, c.workers)
	for w := range c.workers {
		lo, hi := int64(w)*each+int64(w)*100, int64(w+1)*each+int64(w+1)*100
		if w == c.workers-1 {
			hi = c.most
		}
		own := &track{c: c, m: newModel(c.workers), ps: t.ps}
		own.m.names["a"] = &inode{data: make([]byte, hi-lo), base: lo, total: c.most}
		tracks[w] = own
		g := &generator{rng: rand.New(rand.NewPCG(c.seed, uint64(w)+2)), m: own.m, w: w, most: c.most, chunk: min(c.chunk, (hi-lo)/2), lo: lo, hi: hi, apart: true}
		go func() {
			var err error
			for i := 0; i < c.n/c.workers && err == nil; i++ {
				err = own.do(g.next())
			}
			errs <- err
		}()
	}
	var err error
	for range c.workers {
		if e := <-errs; err == nil {
			err = e // the others' are of no use
		}
	}
	for w, own := range tracks {
		part := own.m.names["a"]
		copy(whole.data[part.base:], part.data)
		for k, n := range own.m.done {
			t.m.done[k] += n
		}
		for k, n := range own.m.none {
			t.m.none[k] += n
		}
		for s, h := range own.m.files[w] {
			if h != nil {
				t.m.files[w][s] = &handle{whole, h.flags}
			}
		}
	}
	return err
}

// end closes everything, compares everything, and removes it.
func (t *track) end() error {
	for w := range t.m.files {
		for s, h := range t.m.files[w] {
			if h == nil {
				continue
			}
			if err := t.do(op{Kind: "close", W: w, S: s}); err != nil {
				return err
			}
		}
	}
	for _, a := range []string{"a", "b", "c"} {
		i := t.m.names[a]
		if i != nil && t.c.source != "" {
			b, err := os.ReadFile(t.c.source + a)
			if err != nil {
				return err
			}
			r := result{N: int64(len(b))}
			if err := compare(i.data, &r, b, 0); err != nil {
				name, _ := save(t.ops) // said if it could be
				return fmt.Errorf("seed %d: in the end, file %s in the source: %w; the program: %s", t.c.seed, a, err, name)
			}
		}
		if err := t.do(op{Kind: "whole", A: a}); err != nil {
			return err
		}
		if i != nil {
			if err := t.do(op{Kind: "unlink", A: a}); err != nil {
				return err
			}
		}
	}
	return nil
}

// counts is what was done, for reading.
func (m *model) counts() string {
	var b bytes.Buffer
	for k, n := range m.done {
		fmt.Fprintf(&b, " %s %d", k, n)
	}
	for k, n := range m.none {
		fmt.Fprintf(&b, " (%s not supported: %d)", k, n)
	}
	return strings.TrimSpace(b.String())
}
