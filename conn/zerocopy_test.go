package conn

import (
	"testing"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// poolQueue is a queue with a pool of four buffers of 8 KiB, in no kernel.
func poolQueue(t *testing.T) *queue {
	t.Helper()
	c := New(nil, &Options{})
	if err := c.makeSlots(); err != nil {
		t.Fatal(err)
	}
	c.params = protocol.Params{Minor: 46}
	q := newQueue(c, &rings{size: 8192}, 0, -1)
	q.pool = make([]byte, 4*8192)
	return q
}

// TestPoolBuffer: a request without a buffer says offset 0, which is another's.
func TestPoolBuffer(t *testing.T) {
	q := poolQueue(t)
	slot, _ := q.c.arena.Get() // is aligned, on 32-bit too
	h := protocol.ViewOf[protocol.UringReqHeader](slot.Bytes())
	for _, tt := range []struct {
		op     protocol.Opcode
		size   uint32
		offset uint32
		zero   bool
		at     int // -1: none
	}{
		{protocol.OpFlush, 0, 0, false, -1},
		{protocol.OpRelease, 0, 0, false, -1},
		{protocol.OpFsync, 0, 0, false, -1},
		{protocol.OpFallocate, 0, 0, false, -1},
		{protocol.OpSetlkw, 0, 0, false, -1},
		{protocol.OpAccess, 0, 0, false, -1},
		{protocol.OpDestroy, 0, 0, false, -1},
		{999, 0, 0, false, -1},
		{protocol.OpRead, 0, 0, true, -1},
		{protocol.OpRead, 0, 8192, false, 8192},
		{protocol.OpGetattr, 0, 0, false, 0},
		{protocol.OpGetlk, 0, 16384, false, 16384},
		{protocol.OpReadlink, 0, 0, false, 0},
		{protocol.OpUnlink, 2, 24576, false, 24576},
		{protocol.OpWrite, 4096, 8192, true, 8192},
		{protocol.OpWrite, 4096, 0, false, 0},
		{protocol.OpGetattr, 0, 24577, false, -1}, // not wholly in the pool
		{protocol.OpGetattr, 0, 1<<32 - 1, false, -1},
	} {
		*h = protocol.UringReqHeader{}
		protocol.ViewOf[protocol.InHeader](h.InOut[:]).Opcode = tt.op
		h.RingEntInOut = protocol.UringEntInOut{PayloadSz: tt.size, Offset: tt.offset}
		if tt.zero {
			h.RingEntInOut.Flags = protocol.UringEntZeroCopy
		}
		b := q.buffer(h)
		switch {
		case tt.at < 0:
			if b != nil {
				t.Errorf("%v, %d bytes, at %d, zero copy %v: has a buffer", tt.op, tt.size, tt.offset, tt.zero)
			}
		case len(b) != 8192 || cap(b) != 8192 || &b[0] != &q.pool[tt.at]:
			t.Errorf("%v, %d bytes, at %d, zero copy %v: %d bytes", tt.op, tt.size, tt.offset, tt.zero, len(b))
		}
	}
}

// TestPoolReply: a reply with data where there is no room for any, or of data that
// have not come, is EIO, and the pool stays as it was.
func TestPoolReply(t *testing.T) {
	q := poolQueue(t)
	for _, tt := range []struct {
		name        string
		op          protocol.Opcode
		zero        bool
		moved       int
		fixed, data int
		err         error
		out         int
	}{
		{"FLUSH with data", protocol.OpFlush, false, 0, 0, 10, unix.EINVAL, 0},
		{"FLUSH with a fixed part", protocol.OpFlush, false, 0, 8, 0, unix.EINVAL, 0},
		{"FLUSH", protocol.OpFlush, false, 0, 0, 0, nil, 0},
		{"READ of nothing moved", protocol.OpRead, true, 0, 0, 1, unix.EINVAL, 0},
		{"READ of more than moved", protocol.OpRead, true, 4096, 0, 4097, unix.EINVAL, 0},
		{"READ with a fixed part", protocol.OpRead, true, 4096, 8, 4096, unix.EINVAL, 0},
		{"READ", protocol.OpRead, true, 4096, 0, 4096, nil, 4096},
		{"READ short", protocol.OpRead, true, 100, 0, 99, nil, 99},
	} {
		if !q.take() {
			t.Fatal("no slot")
		}
		r := q.all[len(q.all)-1]
		protocol.ViewOf[protocol.InHeader](r.ringHdr().InOut[:]).Opcode = tt.op
		r.Header = protocol.ViewOf[protocol.InHeader](r.ringHdr().InOut[:])
		r.Header.Unique = 2
		r.zero, r.xfer.n = tt.zero, tt.moved
		r.begin(q.t, q.c.lay.lead)
		for i := range r.Payload()[:tt.data] {
			r.Payload()[i] = 1
		}
		q.c.users.Add(1)
		r.Retain() // or it would be the queue's at once
		if err := r.Reply(tt.fixed, tt.data); err != tt.err {
			t.Errorf("%s: %v", tt.name, err)
		}
		e := int32(0)
		if tt.err != nil {
			e = -int32(unix.EIO)
		}
		if r.hdr.Error != e || r.out != tt.out {
			t.Errorf("%s: error %d, %d bytes", tt.name, r.hdr.Error, r.out)
		}
	}
	for i, b := range q.pool {
		if b != 0 {
			t.Fatalf("byte %d of the pool was written to", i)
		}
	}
}
