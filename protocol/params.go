package protocol

// Params is what was negotiated on one connection and decides how long some
// structs are on it. The zero value, and a nil pointer, mean the newest minor
// with no INIT flag in force.
//
// The minor never proves a feature (stable kernels raise it without all of the
// additions): only sizes are derived from it. Everything optional goes by Flags.
type Params struct {
	Minor uint32    // minor of the INIT reply (fs/fuse/inode.c: fc->minor); 0 means KernelMinorVersion
	Flags InitFlags // flags of the INIT reply that the request had offered
}

// minor is the minor in force.
func (p *Params) minor() uint32 {
	if p == nil || p.Minor == 0 {
		return KernelMinorVersion
	}
	return p.Minor
}

// has reports whether all of f were negotiated.
func (p *Params) has(f InitFlags) bool {
	return p != nil && p.Flags&f == f
}

// inSize is the length of the fixed argument of a request of op.
// fs/fuse/dir.c, xattr.c and file.c choose the short forms where they fill in
// the arguments; all others have one size.
func inSize(op Opcode, k kind, p *Params) int {
	switch op {
	case OpMknod:
		if p.minor() < 12 {
			return CompatMknodInSize
		}
	case OpCreate:
		if p.minor() < 12 { // then a struct fuse_open_in
			return CompatMknodInSize
		}
	case OpWrite:
		if p.minor() < 9 {
			return CompatWriteInSize
		}
	case OpSetxattr:
		if !p.has(InitSetxattrExt) {
			return CompatSetxattrInSize
		}
	}
	return int(structSize[k])
}

// outSize is the length of a struct in a reply under p
// (fs/fuse/dev.c: fuse_adjust_compat; fs/fuse/inode.c: process_init_reply).
func outSize(k kind, p *Params) int {
	switch k {
	case kEntryOut:
		if p.minor() < 9 {
			return CompatEntryOutSize
		}
	case kAttrOut:
		if p.minor() < 9 {
			return CompatAttrOutSize
		}
	case kStatfsOut:
		if p.minor() < 4 {
			return CompatStatfsSize
		}
	case kInitOut:
		if p.minor() < 5 {
			return CompatInitOutSize
		}
		if p.minor() < 23 {
			return Compat22InitOutSize
		}
	}
	return int(structSize[k])
}

// ReplySize returns the length in bytes of the fixed part of a successful reply
// to op, without the header, and whether data may follow it. (The reply to
// GETXATTR and LISTXATTR is a GetxattrOut instead if the request's Size is 0.)
// Both are zero for requests that have an empty reply, or none.
func ReplySize(op Opcode, p *Params) (fixed int, variable bool) {
	i := info(op)
	if i.out != kNone {
		fixed = outSize(i.out, p)
	}
	if i.out2 != kNone {
		fixed += outSize(i.out2, p)
	}
	return fixed, i.rtail != tailNone
}

// HasReply reports whether the kernel waits for a reply to op. To FORGET,
// BATCH_FORGET and NOTIFY_REPLY it does not; to INTERRUPT one is optional.
func HasReply(op Opcode) bool {
	return op != OpForget && op != OpBatchForget && op != OpNotifyReply
}
