package protocol

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

// TestSamples encodes and decodes a message of every opcode in both directions,
// every notification, at every minor from 7.1 up and with and without the flags
// that change layouts.
func TestSamples(t *testing.T) {
	for minor := uint32(1); minor <= KernelMinorVersion; minor++ {
		for _, f := range []InitFlags{0, InitSetxattrExt, InitSecurityCtx | InitCreateSuppGroup | InitExt, InitSetxattrExt | InitCreateSuppGroup} {
			p := &Params{Minor: minor, Flags: f}
			for _, op := range allOps() {
				b := sampleRequest(op, p)
				var r Request
				if err := r.Decode(b, p); err != nil || !bytes.Equal(r.Append(nil), b) {
					t.Fatalf("7.%d %s: request: %v\n got %x\nwant %x", minor, op, err, r.Append(nil), b)
				}
				b = sampleReply(op, p)
				var y Reply
				if err := y.Decode(op, b, p); err != nil || !bytes.Equal(y.Append(nil), b) {
					t.Fatalf("7.%d %s: reply: %v\n got %x\nwant %x", minor, op, err, y.Append(nil), b)
				}
				fixed, variable := ReplySize(op, p)
				if got := len(y.Arg) + len(y.Arg2); got != fixed || !variable && len(y.Data) != 0 {
					t.Fatalf("7.%d %s: ReplySize %d, %v; reply has %d and %d", minor, op, fixed, variable, got, len(y.Data))
				}
			}
		}
	}
	for c := NotifyPoll; c <= NotifyPrune+1; c++ {
		b := sampleNotify(c)
		var n Notify
		if err := n.Decode(b); err != nil || !bytes.Equal(n.Append(nil), b) {
			t.Fatalf("%s: %v\n got %x\nwant %x", c, err, n.Append(nil), b)
		}
	}
}

// TestCompatSizes has the sizes by minor as literal numbers.
func TestCompatSizes(t *testing.T) {
	for _, c := range []struct {
		op       Opcode
		below    uint32 // first minor with the long form
		from     uint32 // first minor of the short form
		in, out  int    // short forms, -1: the same
		long, lo int
	}{
		{OpMknod, 12, 9, 8, -1, 16, 128},
		{OpCreate, 12, 9, 8, -1, 16, 144},
		{OpWrite, 9, 1, 24, -1, 40, 8},
		{OpLookup, 9, 1, 0, 120, 0, 128},
		{OpGetattr, 9, 1, -1, 96, 16, 104},
		{OpSetattr, 9, 1, -1, 96, 88, 104},
		{OpStatfs, 4, 1, 0, 48, 0, 80},
		{OpInit, 23, 5, -1, 24, 64, 64},
		{OpInit, 5, 1, -1, 8, 64, 24},
		{OpTmpfile, 9, 1, -1, 136, 16, 144},
	} {
		size := func(minor uint32) (in, out int) {
			p := &Params{Minor: minor}
			if k := info(c.op).in; k != kNone {
				in = inSize(c.op, k, p)
			}
			out, _ = ReplySize(c.op, p)
			return in, out
		}
		if c.in < 0 {
			c.in = c.long
		}
		if c.out < 0 {
			c.out = c.lo
		}
		for m := c.from; m < c.below; m++ {
			if in, out := size(m); in != c.in || out != c.out {
				t.Errorf("7.%d %s: %d, %d; want %d, %d", m, c.op, in, out, c.in, c.out)
			}
		}
		if in, out := size(c.below); in != c.long || out != c.lo {
			t.Errorf("7.%d %s: %d, %d; want %d, %d", c.below, c.op, in, out, c.long, c.lo)
		}
	}
	// From 7.23 to 7.46 only the flag decides anything.
	for m := uint32(23); m <= 46; m++ {
		for _, op := range allOps() {
			p, newest := &Params{Minor: m}, &Params{}
			if k := info(op).in; k != kNone && inSize(op, k, p) != inSize(op, k, newest) {
				t.Errorf("7.%d %s: request", m, op)
			}
			a, av := ReplySize(op, p)
			if b, bv := ReplySize(op, nil); a != b || av != bv {
				t.Errorf("7.%d %s: reply", m, op)
			}
		}
	}
	if inSize(OpSetxattr, kSetxattrIn, nil) != 8 || inSize(OpSetxattr, kSetxattrIn, &Params{Flags: InitSetxattrExt}) != 16 {
		t.Error("SETXATTR")
	}
	for _, op := range allOps() {
		if want := op != OpForget && op != OpBatchForget && op != OpNotifyReply; HasReply(op) != want {
			t.Error(op)
		}
	}
}

