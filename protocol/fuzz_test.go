package protocol

import (
	"bytes"
	"testing"
	"unsafe"
)

// The targets expect of any bytes: no panic, nothing read behind the end (the
// bytes end before a guard page), and what decodes encodes to the same bytes.
// Seeds are in testdata/fuzz, recorded messages and built ones; TestCorpora
// says how they are made.

// fixLen makes the header's length right, so that the rest is looked at.
func fixLen(b []byte) {
	if len(b) >= 4 {
		*(*uint32)(unsafe.Pointer(&b[0])) = uint32(len(b))
	}
}

// useRequest calls everything that a Request has.
func useRequest(r *Request) {
	r.AppendText(nil)
	r.SuppGroup()
	r.Security()
	if in := r.ReadIn(); in != nil {
		_ = *in
	}
	for _, f := range r.Forgets() {
		_ = f
	}
	r.Removemapping(0)
	if r.arg.kind != kNone {
		appendFields(nil, r.arg.kind, unsafe.Slice((*byte)(r.arg.p), structSize[r.arg.kind]))
	}
}

func FuzzRequest(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, b []byte, minor uint32, flags uint64) {
		p := &Params{Minor: minor, Flags: InitFlags(flags)}
		b = place(b)
		var r Request
		for range 2 {
			if err := r.Decode(b, p); err == nil {
				useRequest(&r)
				if got := r.Append(nil); !bytes.Equal(got, b) {
					t.Fatalf("%s\n got %x\nwant %x", r.AppendText(nil), got, b)
				}
			} else {
				r.AppendText(nil)
			}
			fixLen(b)
		}
	})
}

func FuzzRing(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, b []byte, minor uint32, flags uint64) {
		p := &Params{Minor: minor, Flags: InitFlags(flags)}
		hdr, again := new(UringReqHeader), new(UringReqHeader)
		payload := place(b[copy(BytesOf(hdr), b):])
		hdr.RingEntInOut.PayloadSz %= uint32(len(payload) + 2)
		var r, s Request
		if err := r.DecodeRing(hdr, payload, p); err == nil {
			useRequest(&r)
			zeroCopy := hdr.RingEntInOut.Flags&UringEntZeroCopy != 0 && r.Op() == OpWrite
			out := r.PutRing(again, nil)
			err := s.DecodeRing(again, out, p)
			if !zeroCopy && (err != nil || !bytes.Equal(r.Append(nil), s.Append(nil)) || !bytes.Equal(out, payload[:hdr.RingEntInOut.PayloadSz])) {
				t.Fatalf("%v\n%s\n%s", err, r.AppendText(nil), s.AppendText(nil))
			}
		}
		for _, op := range []Opcode{r.Header.Opcode, OpLookup, OpCreate, OpRead, OpInit} {
			var x, y Reply
			if err := x.DecodeRing(op, hdr, payload, p); err == nil {
				x.AppendText(nil)
				out := x.PutRing(again, nil)
				if err := y.DecodeRing(op, again, out, p); err != nil || !bytes.Equal(x.Append(nil), y.Append(nil)) {
					t.Fatalf("%v\n%s\n%s", err, x.AppendText(nil), y.AppendText(nil))
				}
			}
		}
	})
}

func FuzzReply(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, op uint32, b []byte, minor uint32, sizeOnly bool) {
		p := &Params{Minor: minor}
		b = place(b)
		r := Reply{SizeOnly: sizeOnly}
		for range 2 {
			if err := r.Decode(Opcode(op), b, p); err == nil {
				if r.arg.kind != kNone {
					appendFields(nil, r.arg.kind, unsafe.Slice((*byte)(r.arg.p), structSize[r.arg.kind]))
				}
				if o := r.OpenOut(); o != nil {
					_ = *o
				}
				if got := r.Append(nil); !bytes.Equal(got, b) {
					t.Fatalf("%s\n got %x\nwant %x", r.AppendText(nil), got, b)
				}
			}
			r.AppendText(nil)
			fixLen(b)
		}
	})
}

func FuzzNotify(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = place(b)
		fixLen(b)
		var n Notify
		if err := n.Decode(b); err == nil {
			n.Prune(0)
			if n.arg.kind != kNone {
				appendFields(nil, n.arg.kind, unsafe.Slice((*byte)(n.arg.p), structSize[n.arg.kind]))
			}
			if got := n.Append(nil); !bytes.Equal(got, b) {
				t.Fatalf("%s\n got %x\nwant %x", n.AppendText(nil), got, b)
			}
		}
		n.AppendText(nil)
	})
}

func FuzzDirents(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, b []byte, plus bool) {
		b = place(b)
		appendDirents(nil, b, plus)
		// What comes out, put together again, must be b with its padding zero.
		var again []byte
		want := bytes.Clone(b)
		used := 0
		for {
			var name, rest []byte
			var err error
			if plus {
				var d Direntplus
				if d, name, rest, err = NextDirentplus(b[used:]); name != nil {
					again = append(again, BytesOf(&d)...)
					again = appendPadded(again, name)
				}
			} else {
				var d Dirent
				if d, name, rest, err = NextDirent(b[used:]); name != nil {
					again = AppendDirent(again, d.Ino, d.Off, d.Type, name)
				}
			}
			if err != nil || name == nil {
				break
			}
			size := DirentSize(len(name))
			if plus {
				size = DirentplusSize(len(name))
			}
			end := used + size
			clear(want[used+nameEnd(plus, len(name)) : end])
			if len(b)-end != len(rest) {
				t.Fatalf("entry of %d takes %d", size, len(b)-used-len(rest))
			}
			used = end
		}
		if !bytes.Equal(again, want[:used]) {
			t.Fatalf("\n got %x\nwant %x", again, want[:used])
		}
	})
}

// nameEnd is where a name of n bytes ends in its entry.
func nameEnd(plus bool, n int) int {
	if plus {
		return NameOffsetDirentplus + n
	}
	return NameOffset + n
}

func FuzzExt(f *testing.F) {
	place := guarded(f)
	f.Fuzz(func(t *testing.T, b []byte, name, ctx []byte, gid uint32) {
		ext := place(b)
		r := Request{Ext: ext}
		r.SuppGroup()
		r.Security()
		appendExt(nil, ext)
		for n := 0; len(ext) > 0; n++ {
			e, rest, err := NextExt(ext)
			if err != nil {
				break
			}
			for s := e.Body; e.Type == 0 && len(s) > 0; {
				if _, _, s, err = NextSecctx(s); err != nil {
					break
				}
			}
			if len(rest) >= len(ext) {
				t.Fatal("no progress")
			}
			ext = rest
		}
		if bytes.IndexByte(name, 0) >= 0 {
			return
		}
		r.Ext = AppendSuppGroup(AppendSecurity(nil, name, ctx), gid)
		if g, ok := r.SuppGroup(); !ok || g != gid || len(r.Ext)%8 != 0 {
			t.Fatalf("gid %d, %v", g, ok)
		}
		n, c, ok := r.Security()
		if ok != (len(name) > 0) || ok && (!bytes.Equal(n, name) || !bytes.Equal(c, ctx)) {
			t.Fatalf("%q %q %v", n, c, ok)
		}
	})
}
