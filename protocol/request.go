package protocol

import "bytes"

// Request is one message from the kernel. Its slices and the structs that its
// methods return are views of the bytes given to Decode: they are valid as long
// as those are, and change with them. Only an argument that is shorter than its
// struct is copied.
//
// A Request may be decoded into again and again, and does not allocate. It must
// not be copied after Decode. It has no locks: one user at a time.
//
// To encode one that was not decoded (a kernel simulator, a test), fill in
// Header, Arg (see BytesOf) and what the opcode has of Name, Name2, Data and
// Ext, and call Append.
type Request struct {
	Header *InHeader
	Arg    []byte // the fixed argument as it was sent, maybe shorter than its struct
	Name   []byte // first name, without NUL
	Name2  []byte // RENAME, RENAME2: the new name. SYMLINK: the target
	Data   []byte // WRITE, IOCTL, NOTIFY_REPLY: data. SETXATTR: value. BATCH_FORGET, REMOVEMAPPING: entries. Unknown opcode: all
	Ext    []byte // extension area, see NextExt

	arg     full
	scratch scratch
}

const inHeaderSize = 40

// reset drops what an earlier Decode left.
func (r *Request) reset() {
	r.Header = nil
	r.Arg, r.Name, r.Name2, r.Data, r.Ext = nil, nil, nil, nil, nil
	r.arg = full{}
}

// Op returns the request's opcode.
func (r *Request) Op() Opcode { return r.Header.Opcode }

// Decode makes r a view of b, one whole message as read(2) on /dev/fuse returned
// it. b must begin at a multiple of 8. An opcode that 7.46 does not have is no
// error: everything behind the header is Data then.
//
// The error is a *Error. Header is valid even so if b holds a whole one, so that
// the request can be answered.
func (r *Request) Decode(b []byte, p *Params) error {
	r.reset()
	if len(b) < inHeaderSize {
		return &Error{What: "in_header", Need: inHeaderSize, Have: len(b)}
	}
	h := ViewOf[InHeader](b)
	if h == nil {
		return &Error{What: "alignment", Need: 8}
	}
	r.Header = h
	if uint64(h.Len) != uint64(len(b)) {
		return r.bad("in_header.len", 0, len(b), int(h.Len))
	}
	n := 0
	if k := info(h.Opcode).in; k != kNone {
		n = inSize(h.Opcode, k, p)
		if h.Opcode == OpInit { // 8 bytes before 7.6, 16 before 7.36, some day more
			n = max(8, min(n, len(b)-inHeaderSize))
		}
		if len(b)-inHeaderSize < n {
			return r.bad("argument", inHeaderSize, n, len(b)-inHeaderSize)
		}
	}
	return r.split(b[inHeaderSize:inHeaderSize+n:inHeaderSize+n], b[inHeaderSize+n:], inHeaderSize+n)
}

// DecodeRing makes r a view of a request fetched from an io_uring queue: the
// header and the fixed argument in hdr, all else in payload, the entry's payload
// buffer (at least RingEntInOut.PayloadSz bytes, 8-aligned).
// fs/fuse/dev_uring.c: fuse_uring_args_to_ring copies only the first argument to
// op_in; for opcodes without a fixed one op_in holds stale bytes, and the names
// start the payload. NOTIFY_REPLY has its argument in the payload as well.
//
// With UringEntZeroCopy set, data is in the ring's buffer slot and Data is nil.
func (r *Request) DecodeRing(hdr *UringReqHeader, payload []byte, p *Params) error {
	r.reset()
	h := ViewOf[InHeader](hdr.InOut[:])
	if h == nil {
		return &Error{What: "alignment", Need: 8}
	}
	r.Header = h
	size := hdr.RingEntInOut.PayloadSz
	zero := hdr.RingEntInOut.Flags&UringEntZeroCopy != 0 && h.Opcode == OpWrite
	if zero {
		size = 0
	}
	if uint64(size) > uint64(len(payload)) {
		return r.bad("payload_sz", inHeaderSize, int(min(size, 1<<31-1)), len(payload))
	}
	payload = payload[:size:size]
	if size != 0 && !aligned(payload) {
		return &Error{What: "alignment", Op: h.Opcode, Need: 8}
	}
	k := info(h.Opcode).in
	if k == kNone {
		return r.split(nil, payload, inHeaderSize)
	}
	n := inSize(h.Opcode, k, p)
	if h.Opcode == OpNotifyReply {
		if len(payload) < n {
			return r.bad("argument", inHeaderSize, n, len(payload))
		}
		return r.split(payload[:n:n], payload[n:], inHeaderSize+n)
	}
	if zero {
		r.Arg = hdr.OpIn[:n:n]
		r.arg.set(k, r.Arg, &r.scratch)
		return nil
	}
	return r.split(hdr.OpIn[:n:n], payload, inHeaderSize+n)
}

