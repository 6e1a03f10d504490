package protocol

import "testing"

// TestAllocs decodes, prints and encodes every recorded message, with accessors
// and lists, without one allocation.
func TestAllocs(t *testing.T) {
	all := recordings(t)
	var req Request
	var rep Reply
	var n Notify
	buf := make([]byte, 0, 1<<18)
	hdr := new(UringReqHeader)
	var notes [][]byte
	for c := NotifyPoll; c <= NotifyPrune; c++ {
		notes = append(notes, sampleNotify(c))
	}
	short := &Params{Minor: 8}
	mknod, create := sampleRequest(OpMknod, short), sampleReply(OpCreate, short)
	extended := &Params{Flags: InitSecurityCtx | InitCreateSuppGroup}
	ext := sampleRequest(OpCreate, extended)
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	a := testing.AllocsPerRun(3, func() {
		for i := range all {
			m := &all[i]
			if m.request {
				fail(req.Decode(m.raw, &recorded))
				req.ReadIn()
				req.Forgets()
				buf = req.AppendText(buf[:0])
				buf = req.Append(buf[:0])
				buf = req.PutRing(hdr, buf)
				fail(req.DecodeRing(hdr, buf, &recorded))
			} else {
				rep.SizeOnly = m.size0
				fail(rep.Decode(m.op, m.raw, &recorded))
				rep.EntryOut()
				buf = rep.AppendText(buf[:0])
				buf = rep.Append(buf[:0])
				buf = rep.PutRing(hdr, buf)
			}
		}
		for _, b := range notes {
			fail(n.Decode(b))
			buf = n.AppendText(buf[:0])
			buf = n.Append(buf[:0])
		}
		fail(req.Decode(mknod, short))
		fail(rep.Decode(OpCreate, create, short))
		fail(req.Decode(ext, extended))
		req.Security()
		req.SuppGroup()
		buf = req.AppendText(buf[:0])
		buf = AppendDirent(buf[:0], 1, 2, 3, req.Name)
		buf = AppendDirentplus(buf[:0], rep.EntryOut(), 2, 3, req.Name)
		NextDirentplus(buf)
		buf = AppendSuppGroup(AppendSecurity(buf[:0], req.Name, nil), 1)
		buf = Opcode(99).AppendText(InitFlags(1<<60 | 1).AppendText(buf[:0]))
		ReplySize(OpCreate, short)
	})
	if a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := (&Request{Header: &InHeader{Opcode: OpRead, Unique: 2, Nodeid: 1}, Arg: BytesOf(&ReadIn{Size: 4096})}).Append(nil)
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		if r.Decode(raw, nil) != nil || r.ReadIn().Size != 4096 {
			b.Fatal()
		}
	}
}

func BenchmarkAppendText(b *testing.B) {
	raw := sampleReply(OpLookup, nil)
	var r Reply
	if err := r.Decode(OpLookup, raw, nil); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendText(buf[:0])
	}
}
