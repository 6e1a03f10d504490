package protocol

import "testing"

// TestRingLayout has the facts of fs/fuse/dev_uring.c: names start the payload,
// stale bytes in op_in are not looked at, NOTIFY_REPLY's argument is in the
// payload, and data of a zero-copy WRITE is elsewhere.
func TestRingLayout(t *testing.T) {
	hdr := new(UringReqHeader)
	for i := range hdr.OpIn {
		hdr.OpIn[i] = 0xff
	}
	var r Request
	decode := func(op Opcode, payload string, size uint32) error {
		copy(hdr.InOut[:], BytesOf(&InHeader{Opcode: op, Unique: 2, Len: 40}))
		hdr.RingEntInOut.PayloadSz = size
		b := make([]byte, 4096)
		copy(b, payload)
		return r.DecodeRing(hdr, b, nil)
	}
	if err := decode(OpLookup, "f\x00", 2); err != nil || string(r.Name) != "f" || r.Arg != nil {
		t.Error(err, r)
	}
	if err := decode(OpStatfs, "", 0); err != nil {
		t.Error(err)
	}
	copy(hdr.OpIn[:], BytesOf(&CreateIn{Mode: 0o644}))
	if err := decode(OpCreate, "name\x00", 5); err != nil || string(r.Name) != "name" || r.CreateIn().Mode != 0o644 {
		t.Error(err, r)
	}
	in := NotifyRetrieveIn{Offset: 4096, Size: 3}
	if err := decode(OpNotifyReply, string(BytesOf(&in))+"abc", 43); err != nil || *r.NotifyRetrieveIn() != in || string(r.Data) != "abc" {
		t.Error(err, r)
	}
	if err := decode(OpNotifyReply, "", 39); err == nil {
		t.Error("short NOTIFY_REPLY")
	}
	if err := decode(OpLookup, "", 4097); err == nil {
		t.Error("payload_sz beyond the buffer")
	}
	copy(hdr.OpIn[:], BytesOf(&WriteIn{Size: 1 << 20}))
	hdr.RingEntInOut.Flags = UringEntZeroCopy
	if err := decode(OpWrite, "", 1<<20); err != nil || r.Data != nil || r.WriteIn().Size != 1<<20 {
		t.Error(err, r)
	}
	hdr.RingEntInOut.Flags = 0
	if err := decode(OpWrite, "", 100); err == nil {
		t.Error("WRITE of another size")
	}
	copy(hdr.InOut[:], BytesOf(&OutHeader{Unique: 2}))
	hdr.RingEntInOut.PayloadSz = 104
	var y Reply
	if err := y.DecodeRing(OpGetattr, hdr, make([]byte, 104), nil); err != nil || y.AttrOut() == nil {
		t.Error(err)
	}
	hdr.RingEntInOut.PayloadSz = 105
	if err := y.DecodeRing(OpGetattr, hdr, make([]byte, 104), nil); err == nil {
		t.Error("payload_sz beyond the buffer")
	}
}