// TestShort reads the missing fields of short structs as zero.
func TestShort(t *testing.T) {
	var r Request
	decode := func(op Opcode, p *Params) *Request {
		t.Helper()
		r = Request{}
		for i := range r.scratch {
			r.scratch[i] = ^uint64(0) // what an earlier message left
		}
		if err := r.Decode(sampleRequest(op, p), p); err != nil {
			t.Fatal(err)
		}
		return &r
	}
	if in := decode(OpMknod, &Params{Minor: 11}).MknodIn(); *in != (MknodIn{Mode: 1, Rdev: 2}) || len(r.Arg) != 8 || string(r.Name) != "na me" {
		t.Error(*in)
	}
	if in := decode(OpCreate, &Params{Minor: 11}).CreateIn(); *in != (CreateIn{Flags: 1, Mode: 2}) {
		t.Error(*in)
	}
	if in := decode(OpWrite, &Params{Minor: 8}).WriteIn(); *in != (WriteIn{Fh: 1, Offset: 2, Size: 3, WriteFlags: 15}) || len(r.Data) != 3 {
		t.Error(*in)
	}
	if in := decode(OpSetxattr, nil).SetxattrIn(); *in != (SetxattrIn{Size: 3, Flags: 2}) || string(r.Name) != "na me" || !bytes.Equal(r.Data, []byte{0, 1, 2}) {
		t.Error(*in)
	}
	if in := decode(OpSetxattr, &Params{Flags: InitSetxattrExt}).SetxattrIn(); *in != (SetxattrIn{Size: 3, Flags: 2, SetxattrFlags: 7}) || string(r.Name) != "na me" {
		t.Error(*in)
	}
	// INIT is as long as the kernel that sends it says.
	full := InitIn{Major: 7, Minor: 46, MaxReadahead: 3, Flags: uint32(InitExt), Flags2: 5}
	for _, n := range []int{8, 16, 56, 64} {
		b := (&Request{Header: &InHeader{Opcode: OpInit, Unique: 2}, Arg: BytesOf(&full)[:n]}).Append(nil)
		if err := r.Decode(b, nil); err != nil || r.InitIn() == nil {
			t.Fatal(n, err)
		}
		want := full
		clear(BytesOf(&want)[n:])
		if *r.InitIn() != want || !bytes.Equal(r.Append(nil), b) {
			t.Error(n, *r.InitIn())
		}
		if f := r.InitIn().InitFlags(); n >= 56 && f != InitExt|5<<32 {
			t.Error(n, f)
		}
	}
	long := (&Request{Header: &InHeader{Opcode: OpInit}, Arg: BytesOf(&full), Data: []byte("of 7.99")}).Append(nil)
	if err := r.Decode(long, nil); err != nil || string(r.Data) != "of 7.99" || !bytes.Equal(r.Append(nil), long) {
		t.Error(err)
	}
	out := InitOut{Major: 7, Minor: 20, Flags: 1, MaxBackground: 2, MaxWrite: 3, TimeGran: 1}
	for _, n := range []int{8, 24, 64, 40} {
		b := (&Reply{Header: &OutHeader{Unique: 2}, Op: OpInit, Arg: BytesOf(&out)[:n]}).Append(nil)
		var y Reply
		want := out
		clear(BytesOf(&want)[n:])
		if err := y.Decode(OpInit, b, nil); err != nil || *y.InitOut() != want || !bytes.Equal(y.Append(nil), b) {
			t.Error(n, err)
		}
	}
	for _, n := range []int{0, 4, 68} {
		b := append((&Reply{Header: &OutHeader{Unique: 2}, Op: OpInit}).Append(nil), make([]byte, n)...)
		put32(b, len(b))
		var y Reply
		if err := y.Decode(OpInit, b, nil); err == nil {
			t.Error(n, "no error")
		}
	}
	p := &Params{Minor: 8}
	var y Reply
	if err := y.Decode(OpCreate, sampleReply(OpCreate, p), p); err != nil || y.EntryOut().Attr.Blksize != 0 || y.EntryOut().Nodeid != 1 || y.OpenOut().Fh == 0 {
		t.Error(err, y.EntryOut(), y.OpenOut())
	}
	out.SetInitFlags(InitExt | InitPassthrough)
	if out.InitFlags() != InitExt|InitPassthrough || out.Flags2 != 1<<5 {
		t.Error(out)
	}
	if out.SetInitFlags(InitPassthrough); out.InitFlags() != 0 {
		t.Error("flags2 without INIT_EXT")
	}
}

