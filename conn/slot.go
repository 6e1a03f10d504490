package conn

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/unix"
)

// A slot:
//
//	0          16                 lead-80            lead
//	├ out_header ┼ fixed reply ┼ ... ┼ request ────────┼──────────── ... ┤
//	                                 │ header 40, arg 40│ WRITE data
//	                                                    │ or the reply's data
//
// A request is read to lead-80, so that WRITE data (header and write_in are 80
// bytes) and reply data of requests up to that size start on a page. Behind a
// longer request reply data start on the next page.
type layout struct {
	lead int // one page
	in   int // bytes reserved behind lead for the rest of a request
	data int // bytes of reply data, at least
	size int // of the slot
}

const (
	headRoom = 80 // fuse_in_header + fuse_write_in
	outSize  = 512
	outOff   = 16

	// keepBytes of a slot stay resident when its reader has nothing to do: a READ of
	// the usual readahead.
	keepBytes = 128 << 10
	// keepIdle is how many bytes all free slots together stay resident with, and
	// all entries of rings.
	keepIdle = 32 << 20
	// settleMs is how long a reader whose slot holds more waits before it gives
	// the rest back.
	settleMs = 100
)

// layoutFor computes the slot for a max_write. Read buffer rules of
// fs/fuse/dev.c: fuse_dev_do_read: not below max(8192, max_write + 80), and what
// does not fit is failed: SETXATTR reaches 40+16+256+65536 bytes, RENAME2 8248.
func layoutFor(maxWrite, page int) layout {
	up := func(n int) int { return (n + page - 1) / page * page }
	l := layout{
		lead: page,
		in:   up(max(maxWrite+4096, 132<<10)),
		data: up(max(maxWrite, 132<<10)),
	}
	l.size = l.lead + l.in + l.data
	return l
}

// makeSlots reserves the arena. Where address space is short (32-bit, ulimit -v)
// it makes do with fewer slots, as long as every reader can have one and one is
// left for a detached request.
func (c *Conn) makeSlots() error {
	c.lay = layoutFor(int(c.opt.MaxWrite), unix.Getpagesize())
	n := max(c.opt.Slots, 1)
	for {
		a, err := sg.NewArena(c.lay.size, n)
		if err == nil {
			c.mu.Lock()
			a.KeepIdle(keepIdle)
			c.arena = a
			c.opt.Slots = n
			c.reqs = newRequests(n)
			c.mu.Unlock()
			return nil
		}
		if n <= c.opt.Threads+1 {
			return &Error{Op: "serve", Err: err, Detail: "no room for requests"}
		}
		n = max(n/2, c.opt.Threads+1)
	}
}

// getSlot takes a slot, waiting for one if all are taken: that is the
// back-pressure, what is not read stays in the kernel's queue. It returns nil
// when the connection ended.
func (c *Conn) getSlot(t *Thread) *Request {
	b, ok := c.arena.Get()
	if !ok {
		t.state.Store(threadStarved)
		c.starved.Add(1)
		for !c.ended.Load() {
			if b, ok = c.arena.Get(); ok {
				break
			}
			<-c.slotFree
		}
		c.starved.Add(-1)
		ring(c.slotFree) // the next one: there may be another, and the end is for all
		if !ok {
			return nil
		}
		c.count.starved.Add(1)
	}
	return c.request(b)
}

// request returns what goes with a slot.
func (c *Conn) request(b *sg.Buf) *Request {
	r := c.reqs[b.Index()].Load()
	if r == nil {
		mem := b.Bytes()
		r = &Request{c: c, buf: b, mem: mem}
		r.hdr = protocol.ViewOf[protocol.OutHeader](mem)
		c.reqs[b.Index()].Store(r)
	}
	return r
}

func (c *Conn) putSlot(r *Request) {
	c.arena.Put(r.buf)
	if c.starved.Load() > 0 {
		ring(c.slotFree)
	}
}
