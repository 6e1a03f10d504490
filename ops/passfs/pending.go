package passfs

import (
	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
)

// pending is a READ, WRITE or FSYNC that is with the engine. It stays with its
// ops.Request, so that handing over allocates once for each that there ever was.
type pending struct {
	_     [0]func() // not comparable: no code for it
	op    aio.Op
	fs    *FS
	r     *ops.Request
	f     *file
	done  int  // bytes transferred before
	whole bool // part is no answer
}

// submit hands the request over. f is the engine's until it is done. kind, off
// and flags are an aio.Op's; mem is what is left to transfer after done bytes.
func (fs *FS) submit(r *ops.Request, f *file, kind aio.Kind, mem []byte, off int64, flags, done int, whole bool) error {
	p, _ := r.Local.(*pending)
	if p == nil {
		p = &pending{fs: fs}
		p.op.Done = p.finish
		r.Local = p
	}
	p.r, p.f, p.done, p.whole = r, f, done, whole
	p.op.Kind, p.op.FD, p.op.Off, p.op.Flags, p.op.Key = kind, f.fd, off, flags, f.i.nodeid
	p.op.Waits = true // was tried already, or is not to be
	p.op.Vec.Reset()
	_ = p.op.Vec.AppendMem(mem) // one segment cannot be too long
	r.Detach()
	r.OnInterrupt(interruptIO)
	fs.opt.Engine.Submit(&p.op)
	return ops.Detached
}

func (p *pending) finish(*aio.Op) {
	n, err := p.done+p.op.N, error(nil)
	if p.op.Err != 0 && (n == 0 || p.whole) {
		n, err = 0, p.op.Err
	}
	p.fs.put(p.f)
	p.r.Complete(n, err)
}

// interruptIO is called when the caller has got a signal: what has not been
// started yet need not be. The slot is not used again meanwhile, so neither is
// the op.
func interruptIO(c *conn.Request) {
	if r, _ := c.Priv.(*ops.Request); r != nil {
		if p, _ := r.Local.(*pending); p != nil {
			p.fs.opt.Engine.Cancel(&p.op)
		}
	}
}

// mayGo reports whether a WRITE may be carried out by a thread that has
// CAP_FSETID though its caller (kill) has not: if there are no bits to take.
func (fs *FS) mayGo(f *file, kill bool) bool {
	if !kill || !fs.hasFsetid {
		return true
	}
	var st unix.Statx_t
	return statxFD(f.fd, &st) == nil && st.Mode&(unix.S_ISUID|unix.S_ISGID) == 0
}
