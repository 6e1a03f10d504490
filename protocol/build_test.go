package protocol

import "unsafe"

// filled makes a struct of kind k with values that differ from field to
// field and do not depend on byte order: the i-th field is i, signed ones are
// negative, flags have all bits up to the i-th and reserved ones are zero.
func filled(k kind, i *uint64) []byte {
	b := make([]byte, structSize[k])
	at := b
	for d := describe[k]; d != ""; {
		var f field
		f, d = nextField(d)
		w := f.width()
		switch {
		case f.reserved():
			w *= f.count
		case f.typ == '{':
			copy(at, filled(nested(f.key), i))
		default:
			*i++
			v := *i
			switch f.typ {
			case 'I', 'i':
				v = -v
			case 'f', 'F':
				v = 1<<v - 1
			}
			switch w {
			case 8:
				*(*uint64)(unsafe.Pointer(&at[0])) = v
			case 4:
				*(*uint32)(unsafe.Pointer(&at[0])) = uint32(v)
			case 2:
				*(*uint16)(unsafe.Pointer(&at[0])) = uint16(v)
			}
		}
		at = at[w:]
	}
	return b
}

func put32(b []byte, v int) { *(*uint32)(unsafe.Pointer(&b[0])) = uint32(v) }

// allOps lists every opcode of the package.
func allOps() []Opcode {
	var l []Opcode
	for op := range Opcode(len(ops)) {
		if op.Known() {
			l = append(l, op)
		}
	}
	return append(l, OpCuseInit, OpCuseInitBswapReserved, OpInitBswapReserved)
}

// sampleRequest builds a request of op as a kernel would under p, and a nonsense
// one for an unknown op.
func sampleRequest(op Opcode, p *Params) []byte {
	i := info(op)
	r := Request{Header: &InHeader{Opcode: op, Unique: 2, Nodeid: 3, Uid: 1000, Gid: 100, Pid: 77}}
	if i.in != kNone {
		n := uint64(0)
		r.Arg = filled(i.in, &n)[:inSize(op, i.in, p)]
	}
	r.Name, r.Name2 = []byte("na me"), []byte("n\u00e4me\n2")
	switch i.tail {
	case tailData, tailNameData:
		r.Data = make([]byte, 3*int(i.unit))
		for k := range r.Data {
			r.Data[k] = byte(k)
		}
		if i.unit == 16 {
			one := kForgetOne
			n := uint64(0)
			r.Data = append(append(filled(one, &n), filled(one, &n)...), filled(one, &n)...)
		}
		put32(r.Arg[i.lenOff:], 3)
	case tailAny:
		if op != OpInit {
			r.Data = []byte("whatever")
		}
	}
	switch op {
	case OpCreate, OpTmpfile, OpMknod, OpMkdir, OpSymlink:
		if p.has(InitSecurityCtx) {
			r.Ext = AppendSecurity(r.Ext, []byte("security.selinux"), []byte("ctx\x00"))
		}
		if p.has(InitCreateSuppGroup) {
			r.Ext = AppendSuppGroup(r.Ext, 4242)
		}
	}
	return r.Append(nil)
}

// sampleReply builds a reply to op as a server would under p.
func sampleReply(op Opcode, p *Params) []byte {
	i := info(op)
	r := Reply{Header: &OutHeader{Unique: 2}, Op: op}
	n := uint64(0)
	if i.out != kNone {
		r.Arg = filled(i.out, &n)[:outSize(i.out, p)]
	}
	if i.out2 != kNone {
		r.Arg2 = filled(i.out2, &n)
	}
	switch op {
	case OpReaddir:
		r.Data = AppendDirent(r.Data, 1, 2, 4, []byte("."))
		for k := range 9 {
			r.Data = AppendDirent(r.Data, uint64(k+10), uint64(k+3), 8, []byte("file-"+string(rune('a'+k))))
		}
	case OpReaddirplus:
		e := ViewOf[EntryOut](filled(kEntryOut, &n))
		r.Data = AppendDirentplus(r.Data, &EntryOut{}, 1, 4, []byte(".."))
		r.Data = AppendDirentplus(r.Data, e, 2, 8, []byte("plus\""))
		r.Data = append(r.Data, "partial"...)
	case OpReadlink:
		r.Data = []byte("../to\\target")
	case OpListxattr:
		r.Data = []byte("user.a\x00user.b\x00")
	default:
		if i.rtail != tailNone {
			r.Data = []byte("some data")
		}
	}
	return r.Append(nil)
}

// sampleNotify builds a notification.
func sampleNotify(c NotifyCode) []byte {
	i := noteInfo(c)
	n := Notify{Code: c}
	v := uint64(0)
	if i.in != kNone {
		n.Arg = filled(i.in, &v)
	}
	switch i.tail {
	case tailName:
		n.Name = []byte("gone")
		put32(n.Arg[i.lenOff:], 4)
	case tailData:
		for range 10 {
			n.Data = append(n.Data, filled(kForgetOne, &v)[:i.unit]...)
		}
		put32(n.Arg[i.lenOff:], 10)
	case tailAny:
		n.Data = []byte("new")
	}
	return n.Append(nil)
}
