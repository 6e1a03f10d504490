package conn

import (
	"github.com/fusewire/fusewire/aio/uring"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/unix"
)

// Zero copy (7.46, fs/fuse/dev_uring.c). A queue that was made for it has a pool of
// payload buffers in place of one for each entry, and each entry a slot in the
// ring's table of registered buffers. Of a file opened with FOPEN_IO_URING_ZERO_COPY
// a READ or WRITE comes without its data: the kernel puts its pages (of the page
// cache, or the caller's) into the slot, for READ_FIXED from and WRITE_FIXED to a
// file, until the request is answered. This process cannot see them.

// ZeroCopy says whether files may be opened so.
type ZeroCopy uint8

const (
	// ZeroCopyOff is the default.
	ZeroCopyOff ZeroCopy = iota
	// ZeroCopyAuto is zero copy where requests come on rings, the kernel has it
	// (Linux 7.3) and this process has CAP_SYS_ADMIN in the first user namespace.
	ZeroCopyAuto
	// ZeroCopyOn is the same, and Options.Log is told if it cannot be.
	ZeroCopyOn
)

// ZeroCopy reports whether opens may be answered with FopenIOUringZeroCopy.
func (c *Conn) ZeroCopy() bool { return c.zero.Load() }

// zeroed notes that there is zero copy, or tells why not if it was asked for: EPERM
// is CAP_SYS_ADMIN that is lacking, EOPNOTSUPP the kernel or its rings.
func (c *Conn) zeroed(e unix.Errno) {
	if c.opt.ZeroCopy == ZeroCopyOff {
		return
	}
	if e == 0 {
		c.zero.Store(true)
	} else if c.opt.ZeroCopy == ZeroCopyOn {
		c.log("zero copy is not used (it needs io_uring, Linux 7.3 and CAP_SYS_ADMIN): " + e.Error())
	}
}

// Requests that are away keep their buffers, as far as they have any; with none left
// others wait in the kernel for one of them to be answered.
const (
	poolBufs   = 256       // buffers of a queue, which cost address space
	poolBufs32 = 16        // where that is short, besides the depth
	poolSeats  = 1<<14 - 1 // the kernel's table has one slot more at most (IORING_MAX_REG_BUFFERS)
)

// makePool prepares zero copy, as far as that can be done before INIT is answered.
func (q *queue) makePool() {
	n := max(poolBufs, q.s.depth)
	if ^uint(0)>>32 == 0 {
		n = q.s.depth + poolBufs32
	}
	n = max(min(n, 1<<30/q.s.size), 1) // its length is a uint32
	pool, err := sg.NewArena(n*q.s.size, 1)
	if err == nil {
		if err = q.ring.RegisterBuffersSparse(min(q.c.opt.Slots, poolSeats) + 1); err == nil { // slot 0 is no entry's
			b, _ := pool.Get()
			q.pool, q.poolBuf, q.poolArena = b.Bytes(), b, pool
			return
		}
		_ = pool.Close()
	}
	q.s.noZero.Store(uint32(Errno(err)))
}

// addPool makes the queue in the kernel, with its pool. If there can be no such
// queue it will be an ordinary one; only an error means that there is none.
func (q *queue) addPool() error {
	if e := q.ask(protocol.IOUringCmdAddQueue, protocol.UringZeroCopy, nil); e != 0 {
		q.s.noZero.Store(uint32(e))
		q.dropPool()
		return nil
	}
	if e := q.ask(protocol.IOUringCmdAddBufpool, 0, q.pool); e != 0 {
		return &Error{Op: "io_uring buffer pool", Err: e}
	}
	return nil
}

// ask carries out one command, which is the only thing in the ring.
func (q *queue) ask(cmd uint32, flags uint64, pool []byte) unix.Errno {
	s := sqe(q.ring, cmd, 0, uint16(q.id), 0)
	a := protocol.ViewOf[protocol.UringCmdReq](s.Cmd()[:])
	a.Flags, a.Bufpool.Uaddr, a.Bufpool.Len = flags, uint64(uring.Address(pool)), uint32(len(pool))
	for {
		_, e := q.ring.Enter(1)
		if p, ok := q.ring.Next(); ok {
			_, e = p.Result()
			return e
		}
		if e != 0 && e != unix.EINTR && e != unix.EAGAIN && e != unix.EBUSY {
			return e
		}
	}
}

