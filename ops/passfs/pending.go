package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/wb"
)

// pending is a READ, WRITE or FSYNC that is with the engine, or waits for the
// engine to have room. It stays with its ops.Request, so that in the long run
// handing over allocates nothing.
//
// A signal does not end it: as with any local disk read(2) and fsync(2) are not
// to fail with EINTR, which is what the kernel would make of that answer.
type pending struct {
	_    [0]func() // not comparable: no code for it
	op   aio.Op
	fs   *FS
	r    *ops.Request
	f    *file
	done int      // bytes transferred before
	part bool     // part is an answer: of a write(2); of a read, if nothing is behind
	next *pending // in overflow

	c     *cached
	moved func(n int, e unix.Errno) // transferred
}

// pending returns r's. It stays a call.
//
//go:noinline
func (fs *FS) pending(r *ops.Request) *pending {
	p, _ := r.Local.(*pending)
	if p == nil {
		p = &pending{fs: fs}
		p.op.Done = p.finish
		p.moved = p.transferred
		r.Local = p
	}
	return p
}

// submit hands the request over. f is the engine's until it is done. kind, off
// and flags are an aio.Op's; mem is what is left to transfer after done bytes.
func (fs *FS) submit(r *ops.Request, f *file, kind aio.Kind, mem []byte, off int64, flags, done int, part bool) error {
	p := fs.pending(r)
	p.r, p.f, p.done, p.part = r, f, done, part
	p.op.Kind, p.op.FD, p.op.Off, p.op.Flags, p.op.Key = kind, f.fd, off, flags, f.i.nodeid
	p.op.Waits = true // was tried already, or is not to be
	p.op.Vec.Reset()
	_ = p.op.Vec.AppendMem(mem) // one segment cannot be too long
	r.Detach()
	if !fs.opt.Engine.TrySubmit(&p.op) {
		fs.overflow.add(p)
	}
	return ops.Detached
}

// finish is the op's end. A READ that fails behind its first part fails: a short
// one would be the end of the file to the kernel.
func (p *pending) finish(*aio.Op) {
	n, err := p.done+p.op.N, error(nil)
	short := p.op.N < p.op.Vec.Len()
	read := p.op.Kind == aio.Read
	switch {
	case p.part && n > 0 && !read:
	case p.op.Err != 0:
		n, err = 0, p.op.Err
	case short && !read:
		n, err = 0, unix.EIO
	}
	fs, r, f := p.fs, p.r, p.f
	if short && p.part && read && err == nil && wb.SeekNeedsFlush(f.i.writers.Load()) {
		p.r, p.f = nil, nil
		fs.readAgain(r, f, p.op.Vec.Segs()[0].Mem[p.op.N:], p.op.Off+int64(p.op.N), n)
	} else {
		p.end(n, err)
	}
	fs.overflow.drain(fs)
}

// end answers. p is the next request's then.
func (p *pending) end(n int, err error) {
	fs, r, f := p.fs, p.r, p.f
	p.r, p.f = nil, nil
	fs.put(f)
	r.Complete(n, err)
}

// overflow are ops that the engine had no room for, the oldest first. There are
// no more than there are slots. They wait here, so that no reader of the device
// has to: who else would read what makes room?
type overflow struct {
	n atomic.Int32 // how many, readable without mu

	mu          mutex
	first, last *pending
	draining    bool // one is at it
	again       bool // ... and is to look once more
}

func (o *overflow) add(p *pending) {
	fs := p.fs
	o.mu.Lock()
	p.next = nil
	if o.last != nil {
		o.last.next = p
	} else {
		o.first = p
	}
	o.last = p
	o.n.Add(1)
	o.mu.Unlock()
	// What was in its way may have ended before it was on the list.
	o.drain(fs)
}

// drain submits what there is room for. The engine refuses only while it has ops,
// all of them this file system's, whose end calls this again.
func (o *overflow) drain(fs *FS) {
	if o.n.Load() == 0 {
		return
	}
	o.mu.Lock()
	if o.draining {
		o.again = true
		o.mu.Unlock()
		return
	}
	o.draining = true
	for o.first != nil {
		p := o.first
		if o.first = p.next; o.first == nil {
			o.last = nil
		}
		o.again = false
		o.mu.Unlock()
		ok := fs.opt.Engine.TrySubmit(&p.op)
		o.mu.Lock()
		if ok { // p may be another one by now
			o.n.Add(-1)
			continue
		}
		if p.next = o.first; p.next == nil {
			o.last = p
		}
		o.first = p
		if !o.again {
			break
		}
	}
	o.draining = false
	o.mu.Unlock()
}

// mayGo reports whether a WRITE may be carried out by a thread that has
// CAP_FSETID though its caller (kill) has not: if there are no bits to take.
func (fs *FS) mayGo(f *file, kill bool) bool {
	if !kill || !fs.hasFsetid {
		return true
	}
	return f.withoutSetID()
}

// withoutSetID reports whether the file has no bits that a write takes.
func (f *file) withoutSetID() bool {
	var st unix.Statx_t
	return statxFD(f.fd, &st) == nil && st.Mode&(unix.S_ISUID|unix.S_ISGID) == 0
}
