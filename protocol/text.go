package protocol

// listMax is the number of elements of a list that are printed.
const listMax = 8

// AppendText appends the request as one line without a newline, in the syntax
// that the package's comment describes. It needs no Decode and does not allocate
// if dst has room.
func (r *Request) AppendText(dst []byte) []byte {
	h := r.Header
	if h == nil {
		return add(dst, "(no header)")
	}
	dst = h.Opcode.AppendText(dst)
	dst = appendUnique(appendName(dst, "unique"), h.Unique)
	dst = appendUint(dst, "nodeid", h.Nodeid)
	dst = appendUint(dst, "uid", uint64(h.Uid))
	dst = appendUint(dst, "gid", uint64(h.Gid))
	dst = appendUint(dst, "pid", uint64(h.Pid))
	i := info(h.Opcode)
	if i.in != kNone && r.Arg != nil {
		dst = appendFields(append(dst, ' '), i.in, r.Arg)
	}
	switch i.tail {
	case tailName, tailName2, tailNameData:
		if r.Name != nil {
			dst = appendString(dst, "name", r.Name)
		}
	}
	if i.tail == tailName2 && r.Name2 != nil {
		name := "newname"
		if h.Opcode == OpSymlink {
			name = "target"
		}
		dst = appendString(dst, name, r.Name2)
	}
	switch {
	case r.Data == nil || i.tail == tailAny && i != &opUnknown && len(r.Data) == 0:
	case h.Opcode == OpBatchForget:
		dst = appendStructs(appendName(dst, "forgets"), kForgetOne, r.Data)
	case h.Opcode == OpRemovemapping:
		dst = appendStructs(appendName(dst, "mappings"), kRemovemappingOne, r.Data)
	default:
		dst = appendInt(dst, "data", len(r.Data))
	}
	if len(r.Ext) != 0 {
		dst = appendExt(appendName(dst, "ext"), r.Ext)
	}
	return dst
}

// AppendText appends the reply as one line without a newline, in the syntax that
// the package's comment describes. It needs no Decode and does not allocate if
// dst has room.
func (r *Reply) AppendText(dst []byte) []byte {
	dst = r.Op.AppendText(dst)
	h := r.Header
	if h == nil {
		return add(dst, " (no header)")
	}
	dst = appendUnique(appendName(dst, "unique"), h.Unique)
	if h.Error != 0 {
		return appendErrno(appendName(dst, "error"), h.Error)
	}
	dst = add(dst, " ok")
	out, out2, t := r.layout()
	if out != kNone && r.Arg != nil {
		dst = appendFields(append(dst, ' '), out, r.Arg)
	}
	if out2 != kNone && r.Arg2 != nil {
		dst = appendFields(append(dst, ' '), out2, r.Arg2)
	}
	switch {
	case t == tailNone:
	case r.Op == OpReadlink:
		dst = appendString(dst, "target", r.Data)
	case r.Op == OpReaddir || r.Op == OpReaddirplus:
		dst = appendDirents(dst, r.Data, r.Op == OpReaddirplus)
	case r.Op == OpListxattr:
		dst = appendNames(appendName(dst, "names"), r.Data)
	default:
		dst = appendInt(dst, "data", len(r.Data))
	}
	return dst
}

// AppendText appends the notification as one line without a newline, in the
// syntax that the package's comment describes. It needs no Decode and does not
// allocate if dst has room.
func (n *Notify) AppendText(dst []byte) []byte {
	dst = n.Code.AppendText(add(dst, "NOTIFY "))
	i := noteInfo(n.Code)
	if i.in != kNone && n.Arg != nil {
		dst = appendFields(append(dst, ' '), i.in, n.Arg)
	}
	switch {
	case i.tail == tailName:
		dst = appendString(dst, "name", n.Name)
	case n.Code == NotifyPrune:
		dst = append(appendName(dst, "nodeids"), '[')
		b := n.Data
		for k := 0; k < listMax && len(b) >= 8; k++ {
			if k > 0 {
				dst = append(dst, ' ')
			}
			u := field{typ: 'U'}
			dst = u.appendValue(dst, b)
			b = b[8:]
		}
		dst = appendMore(dst, len(b)/8)
	case i.tail != tailNone:
		dst = appendInt(dst, "data", len(n.Data))
	}
	return dst
}

// appendMore closes a list, saying how many of its elements were left out.
func appendMore(dst []byte, n int) []byte {
	if n > 0 {
		dst = appendInt(dst, "more", n)
	}
	return append(dst, ']')
}