// split views the fixed argument arg and cuts up rest, which is what follows it
// and begins at off in the message.
func (r *Request) split(arg, rest []byte, off int) error {
	h := r.Header
	i := info(h.Opcode)
	if i.in != kNone {
		r.Arg = arg
		r.arg.set(i.in, arg, &r.scratch)
	}
	// The extension area is the tail of the message. A message of an unknown
	// opcode is cut in the same way: the header says so.
	if n := int(h.TotalExtlen) * 8; n != 0 {
		if n > len(rest) {
			return r.fail("total_extlen", off, n, len(rest))
		}
		at := len(rest) - n
		r.Ext = rest[at:]
		rest = rest[:at:at]
	}
	switch i.tail {
	case tailAny:
		r.Data = rest
		return nil
	case tailName, tailName2, tailNameData:
		n := bytes.IndexByte(rest, 0)
		if n < 0 {
			return r.fail("name", off, len(rest)+1, len(rest))
		}
		r.Name = rest[:n:n]
		rest, off = rest[n+1:], off+n+1
	}
	switch i.tail {
	case tailName2:
		n := bytes.IndexByte(rest, 0)
		if n < 0 {
			return r.fail("second name", off, len(rest)+1, len(rest))
		}
		r.Name2 = rest[:n:n]
		rest, off = rest[n+1:], off+n+1
	case tailData, tailNameData:
		need := uint64(load32(arg[i.lenOff:])) * uint64(i.unit)
		if need != uint64(len(rest)) {
			return r.fail("data", off, int(min(need, 1<<31-1)), len(rest))
		}
		r.Data = rest
		return nil
	}
	if len(rest) != 0 {
		return r.fail("end", off, 0, len(rest))
	}
	return nil
}

// bad makes the error. It stays a call.
//
//go:noinline
func (r *Request) bad(what string, off, need, have int) error {
	return &Error{What: what, Op: r.Header.Opcode, Need: need, Off: off, Have: have}
}

// fail drops what was decoded besides the header. It stays a call.
//
//go:noinline
func (r *Request) fail(what string, off, need, have int) error {
	h := r.Header
	r.reset()
	r.Header = h
	return r.bad(what, off, need, have)
}

// extent returns the length of the message behind header and fixed argument,
// and of all of it.
func (r *Request) extent() (rest, total int) {
	switch info(r.Header.Opcode).tail {
	case tailName:
		rest = len(r.Name) + 1
	case tailName2:
		rest = len(r.Name) + len(r.Name2) + 2
	case tailNameData:
		rest = len(r.Name) + 1 + len(r.Data)
	default:
		rest = len(r.Data)
	}
	rest += len(r.Ext)
	return rest, inHeaderSize + len(r.Arg) + rest
}

// appendRest appends what follows the fixed argument.
func (r *Request) appendRest(dst []byte) []byte {
	switch info(r.Header.Opcode).tail {
	case tailName:
		dst = append(append(dst, r.Name...), 0)
	case tailName2:
		dst = append(append(dst, r.Name...), 0)
		dst = append(append(dst, r.Name2...), 0)
	case tailNameData:
		dst = append(append(dst, r.Name...), 0)
		dst = append(dst, r.Data...)
	default:
		dst = append(dst, r.Data...)
	}
	return append(dst, r.Ext...)
}

// Append appends the message as read(2) on /dev/fuse returns it. Len and
// TotalExtlen of the header are worked out, its other fields are sent as they
// are; so is Arg, whose length is the caller's choice, and names are not
// checked for a NUL.
func (r *Request) Append(dst []byte) []byte {
	h := *r.Header
	_, total := r.extent()
	h.Len = uint32(total)
	h.TotalExtlen = uint16(len(r.Ext) / 8)
	dst = append(dst, BytesOf(&h)...)
	return r.appendRest(append(dst, r.Arg...))
}

// PutRing is the other direction of DecodeRing: it fills hdr and appends the
// rest to payload[:0] (RingEntInOut.CommitID becomes the request's unique).
// payload, which it returns, moves if its capacity is too small.
func (r *Request) PutRing(hdr *UringReqHeader, payload []byte) []byte {
	h := *r.Header
	_, total := r.extent()
	h.Len = uint32(total)
	h.TotalExtlen = uint16(len(r.Ext) / 8)
	copy(hdr.InOut[:], BytesOf(&h))
	payload = payload[:0]
	if h.Opcode == OpNotifyReply {
		payload = append(payload, r.Arg...)
	} else {
		copy(hdr.OpIn[:], r.Arg)
	}
	payload = r.appendRest(payload)
	hdr.RingEntInOut = UringEntInOut{CommitID: h.Unique, PayloadSz: uint32(len(payload))}
	return payload
}
