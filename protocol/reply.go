package protocol

// Reply is one answer to the kernel: what a tracer, a replayer or a kernel
// simulator decodes, and one way for a server to encode. Views, lifetime and
// reuse are as for Request.
//
// To encode one that was not decoded, fill in Header, Op, and what the opcode
// has of Arg, Arg2 and Data, and call Append.
type Reply struct {
	Header *OutHeader
	Op     Opcode // of the request: a reply does not say
	Arg    []byte // the fixed struct, maybe shorter than that by minor
	Arg2   []byte // CREATE, TMPFILE: the OpenOut
	Data   []byte // what has no fixed size

	// SizeOnly says that the request was a GETXATTR or LISTXATTR of Size 0, so
	// that the reply is a GetxattrOut. It is the caller's to set before Decode,
	// which does not change it.
	SizeOnly bool

	arg, arg2 full
	scratch   scratch
}

const outHeaderSize = 16

func (r *Reply) reset(op Opcode) {
	r.Header, r.Op = nil, op
	r.Arg, r.Arg2, r.Data = nil, nil, nil
	r.arg, r.arg2 = full{}, full{}
}

// layout is info(op), but for SizeOnly.
func (r *Reply) layout() (out, out2 kind, t tail) {
	if r.SizeOnly && (r.Op == OpGetxattr || r.Op == OpListxattr) {
		return kGetxattrOut, kNone, tailNone
	}
	i := info(r.Op)
	return i.out, i.out2, i.rtail
}

// Decode makes r a view of b, one whole reply to a request of op as it was
// written to /dev/fuse. b must begin at a multiple of 8. p is what the request
// was sent under; for the reply to INIT, which may have 8 to 64 bytes whatever
// it says, p does not matter.
//
// The error is a *Error: among others for a payload that the kernel would not
// accept because of its length, or because there is an error as well. Header is
// valid even so if b holds a whole one.
func (r *Reply) Decode(op Opcode, b []byte, p *Params) error {
	r.reset(op)
	if len(b) < outHeaderSize {
		return &Error{What: "out_header", Op: op, Need: outHeaderSize, Have: len(b)}
	}
	h := ViewOf[OutHeader](b)
	if h == nil {
		return &Error{What: "alignment", Op: op, Need: 8}
	}
	r.Header = h
	if uint64(h.Len) != uint64(len(b)) {
		return &Error{What: "out_header.len", Op: op, Need: len(b), Have: int(h.Len)}
	}
	return r.split(b[outHeaderSize:len(b):len(b)], p)
}

// DecodeRing makes r a view of a reply as it is committed to an io_uring queue:
// the header in hdr, all else in payload, the entry's payload buffer (at least
// RingEntInOut.PayloadSz bytes, 8-aligned).
// fs/fuse/dev_uring.c: fuse_uring_copy_from_ring does not look at the header's Len.
func (r *Reply) DecodeRing(op Opcode, hdr *UringReqHeader, payload []byte, p *Params) error {
	r.reset(op)
	h := ViewOf[OutHeader](hdr.InOut[:])
	if h == nil {
		return &Error{What: "alignment", Op: op, Need: 8}
	}
	r.Header = h
	size := hdr.RingEntInOut.PayloadSz
	if uint64(size) > uint64(len(payload)) {
		return &Error{What: "payload_sz", Op: op, Need: int(min(size, 1<<31-1)), Off: outHeaderSize, Have: len(payload)}
	}
	if size != 0 && !aligned(payload) {
		return &Error{What: "alignment", Op: op, Need: 8}
	}
	return r.split(payload[:size:size], p)
}

// split views what follows the header.
func (r *Reply) split(b []byte, p *Params) error {
	if r.Header.Error != 0 {
		if len(b) != 0 {
			return &Error{What: "payload of an error", Op: r.Op, Off: outHeaderSize, Have: len(b)}
		}
		return nil
	}
	out, out2, t := r.layout()
	off := outHeaderSize
	if out != kNone {
		n := outSize(out, p)
		if out == kInitOut {
			n = max(CompatInitOutSize, min(len(b), int(structSize[kInitOut])))
		}
		if len(b) < n {
			return &Error{What: "payload", Op: r.Op, Need: n, Off: off, Have: len(b)}
		}
		r.Arg = b[:n:n]
		b, off = b[n:], off+n
	}
	if out2 != kNone {
		n := outSize(out2, p)
		if len(b) < n {
			r.Arg = nil
			return &Error{What: "second payload", Op: r.Op, Need: n, Off: off, Have: len(b)}
		}
		r.Arg2 = b[:n:n]
		b, off = b[n:], off+n
	}
	if t == tailNone && len(b) != 0 {
		r.Arg, r.Arg2 = nil, nil
		return &Error{What: "end", Op: r.Op, Off: off, Have: len(b)}
	}
	if t != tailNone {
		r.Data = b
	}
	if out != kNone {
		r.arg.set(out, r.Arg, &r.scratch)
	}
	if out2 != kNone {
		// An EntryOut is a multiple of 8 long under any minor, so the struct
		// behind it is aligned and whole: scratch is not needed twice.
		r.arg2.set(out2, r.Arg2, &r.scratch)
	}
	return nil
}

// Append appends the reply as one write(2) to /dev/fuse takes it. Len of the
// header is worked out.
func (r *Reply) Append(dst []byte) []byte {
	h := *r.Header
	h.Len = uint32(outHeaderSize + len(r.Arg) + len(r.Arg2) + len(r.Data))
	return r.appendPayload(append(dst, BytesOf(&h)...))
}

func (r *Reply) appendPayload(dst []byte) []byte {
	dst = append(dst, r.Arg...)
	dst = append(dst, r.Arg2...)
	return append(dst, r.Data...)
}

// PutRing is the other direction of DecodeRing: it fills InOut and PayloadSz of
// hdr and appends the rest to payload[:0], which it returns.
func (r *Reply) PutRing(hdr *UringReqHeader, payload []byte) []byte {
	payload = r.appendPayload(payload[:0])
	h := *r.Header
	h.Len = uint32(outHeaderSize + len(payload))
	copy(hdr.InOut[:], BytesOf(&h))
	hdr.RingEntInOut.PayloadSz = uint32(len(payload))
	return payload
}
