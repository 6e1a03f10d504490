package protocol

import "bytes"

// The extension area is the tail of CREATE, TMPFILE, MKNOD, MKDIR and SYMLINK
// requests, InHeader.TotalExtlen*8 bytes (7.38; a security context alone is from
// 7.36). It holds extensions, each of a header and a body padded to 8. All
// headers begin with the size; the second word is the type, or, up to
// MaxNrSecctx, the number of security contexts (fs/fuse/dir.c: get_security_context,
// get_create_supp_group).

// SecctxHeader is struct fuse_secctx_header (8 bytes, 7.36).
type SecctxHeader struct {
	Size     uint32 // bytes of the extension with this header
	NrSecctx uint32 // contexts that follow, 0 or 1 from today's kernels
}

// Secctx is struct fuse_secctx (8 bytes, 7.36). The attribute's name with a NUL
// follows, and the context.
type Secctx struct {
	Size    uint32 // bytes of the context, without the name
	Padding uint32
}

// ExtHeader is struct fuse_ext_header (8 bytes, 7.38).
type ExtHeader struct {
	Size uint32 // bytes of the extension with this header
	Type uint32 // ExtGroups
}

// SuppGroups is struct fuse_supp_groups (4 bytes, 7.38). NrGroups uint32 group
// ids follow.
type SuppGroups struct {
	NrGroups uint32
}

// The second word of an extension (enum fuse_ext_type).
const (
	MaxNrSecctx = 31 // up to this it is a count of security contexts
	ExtGroups   = 32 // supplementary groups
)

// Ext is one extension. Type is ExtGroups, or a number of a newer kernel, or 0
// for security contexts, of which there are Nr then.
type Ext struct {
	Type uint32
	Nr   uint32
	Body []byte // behind the header
}

// NextExt takes the first extension off b, Request.Ext or a rest that it
// returned. Call it while there is a rest.
func NextExt(b []byte) (e Ext, rest []byte, err error) {
	if len(b) < 8 {
		return e, nil, &Error{What: "ext_header", Need: 8, Have: len(b)}
	}
	size, typ := load32(b), load32(b[4:])
	if size < 8 || uint64(size) > uint64(len(b)) {
		return e, nil, &Error{What: "ext_header.size", Need: len(b), Have: int(min(size, 1<<31-1))}
	}
	if typ <= MaxNrSecctx {
		e.Nr = typ
	} else {
		e.Type = typ
	}
	n := int(size)
	e.Body = b[8:n:n]
	return e, b[min((n+7)&^7, len(b)):], nil
}

// NextSecctx takes the first security context off b, the Body of an Ext of
// Type 0 or a rest that it returned: the attribute's name and its value.
func NextSecctx(b []byte) (name, ctx, rest []byte, err error) {
	if len(b) < 8 {
		return nil, nil, nil, &Error{What: "secctx", Need: 8, Have: len(b)}
	}
	size := load32(b)
	n := bytes.IndexByte(b[8:], 0)
	if n < 0 {
		return nil, nil, nil, &Error{What: "secctx name", Need: len(b) + 1, Off: 8, Have: len(b)}
	}
	at := 8 + n + 1
	if uint64(size) > uint64(len(b)-at) {
		return nil, nil, nil, &Error{What: "secctx.size", Need: int(min(size, 1<<31-1)), Off: at, Have: len(b) - at}
	}
	end := at + int(size)
	return b[8 : 8+n : 8+n], b[at:end:end], b[min((end+7)&^7, len(b)):], nil
}

// SuppGroup returns the supplementary group of the caller that owns the parent
// directory, for creation in an SGID directory (CREATE_SUPP_GROUP). ok is false
// if there is none, or the area is malformed.
func (r *Request) SuppGroup() (gid uint32, ok bool) {
	for b := r.Ext; len(b) > 0; {
		e, rest, err := NextExt(b)
		if err != nil {
			return 0, false
		}
		if e.Type == ExtGroups {
			if len(e.Body) < 8 || load32(e.Body) == 0 {
				return 0, false
			}
			return load32(e.Body[4:]), true
		}
		b = rest
	}
	return 0, false
}

// Security returns the first security context (SECURITY_CTX): the name of the
// extended attribute that the new object is to have, and its value. ok is false
// if there is none, or the area is malformed.
func (r *Request) Security() (name, ctx []byte, ok bool) {
	for b := r.Ext; len(b) > 0; {
		e, rest, err := NextExt(b)
		if err != nil {
			return nil, nil, false
		}
		if e.Type == 0 && e.Nr > 0 {
			name, ctx, _, err = NextSecctx(e.Body)
			return name, ctx, err == nil
		}
		b = rest
	}
	return nil, nil, false
}

// AppendSuppGroup appends the extension with one supplementary group. dst must
// be an extension area, that is of a length divisible by 8.
func AppendSuppGroup(dst []byte, gid uint32) []byte {
	h := ExtHeader{Size: 16, Type: ExtGroups}
	g := SuppGroups{NrGroups: 1}
	v := SuppGroups{NrGroups: gid} // a group id is one uint32 as well
	dst = append(dst, BytesOf(&h)...)
	dst = append(dst, BytesOf(&g)...)
	return append(dst, BytesOf(&v)...)
}

// AppendSecurity appends the extension with one security context, or with none
// if name is empty, as the kernel does for a caller without one.
func AppendSecurity(dst, name, ctx []byte) []byte {
	if len(name) == 0 {
		h := SecctxHeader{Size: 8}
		return append(dst, BytesOf(&h)...)
	}
	n := 8 + len(name) + 1 + len(ctx)
	h := SecctxHeader{Size: uint32(8 + (n+7)&^7), NrSecctx: 1}
	s := Secctx{Size: uint32(len(ctx))}
	dst = append(dst, BytesOf(&h)...)
	dst = append(dst, BytesOf(&s)...)
	dst = append(append(dst, name...), 0)
	dst = append(dst, ctx...)
	var zero [8]byte
	return append(dst, zero[:-n&7]...)
}
