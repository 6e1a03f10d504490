package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// AIO is a read or write that was submitted (io_submit(2), io_uring).
type AIO struct {
	f    *File
	n    int
	err  unix.Errno
	done bool
}

// StartReadAt submits a pread(2). It returns before the READs are answered if
// the file was opened O_DIRECT and there is ASYNC_DIO; else it has been done when
// StartReadAt returns. p must be left alone until Wait.
func (f *File) StartReadAt(p []byte, off int64) *AIO {
	a := &AIO{f: f}
	n, err := f.readAt(p, off, a)
	a.submitted(n, err)
	return a
}

// StartWriteAt submits a pwrite(2), as StartReadAt does a pread. A write that
// extends the file is waited for: that cannot be done asynchronously.
func (f *File) StartWriteAt(p []byte, off int64) *AIO {
	a := &AIO{f: f}
	n, _, err := f.write(p, off, a)
	a.submitted(n, err)
	return a
}

// queuedIO is EIOCBQUEUED, which no caller sees.
const queuedIO = unix.Errno(529)

func (a *AIO) submitted(n int, err error) {
	if err == queuedIO {
		return
	}
	k := a.f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	a.done, a.n = true, n
	if err != nil {
		a.err = err.(unix.Errno)
	}
}

// Wait waits for the end and returns what the system call would have.
func (a *AIO) Wait() (int, error) {
	k := a.f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wait(a.f.c, func() bool { return a.done })
	return a.n, errno(a.err)
}

// Done reports whether Wait would return at once.
func (a *AIO) Done() bool {
	a.f.c.k.mu.Lock()
	defer a.f.c.k.mu.Unlock()
	return a.done
}

// directMax is the most bytes of the next request of direct I/O, done bytes
// into a buffer: by max_read or max_write, and by its pages, of which a buffer
// that is not aligned (Options.BufferOffset) has one more.
func (k *Kernel) directMax(write bool, done int) int {
	n := k.maxPages*k.page - (k.o.BufferOffset+done)%k.page
	switch {
	case write:
		return min(n, k.maxWrite)
	case k.o.MaxRead != 0:
		return min(n, max(4096, int(k.o.MaxRead)))
	}
	return n
}

// directIn is the body of one READ or WRITE of direct I/O.
func (k *Kernel) directIn(f *File, p []byte, at int64, write bool) *body {
	if !write {
		in := protocol.ReadIn{Fh: f.fh, Offset: uint64(at), Size: uint32(len(p)), Flags: f.flags, ReadFlags: protocol.ReadLockowner, LockOwner: f.c.owner}
		return &body{op: protocol.OpRead, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in), size: len(p)}
	}
	in := protocol.WriteIn{Fh: f.fh, Offset: uint64(at), Size: uint32(len(p)), Flags: f.flags, WriteFlags: protocol.WriteLockowner, LockOwner: f.c.owner}
	if k.has(protocol.InitHandleKillprivV2) && f.c.Uid != 0 { // no CAP_FSETID
		in.WriteFlags |= protocol.WriteKillSuidgid
	}
	return &body{op: protocol.OpWrite, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in), data: p}
}

// directIO is fuse_direct_IO. With ASYNC_DIO all requests are out at once; a is
// not nil if the caller does not wait for them, and then the error is queuedIO.
func (k *Kernel) directIO(f *File, p []byte, off int64, write bool, a *AIO) (int, unix.Errno) {
	i := f.ino
	size := int64(i.attr.Size)
	extends := off+int64(len(p)) > size
	if !write && off > size {
		return 0, 0
	}
	if !k.has(protocol.InitAsyncDio) {
		var n int
		var e unix.Errno
		if write {
			n, e = k.writeThrough(f, p, off, true)
		} else {
			n, e = k.directRead(f, p, off)
		}
		return n, k.undo(f, e, write && extends)
	}
	if !write && extends { // fuse_round_up: no READs far beyond the end
		all := int64(k.maxPages) * int64(k.page)
		p = p[:min(int64(len(p)), (size-off+all-1)/all*all)]
	}
	if write && extends {
		i.unstable++
		defer func() { i.unstable-- }()
	}
	io := &dio{f: f, p: p, off: off, write: write, got: -1, reqs: 1}
	if a != nil && !(write && extends) {
		io.a = a
	}
	for done := 0; done < len(p); {
		n := min(len(p)-done, k.directMax(write, done))
		k.part(io, done, n)
		done += n
	}
	k.ended(io, 0, -1)
	if io.a != nil {
		return 0, queuedIO
	}
	k.wait(f.c, func() bool { return io.reqs == 0 })
	n, e := io.result()
	if write {
		if e == 0 {
			k.grown(i, uint64(off)+uint64(n))
		}
		i.inval |= invalWrote
	}
	return n, k.undo(f, e, write && extends)
}

// undo cuts off what a failed write beyond the end has left (fuse_do_truncate).
func (k *Kernel) undo(f *File, e unix.Errno, extends bool) unix.Errno {
	if e != 0 && extends {
		_ = k.setattr(f.c, f.ino, f, &protocol.SetattrIn{Valid: protocol.FattrSize, Size: f.ino.attr.Size})
	}
	return e
}

// dio is one read or write whose requests are out at once (fuse_io_priv).
type dio struct {
	f     *File
	p     []byte
	off   int64
	write bool
	a     *AIO

	reqs, size int
	got        int // end of the first part that is short, -1: none is
	err        unix.Errno
}

// part sends the request for n bytes, done bytes into the buffer.
func (k *Kernel) part(io *dio, done, n int) {
	io.reqs++
	io.size += n
	i := io.f.ino
	size, version := i.attr.Size, i.version
	io.f.hold()
	i.refs++
	p := io.p[done : done+n]
	k.start(io.f.c, k.directIn(io.f, p, io.off+int64(done), io.write), func(b []byte, e unix.Errno) {
		got := n
		switch {
		case e != 0:
		case io.write:
			if got = int(view[protocol.WriteOut](b).Size); got > n {
				k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0,
					fmt.Sprintf("%d bytes written of %d", got, n), "EIO to the caller")
			}
		default:
			got = copy(p, b)
			if version == i.version {
				k.short(io.f, io.off+int64(done), n, got, size, "read(2) returns less than there is")
			}
		}
		pos := -1
		if got != n {
			pos = done + got
		}
		k.unhold(io.f)
		k.ended(io, e, pos)
		k.iput(i)
	})
}

// ended is fuse_aio_complete: what counts is the first error, or else where the
// first gap is.
func (k *Kernel) ended(io *dio, e unix.Errno, pos int) {
	if e != 0 {
		if io.err == 0 {
			io.err = e
		}
	} else if pos >= 0 && (io.got < 0 || pos < io.got) {
		io.got = pos
	}
	if io.reqs--; io.reqs > 0 {
		return
	}
	if a := io.a; a != nil {
		a.n, a.err = io.result()
		a.done = true
		if a.err == 0 {
			k.attrs++
			io.f.ino.version = k.attrs
		}
	}
	k.cond.Broadcast()
}

// result is fuse_get_res_by_io: a write that is short anywhere is an error.
func (io *dio) result() (int, unix.Errno) {
	switch {
	case io.err != 0:
		return 0, io.err
	case io.got >= 0 && io.write:
		return 0, unix.EIO
	case io.got >= 0:
		return io.got, 0
	}
	return io.size, 0
}