// TestMalformed expects an *Error with the right part, and the header.
func TestMalformed(t *testing.T) {
	h := func(op Opcode) *InHeader { return &InHeader{Opcode: op, Unique: 2} }
	cut := func(b []byte, n int) []byte {
		b = b[:len(b)-n]
		put32(b, len(b))
		return b
	}
	w := WriteIn{Size: 5}
	for _, c := range []struct {
		b    []byte
		want Error
	}{
		{nil, Error{What: "in_header", Need: 40}},
		{make([]byte, 39), Error{What: "in_header", Need: 40, Have: 39}},
		{make([]byte, 40), Error{What: "in_header.len", Need: 40}},
		{(&Request{Header: h(OpOpen)}).Append(nil), Error{What: "argument", Op: OpOpen, Need: 8, Off: 40}},
		{(&Request{Header: h(OpOpen), Arg: make([]byte, 12)}).Append(nil), Error{What: "end", Op: OpOpen, Off: 48, Have: 4}},
		{cut((&Request{Header: h(OpLookup), Name: []byte("abc")}).Append(nil), 1), Error{What: "name", Op: OpLookup, Off: 40, Need: 4, Have: 3}},
		{cut((&Request{Header: h(OpSymlink), Name: []byte("ab"), Name2: []byte("c")}).Append(nil), 1), Error{What: "second name", Op: OpSymlink, Off: 43, Need: 2, Have: 1}},
		{(&Request{Header: h(OpWrite), Arg: BytesOf(&w), Data: []byte("1234")}).Append(nil), Error{What: "data", Op: OpWrite, Off: 80, Need: 5, Have: 4}},
		{(&Request{Header: h(OpWrite), Arg: BytesOf(&w), Data: []byte("123456")}).Append(nil), Error{What: "data", Op: OpWrite, Off: 80, Need: 5, Have: 6}},
		{(&Request{Header: h(OpBatchForget), Arg: BytesOf(&BatchForgetIn{Count: 1 << 28})}).Append(nil), Error{What: "data", Op: OpBatchForget, Off: 48, Need: 1<<31 - 1}},
		{cut((&Request{Header: h(OpMkdir), Arg: make([]byte, 8), Name: []byte("abc"), Ext: make([]byte, 16)}).Append(nil), 8), Error{What: "total_extlen", Op: OpMkdir, Off: 48, Need: 16, Have: 12}},
	} {
		var r Request
		err := r.Decode(c.b, nil)
		var e *Error
		if !errors.As(err, &e) || *e != c.want || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v, want %v", err, &c.want)
		}
		if (r.Header != nil) != (len(c.b) >= 40) {
			t.Errorf("%v: header %v", err, r.Header)
		}
		if r.Arg != nil || r.Data != nil || r.Name != nil || r.Ext != nil || r.arg.kind != kNone {
			t.Errorf("%v: something is left: %+v", err, r)
		}
	}
	b := make([]byte, 48)
	if err := new(Request).Decode(b[4:44], nil); err == nil || err.Error() != "protocol: alignment: need 8 at offset 0, have 0" {
		t.Error(err)
	}
	e := &Error{What: "name", Op: OpLookup, Need: 1, Off: 40}
	if e.Error() != "protocol: LOOKUP: name: need 1 at offset 40, have 0" {
		t.Error(e)
	}

	var y Reply
	bad := (&Reply{Header: &OutHeader{Error: -2}, Op: OpLookup, Arg: make([]byte, 8)}).Append(nil)
	if err := y.Decode(OpLookup, bad, nil); err == nil || y.Header == nil || y.EntryOut() != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 8, 120, 127, 129, 144} { // an EntryOut has 128 bytes
		b := append((&Reply{Header: &OutHeader{Unique: 2}, Op: OpLookup}).Append(nil), make([]byte, n)...)
		put32(b, len(b))
		if err := y.Decode(OpLookup, b, nil); err == nil || y.EntryOut() != nil || y.Arg != nil {
			t.Error(n, err)
		}
	}
	for c := NotifyPoll; c <= NotifyPrune; c++ {
		good := sampleNotify(c)
		var n Notify
		longer := append(bytes.Clone(good), 0)
		put32(longer, len(longer))
		if err := n.Decode(longer); err == nil {
			t.Error(c, "longer")
		}
		if len(good) > 16 {
			if err := n.Decode(cut(bytes.Clone(good), 1)); err == nil {
				t.Error(c, "shorter")
			}
		}
		if noteInfo(c).tail == tailName {
			good[len(good)-1] = 'x'
			if err := n.Decode(good); err == nil {
				t.Error(c, "no NUL")
			}
		}
	}
	for _, h := range []OutHeader{{Len: 16, Error: 1, Unique: 2}, {Len: 16}, {Len: 16, Error: -1}} {
		if err := new(Notify).Decode(bytes.Clone(BytesOf(&h))); err == nil {
			t.Error(h)
		}
	}
}

