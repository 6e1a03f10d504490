package conn

import "github.com/fusewire/fusewire/protocol"

// NOTIFY_RESEND puts every request that was read and not answered back into the
// kernel's queue, with bit 63 of its id set (fs/fuse/dev.c: fuse_chan_resend,
// 7.40). From then on a reply with the old id is ENOENT. A request which is
// still in service here must not be served a second time: the copy is dropped,
// and the answer, whenever it comes, carries the new id and goes to the channel
// the copy was read from.
//
// The answer may be on its way just now with the old id. It gets ENOENT, looks
// again under mu, and is sent once more if the copy has arrived; if it has not,
// the request is sealed, and the copy will be served as a new request.

// resend drops the copy of a request that is in service; false: there is none.
func (c *Conn) resend(h *protocol.InHeader, dev Device) bool {
	base := h.Unique &^ protocol.UniqueResend
	for i := range c.reqs {
		r := c.reqs[i].Load()
		if r == nil || r.base.Load() != base || !r.pin(true) {
			continue
		}
		took := false
		r.mu.Lock()
		// An id names one request, unless the other end is broken. Then what it
		// calls a copy is a request of its own: to be answered, and not with the
		// answer to another opcode, or with none (NOTIFY_REPLY, whose id the
		// server chose).
		if r.base.Load() == base && r.op == h.Opcode && !r.sealed {
			took = true
			r.id.Store(h.Unique)
			r.moved.Store(&dev)
			r.resends.Add(1)
		}
		r.mu.Unlock()
		r.unref()
		if took {
			c.count.resent.Add(1)
			return true
		}
	}
	return false
}

// resent reports whether the request was resent since it had been seen times,
// and seals it if not.
func (r *Request) resent(seen uint32) bool {
	defer r.mu.hold()()
	if r.resends.Load() != seen {
		return true
	}
	r.sealed = true
	return false
}