// dropPool unmaps the pool once nobody can use it any more. mu is held.
func (q *queue) dropPool() {
	if q.pool != nil && q.held == 0 {
		q.poolArena.Put(q.poolBuf)
		_ = q.poolArena.Close()
		q.pool = nil
	}
}

// buffer returns the part of the pool that the kernel has given to a request, nil
// if it has none: then it says offset 0, which is another's
// (fs/fuse/dev_uring.c: fuse_uring_req_has_copyable_payload).
func (q *queue) buffer(h *protocol.UringReqHeader) []byte {
	e, op := &h.RingEntInOut, protocol.ViewOf[protocol.InHeader](h.InOut[:]).Opcode
	if e.PayloadSz == 0 {
		fixed, more := protocol.ReplySize(op, &q.c.params)
		if fixed == 0 && !more || !op.Known() { // of others nobody knows
			return nil
		}
	}
	if e.Flags&protocol.UringEntZeroCopy != 0 && op == protocol.OpRead || int64(e.Offset) > int64(len(q.pool)-q.s.size) {
		return nil
	}
	return q.pool[e.Offset:][:q.s.size:q.s.size]
}

// transfer is what moves between a request's pages and a file.
type transfer struct {
	done  func(n int, e unix.Errno)
	fd    int
	off   int64
	flags uint32
	size  int // asked for
	n     int // done
	wants bool
}

// ZeroCopy reports whether the data of this READ or WRITE are pages of the kernel's.
// Then Data is empty, and nothing may be answered but what Transfer has moved.
func (r *Request) ZeroCopy() bool { return r.zero }

// Transfer moves n bytes, all that the request is about, between its pages and
// offset off of the file fd: from the file for READ, to it for WRITE; flags are
// RWF_*. Only for a request of which ZeroCopy is true, at most n bytes long, once, and
// after Detach. fd stays open, and the request unanswered, until done is called, on a
// thread that must not be kept waiting, with how many bytes were moved: fewer at the
// end of the file, or with an errno. Then READ is answered with Reply(0, n), n being
// no more than that.
func (r *Request) Transfer(fd int, off int64, n int, flags int, done func(n int, e unix.Errno)) {
	r.xfer = transfer{done: done, fd: fd, off: off, flags: uint32(flags), size: n, wants: true}
	if r.worker.Load() == nil && r.thread.q == r.q {
		r.q.move(r)
	} else {
		r.q.push(r)
	}
}

// TransferOn goes on where done was told that a READ's transfer had ended, for who has
// reason to think that it has not. done is called once more.
func (r *Request) TransferOn() {
	r.xfer.wants = true
	r.q.push(r)
}

// noMove ends a transfer that the end of the connection has come before.
func (r *Request) noMove() {
	r.xfer.wants = false
	r.xfer.done(0, unix.ENOTCONN)
}

// move submits the rest of a transfer.
func (q *queue) move(r *Request) {
	x := &r.xfer
	x.wants = false
	op := uint8(uring.OpReadFixed)
	if r.op == protocol.OpWrite {
		op = uring.OpWriteFixed
	}
	s := q.next()
	// The pages are at address 0 of their slot (io_uring/rsrc.c: io_kernel_buffer_init).
	s.Rw(op, x.fd, uintptr(x.n), x.size-x.n, x.off+int64(x.n), ringMoved|uint64(r.buf.Index()))
	s.OpFlags, s.Buf = x.flags, r.seat
	q.moving++
}

// moved deals with the end of a transfer's part.
func (q *queue) moved(r *Request, n int, e unix.Errno) {
	x := &r.xfer
	q.moving--
	x.n += n
	q.zeroBytes.Store(q.zeroBytes.Load() + uint64(n))
	if n > 0 && x.n < x.size || e == unix.EINTR || e == unix.EAGAIN {
		q.move(r)
		return
	}
	if r.op == protocol.OpWrite && e == 0 && x.n < x.size {
		e = unix.EIO
	}
	x.done(x.n, e)
}