// TestWrongAccessor gets nil, never bytes of another struct.
func TestWrongAccessor(t *testing.T) {
	var r Request
	if r.ReadIn() != nil {
		t.Error("nothing decoded")
	}
	for _, op := range allOps() {
		if err := r.Decode(sampleRequest(op, nil), nil); err != nil {
			t.Fatal(err)
		}
		if (r.ReadIn() != nil) != (op == OpRead || op == OpReaddir || op == OpReaddirplus) {
			t.Error(op, "ReadIn")
		}
		if (r.RemovemappingIn() != nil) != (op == OpRemovemapping) || (r.Forgets() != nil) != (op == OpBatchForget) {
			t.Error(op)
		}
		one, ok := r.Removemapping(2)
		if ok != (op == OpRemovemapping) || ok && one != (RemovemappingOne{5, 6}) {
			t.Error(op, one)
		}
		if _, ok := r.Removemapping(3); ok {
			t.Error(op)
		}
	}
	r.Decode(sampleRequest(OpBatchForget, nil), nil)
	if f := r.Forgets(); len(f) != 3 || f[2] != (ForgetOne{5, 6}) {
		t.Error(f)
	}
	var n Notify
	n.Decode(sampleNotify(NotifyPrune))
	id, ok := n.Prune(9)
	if _, over := n.Prune(10); !ok || id != 20 || over || n.Delete() != nil || n.PruneOut().Count != 10 {
		t.Error(id, ok)
	}
}

// TestUnion finds the union's second member where C has it.
func TestUnion(t *testing.T) {
	r := UringCmdReq{Bufpool: UringBufpool{Uaddr: ^uint64(0), Len: 1}}
	r.SetEntZeroCopyBufIndex(0x1234)
	if r.EntZeroCopyBufIndex() != 0x1234 || load16(BytesOf(&r)[24:]) != 0x1234 || !zero(BytesOf(&r)[26:]) {
		t.Errorf("%x", BytesOf(&r))
	}
}
