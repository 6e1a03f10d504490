package ops

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// send answers with what the handler left in Out and Payload, once. r is the
// caller's alone.
func (r *Request) send(n int, err error) error {
	k := r.shape
	fixed := int(k.fixed)
	if err != nil {
		if r.gives == givesData {
			r.Touched(r.limit) // maybe, before it failed
		}
		return r.ReplyError(Errno(err))
	}
	if r.gives == givesEntries {
		n = r.dir.n
		if n == 0 && r.dir.full {
			// Nothing would read as the end. getdents(2) has EINVAL for it.
			return r.ReplyError(unix.EINVAL)
		}
	} else if uint(n) > uint(r.limit) {
		r.collect().takeBack(r.t)
		return r.ReplyError(r.over)
	} else if r.gives != givesData {
		if r.gives == givesU32 {
			out[protocol.WriteOut](r).Size = uint32(n)
		} else {
			out[protocol.CopyFileRangeOut](r).BytesCopied = uint64(n)
		}
		fixed, n = sizeSmall, 0
	}
	if k.holds == 0 {
		return r.Reply(fixed, n)
	}
	// The kernel counts a lookup, or opens the file, when it takes the reply.
	// What it refuses with ENOENT (the request was aborted, fs/fuse/dev.c:
	// fuse_dev_do_write) or never saw, it will neither forget nor release.
	h := r.collect()
	if r.gone { // else Done might come before what is taken back
		r.Retain()
		defer r.Unretain()
	}
	err = r.Reply(fixed, n)
	if err != nil {
		h.takeBack(r.t)
	}
	return err
}

// held is what a reply would have given to the kernel.
type held struct {
	holds   holds
	node    uint64
	dirNode uint64 // of the request, for OPEN
	fh      uint64
	entries []byte // direntplus records
}

// collect notes what the reply holds.
func (r *Request) collect() held {
	h := held{holds: r.shape.holds}
	off := 0
	if h.holds&holdsNode != 0 {
		h.node = out[protocol.EntryOut](r).Nodeid
		off = sizeEntry
	}
	if h.holds&holdsFile != 0 {
		h.fh = protocol.ViewOf[protocol.OpenOut](r.Out()[off:]).Fh
		h.dirNode = r.Nodeid()
	}
	if h.holds&holdsEntries != 0 {
		h.entries = r.dir.Bytes()
	}
	return h
}

// takeBack undoes what was counted for the reply.
func (h held) takeBack(t *Table) {
	if h.holds&holdsFile != 0 && t.cancel != nil {
		node := h.dirNode
		if h.holds&holdsNode != 0 {
			node = h.node
		}
		t.cancel.CancelOpen(node, h.fh, h.holds&holdsDir != 0)
	}
	if h.node != 0 {
		t.Forget(h.node, 1)
	}
	eachNode(h.entries, func(id uint64) { t.Forget(id, 1) })
}

// eachNode calls f for the nodeid of each READDIRPLUS entry in b that has one.
func eachNode(b []byte, f func(nodeid uint64)) {
	for {
		d, name, rest, err := protocol.NextDirentplus(b)
		if err != nil || name == nil {
			return
		}
		if d.EntryOut.Nodeid != 0 {
			f(d.EntryOut.Nodeid)
		}
		b = rest
	}
}
