package protocol

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/text.golden anew")

// TestText compares the text of a message of every opcode in both directions,
// every notification, odd messages, and one recorded message of each shape with
// testdata/text.golden. It is the same on every architecture.
// To see what a change does: go test ./protocol -run TestText -update; git diff.
func TestText(t *testing.T) {
	defer func(g bool) { genericErrno = g }(genericErrno)
	genericErrno = true // the recordings are of x86-64
	var out []byte
	line := func(b []byte) { out = append(append(out, b...), '\n') }
	p := &Params{Flags: InitSetxattrExt | InitSecurityCtx | InitCreateSuppGroup}

	out = append(out, "# requests\n"...)
	for _, op := range append(allOps(), 54) {
		var r Request
		if err := r.Decode(sampleRequest(op, p), p); err != nil {
			t.Fatal(op, err)
		}
		line(r.AppendText(nil))
	}
	out = append(out, "# replies\n"...)
	for _, op := range append(allOps(), 54) {
		var r Reply
		if err := r.Decode(op, sampleReply(op, p), p); err != nil {
			t.Fatal(op, err)
		}
		line(r.AppendText(nil))
	}
	out = append(out, "# notifications\n"...)
	for c := NotifyPoll; c <= NotifyPrune+1; c++ {
		var n Notify
		if err := n.Decode(sampleNotify(c)); err != nil {
			t.Fatal(c, err)
		}
		line(n.AppendText(nil))
	}

	out = append(out, "# oddities\n"...)
	h := &InHeader{Opcode: OpMkdir, Unique: 8 | UniqueResend, Nodeid: 1, Uid: InvalidUidgid}
	ext := (&Request{}).Ext
	ext = AppendSecurity(ext, nil, nil)
	e := ExtHeader{Size: 16, Type: 99}
	ext = append(append(ext, BytesOf(&e)...), "12345678"...)
	line((&Request{Header: h, Name: []byte("\x00\x7f\xff\"\\\t\u00e9\u202e\ufeff\u65e5"), Ext: ext}).AppendText(nil))
	line((&Request{Header: h, Name: []byte{}, Ext: ext[:12]}).AppendText(nil))
	line((&Request{Header: &InHeader{Opcode: OpInterrupt, Unique: 9}, Arg: BytesOf(&InterruptIn{Unique: 8 | UniqueResend})}).AppendText(nil))
	line((&Request{}).AppendText(nil))
	line((&Request{Header: &InHeader{Opcode: OpMknod}, Arg: BytesOf(&MknodIn{Mode: 0o100644, Padding: 1})[:8]}).AppendText(nil))
	line((&Request{Header: &InHeader{Opcode: OpMknod}, Arg: BytesOf(&MknodIn{Mode: 0o100644, Padding: 0xabababab})}).AppendText(nil))
	for _, errno := range []int32{-1, -2, -34, -35, -38, -511, 5} {
		line((&Reply{Header: &OutHeader{Error: errno}, Op: OpLookup}).AppendText(nil))
	}
	line((&Reply{Op: OpLookup}).AppendText(nil))
	line((&Reply{Header: &OutHeader{}, Op: OpGetxattr, SizeOnly: true, Arg: BytesOf(&GetxattrOut{Size: 7})}).AppendText(nil))
	line((&Reply{Header: &OutHeader{}, Op: OpReaddir, Data: make([]byte, 24)}).AppendText(nil))
	line((&UringCmdReq{Flags: UringZeroCopy, CommitID: 4, Qid: 3, Bufpool: UringBufpool{Uaddr: 4096, Len: 8192}}).AppendText(nil))
	line((&UringEntInOut{Flags: 3, CommitID: 4, PayloadSz: 5, Offset: 6}).AppendText(nil))
	line((&BackingMap{Fd: 7}).AppendText(nil))
	line((&InitOut{Major: 7, Minor: 46, Flags: 1 << 30, Flags2: 1<<11 | 1<<12}).AppendText(nil))
	line((&InitIn{Major: 7, Minor: 46}).AppendText(nil))
	line([]byte(InitFlags(1<<63|1<<43|1).String() + " " + InitFlags(0).String()))

	out = append(out, "# recorded: the first request and reply of each opcode\n"...)
	type shape struct {
		op      Opcode
		request bool
		failed  bool
	}
	seen := map[shape]bool{}
	for _, m := range recordings(t) {
		s := shape{m.op, m.request, !m.request && ViewOf[OutHeader](m.raw).Error != 0}
		if seen[s] {
			continue
		}
		seen[s] = true
		text, _, err := m.cycle()
		if err != nil {
			t.Fatal(err)
		}
		line([]byte(text))
	}

	const golden = "testdata/text.golden"
	if *update {
		if err := os.WriteFile(golden, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, want) {
		g, w := strings.Split(string(out), "\n"), strings.Split(string(want), "\n")
		for i := range max(len(g), len(w)) {
			if i >= len(g) || i >= len(w) || g[i] != w[i] {
				t.Fatalf("line %d:\n got %s\nwant %s", i+1, g[min(i, len(g)-1)], w[min(i, len(w)-1)])
			}
		}
	}
}