// appendStructs appends a list of structs.
func appendStructs(dst []byte, k kind, b []byte) []byte {
	n := int(structSize[k])
	dst = append(dst, '[')
	for i := 0; i < listMax && len(b) >= n; i++ {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = appendFields(dst, k, b)
		b = b[n:]
	}
	return appendMore(dst, len(b)/n)
}

// appendDirents appends " entries=" and the entries of a directory, and the
// bytes that form none.
func appendDirents(dst, b []byte, plus bool) []byte {
	dst = append(appendName(dst, "entries"), '[')
	i := 0
	for ; len(b) > 0; i++ {
		var e Direntplus
		var name, rest []byte
		var err error
		if plus {
			e, name, rest, err = NextDirentplus(b)
		} else {
			e.Dirent, name, rest, err = NextDirent(b)
		}
		if err != nil || name == nil {
			break
		}
		b = rest
		if i >= listMax {
			continue
		}
		if i > 0 {
			dst = append(dst, ' ')
		}
		at := len(dst)
		dst = append(dst, '(')
		if plus {
			dst = appendUint(dst, "nodeid", e.EntryOut.Nodeid)
		}
		dst = appendUint(dst, "ino", e.Dirent.Ino)
		dst = appendUint(dst, "off", e.Dirent.Off)
		dst = appendUint(dst, "type", uint64(e.Dirent.Type))
		dst = append(appendString(dst, "name", name), ')')
		dst = append(dst[:at+1], dst[at+2:]...) // the space behind the parenthesis
	}
	dst = appendMore(dst, i-listMax)
	if len(b) > 0 {
		dst = appendInt(dst, "rest", len(b))
	}
	return dst
}

// appendNames appends a list of strings, each with a NUL on the wire.
func appendNames(dst, b []byte) []byte {
	dst = append(dst, '[')
	i := 0
	for ; len(b) > 0; i++ {
		n := 0
		for n < len(b) && b[n] != 0 {
			n++
		}
		if i < listMax {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = appendQuoted(dst, b[:n])
		}
		b = b[min(n+1, len(b)):]
	}
	return appendMore(dst, i-listMax)
}

// appendExt appends an extension area.
func appendExt(dst, b []byte) []byte {
	dst = append(dst, '[')
	for i := 0; len(b) > 0; i++ {
		e, rest, err := NextExt(b)
		if i > 0 {
			dst = append(dst, ' ')
		}
		switch {
		case err != nil:
			return add(dst, "malformed]")
		case i >= listMax:
			return add(dst, "more]")
		case e.Type == 0:
			dst = appendSecctx(dst, &e)
		case e.Type == ExtGroups:
			dst = add(dst, "(groups")
			for g := e.Body[min(4, len(e.Body)):]; len(g) >= 4 && len(g) > len(e.Body)-4-4*listMax; g = g[4:] {
				dst = appendUint(dst, "gid", uint64(load32(g)))
			}
			dst = append(dst, ')')
		default:
			dst = appendUint(add(dst, "(ext"), "type", uint64(e.Type))
			dst = append(appendInt(dst, "data", len(e.Body)), ')')
		}
		b = rest
	}
	return append(dst, ']')
}

func appendSecctx(dst []byte, e *Ext) []byte {
	dst = add(dst, "(secctx")
	b := e.Body
	for i := uint32(0); i < e.Nr && i < listMax; i++ {
		name, ctx, rest, err := NextSecctx(b)
		if err != nil {
			return add(dst, " malformed)")
		}
		dst = appendString(dst, "name", name)
		dst = appendInt(dst, "data", len(ctx))
		b = rest
	}
	return append(dst, ')')
}

// AppendText appends the struct's fields, as in the request's line.
func (in *InitIn) AppendText(dst []byte) []byte { return appendFields(dst, kInitIn, BytesOf(in)) }

// AppendText appends the struct's fields, as in the reply's line.
func (out *InitOut) AppendText(dst []byte) []byte { return appendFields(dst, kInitOut, BytesOf(out)) }

// AppendText appends the struct's fields in the syntax of messages.
func (m *BackingMap) AppendText(dst []byte) []byte { return appendFields(dst, kBackingMap, BytesOf(m)) }

// AppendText appends the command's fields in the syntax of messages; those of
// the union as its member bufpool.
func (r *UringCmdReq) AppendText(dst []byte) []byte {
	return appendFields(dst, kUringCmdReq, BytesOf(r))
}

// AppendText appends the struct's fields in the syntax of messages.
func (e *UringEntInOut) AppendText(dst []byte) []byte {
	return appendFields(dst, kUringEntInOut, BytesOf(e))
}

// add appends s. It stays a call: what it does is 80 bytes of a program each time.
//
//go:noinline
func add(dst []byte, s string) []byte { return append(dst, s...) }
