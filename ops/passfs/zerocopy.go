package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// Zero copy: the data of READ and WRITE go from the page cache of the source to that
// of the mount, or to the caller's memory, without coming here (conn.ZeroCopy). Only
// of file systems that are known to read into and write from any pages, not user
// memory alone (mount.quiet): what has no buffer could not be served otherwise.

// move has the kernel carry out a READ or WRITE of n bytes, and answers with what
// came of it. f is given back then. part: part of a write is an answer; to a read its
// end is none if the kernel may hold pages back that lie behind, see readAgain.
func (fs *FS) move(r *ops.Request, f *file, off int64, n, flags int, part bool) error {
	p := fs.pending(r)
	p.r, p.f, p.done, p.part = r, f, n, part
	r.Detach()
	r.Transfer(f.fd, off, n, flags, p.moved)
	return ops.Detached
}

// transferred is move's end. READ: not even the part before an error, which would be
// the end of the file to the kernel.
func (p *pending) transferred(n int, e unix.Errno) {
	read := p.r.Header.Opcode == protocol.OpRead
	if read && p.part && e == 0 && n < p.done && wb.SeekNeedsFlush(p.f.i.writers.Load()) {
		if p.fs.locks.mayWait(p.r) {
			go p.flushed()
			return
		}
		e = unix.EAGAIN
	}
	err := error(nil)
	if e != 0 && (read || !p.part || n == 0) {
		n, err = 0, e
	}
	p.end(n, err)
}

// flushed has the kernel write its pages, and the transfer go on.
func (p *pending) flushed() {
	p.part = false
	_ = p.fs.conn.NotifyInvalInode(p.r.Nodeid(), 0, 0)
	p.fs.locks.waiters.Add(-1)
	p.r.TransferOn()
}

// killBits takes the set-id bits that a WRITE is to take, where the thread that will
// write may leave them.
func (fs *FS) killBits(f *file) {
	if fs.mayGo(f, true) {
		return
	}
	var st unix.Statx_t
	if statxFD(f.fd, &st) == nil {
		_ = unix.Fchmod(f.fd, uint32(st.Mode)&0o1777)
	}
}
