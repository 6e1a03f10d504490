package main

import (
	"sync"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// tracer prints every message: -d. Each is one write, so lines do not mix.
type tracer struct {
	c *conn.Conn

	mu    sync.Mutex
	sizes map[uint64]bool // GETXATTRs and LISTXATTRs in service that ask for the size only
	reply protocol.Reply
	buf   []byte
}

// Request implements conn.Tap.
func (t *tracer) Request(r *protocol.Request, raw []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := r.Header; h != nil && (h.Opcode == protocol.OpGetxattr || h.Opcode == protocol.OpListxattr) {
		if in := r.GetxattrIn(); in != nil && in.Size == 0 {
			if t.sizes == nil {
				t.sizes = make(map[uint64]bool)
			}
			t.sizes[h.Unique] = true
		}
	}
	t.buf = append(r.AppendText(append(t.buf[:0], "> "...)), '\n')
	write(2, t.buf)
}

// Reply implements conn.Tap.
func (t *tracer) Reply(op protocol.Opcode, msg []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.reply
	if h := protocol.ViewOf[protocol.OutHeader](msg); h != nil {
		r.SizeOnly = t.sizes[h.Unique]
		delete(t.sizes, h.Unique)
	}
	// what cannot be decoded is printed as far as it can
	bad := r.Decode(op, msg, t.c.Params())
	t.buf = r.AppendText(append(t.buf[:0], "< "...))
	t.line(bad, err)
}

// Notify implements conn.Tap.
func (t *tracer) Notify(msg []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n protocol.Notify
	bad := n.Decode(msg)
	t.buf = n.AppendText(append(t.buf[:0], "< "...))
	t.line(bad, err)
}

// line ends the line with what was wrong, and prints it.
func (t *tracer) line(bad, err error) {
	if bad != nil {
		t.buf = append(append(t.buf, " malformed: "...), bad.Error()...)
	}
	if err != nil {
		t.buf = append(append(t.buf, " refused: "...), err.Error()...)
	}
	t.buf = append(t.buf, '\n')
	write(2, t.buf)
}
