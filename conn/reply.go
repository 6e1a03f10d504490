package conn

import (
	"strconv"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Reply answers with the first fixed bytes of Out and the first data bytes of
// Payload, in one write. Errors, all unix.Errno:
//
//	ENOENT    the kernel no longer wanted it, or is gone: it has not counted what
//	          the reply would have made it count (nlookup), take that back
//	EALREADY  it was answered before
//	EINVAL    the sizes are out of bounds, or not what the kernel expects; the
//	          caller got EIO
//
// Whatever it returns, the request is over.
func (r *Request) Reply(fixed, data int) error {
	if !r.claim() {
		return unix.EALREADY
	}
	if fixed < 0 || fixed > outSize || data < 0 || data > len(r.payload) {
		return r.finish(r.reject(fixed, data))
	}
	zero := r.zero && r.op == protocol.OpRead
	if !zero {
		r.touched(data)
	} else if fixed > 0 || data > r.xfer.n { // the rest of the pages is what was in memory before
		return r.finish(r.reject(fixed, data))
	}
	r.hdr.Len = uint32(outOff + fixed + data)
	r.iov[0].Base = &r.mem[0]
	r.iov[0].SetLen(outOff + fixed)
	n := 1
	if data > 0 && !zero {
		r.iov[1].Base = &r.payload[0]
		r.iov[1].SetLen(data)
		n = 2
	}
	return r.finish(r.send(r.iov[:n]))
}

// ReplyVec answers with the first fixed bytes of Out and the n bytes of iov,
// wherever they are, in one write. Errors are those of Reply.
func (r *Request) ReplyVec(fixed int, iov []unix.Iovec, n int) error {
	if !r.claim() {
		return unix.EALREADY
	}
	sum := uint64(0)
	for i := range iov {
		sum += uint64(iov[i].Len)
	}
	if fixed < 0 || fixed > outSize || n < 0 || sum != uint64(n) || sum > 1<<31-outOff-outSize-1 || len(iov) > 1023 {
		return r.finish(r.reject(fixed, n))
	}
	r.hdr.Len = uint32(outOff + fixed + n)
	r.iov[0].Base = &r.mem[0]
	r.iov[0].SetLen(outOff + fixed)
	r.vec = append(append(r.vec[:0], r.iov[0]), iov...)
	err := r.send(r.vec)
	clear(r.vec) // keep nobody's memory alive
	return r.finish(err)
}

// ReplyError answers with an errno, or with success and nothing else if e is 0.
// What cannot be an errno (fs/fuse/dev.c: fuse_dev_do_write takes 1 to 511)
// becomes EIO. Errors are those of Reply.
func (r *Request) ReplyError(e unix.Errno) error {
	if !r.claim() {
		return unix.EALREADY
	}
	if e > 511 {
		e = unix.EIO
	}
	return r.finish(r.sendError(e))
}

// NoReply ends a request to which the kernel expects no answer. Others are
// answered with EIO.
func (r *Request) NoReply() {
	if r.claim() {
		_ = r.finish(r.sendError(unix.EIO)) // sends nothing where none is expected
	}
}

func (r *Request) finish(err error) error {
	r.unref()
	return err
}

// reject answers EIO in place of a reply that makes no sense.
func (r *Request) reject(fixed, data int) error {
	r.c.log("reply to " + r.op.String() + ": sizes " + strconv.Itoa(fixed) + " and " + strconv.Itoa(data) + " are out of bounds")
	if err := r.sendError(unix.EIO); err == unix.ENOENT {
		return err
	}
	return unix.EINVAL
}

func (r *Request) sendError(e unix.Errno) error {
	r.hdr.Len = outOff
	r.hdr.Error = -int32(e)
	if e != 0 && !r.noReply {
		r.c.count.errors.Add(1)
	}
	r.iov[0].Base = &r.mem[0]
	r.iov[0].SetLen(outOff)
	return r.send(r.iov[:1])
}

// send writes the reply, header first, whose Len and Error are set.
func (r *Request) send(iov []unix.Iovec) error {
	if r.q != nil {
		return r.toRing(iov)
	}
	if r.noReply {
		return nil
	}
	for {
		seen := r.resends.Load()
		dev := r.c.port
		if m := r.moved.Load(); m != nil {
			dev = *m
		} else if r.clone != nil {
			dev = r.clone
		}
		r.hdr.Unique = r.id.Load()
		_, err := dev.WriteReply(iov)
		if tap := r.c.opt.Trace; tap != nil {
			tap.Reply(r.op, flatten(iov), err)
		}
		if err == nil {
			return nil
		}
		switch err {
		case unix.ENOENT:
			if r.resent(seen) {
				continue
			}
			r.c.count.lost.Add(1)
			return unix.ENOENT
		case unix.ENODEV, unix.ECONNABORTED, unix.ENOTCONN, unix.EPIPE, unix.ECONNRESET:
			r.c.count.lost.Add(1)
			return unix.ENOENT
		}
		return r.refused(err)
	}
}

// refused deals with a reply that the kernel did not take as it is. Depending
// on where it found fault the caller has got EIO or still waits, so it is told
// in the shortest way; if it has got it, that write is a harmless ENOENT.
func (r *Request) refused(err error) error {
	r.c.count.refused.Add(1)
	r.c.log("reply to " + r.op.String() + " refused (" + err.Error() + "): length " +
		strconv.Itoa(int(r.hdr.Len)) + ", error " + strconv.Itoa(int(r.hdr.Error)))
	r.hdr.Len = outOff
	r.hdr.Error = -int32(unix.EIO)
	r.iov[0].Base = &r.mem[0]
	r.iov[0].SetLen(outOff)
	dev := r.c.port
	if m := r.moved.Load(); m != nil {
		dev = *m
	} else if r.clone != nil {
		dev = r.clone
	}
	_, e := dev.WriteReply(r.iov[:1])
	if tap := r.c.opt.Trace; tap != nil {
		tap.Reply(r.op, flatten(r.iov[:1]), e)
	}
	if err == unix.ENOENT { // cannot be told apart from "no longer wanted"
		return unix.EINVAL
	}
	return err
}
