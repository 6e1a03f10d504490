package conntest

import (
	"fmt"
	"math"
	"slices"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Writeback is the flusher's turn: WRITEs of everything that is dirty are sent,
// or queued, and not waited for; pages that are locked or under write-back
// already stay dirty (WB_SYNC_NONE). Times are not sent.
func (k *Kernel) Writeback() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range k.ids() {
		if i := k.inodes[id]; i != nil && !i.plock.w && len(i.reads) == 0 {
			k.startWrites(i, 0, math.MaxInt64)
		}
	}
}

// balanceDirty is balance_dirty_pages, in a simple form: with DirtyLimit pages
// dirty write-back begins, and the writer waits until no more are under it.
func (k *Kernel) balanceDirty(cl *Client, i *inode) {
	limit := k.o.DirtyLimit
	if limit <= 0 || len(i.dirty) < limit {
		return
	}
	k.startWrites(i, 0, math.MaxInt64)
	k.wait(cl, func() bool {
		n := 0
		for _, w := range i.flights {
			n += int(w.n)
		}
		return n <= limit || i.nowrite > 0
	})
}

// startWrites is fuse_writepages: a WRITE for each run of adjacent dirty pages
// from first to last, of at most max_write and max_pages. Dirty pages that are
// under write-back already are left; it reports whether there are.
func (k *Kernel) startWrites(i *inode, first, last int64) (left bool) {
	if i.bad || len(i.users) == 0 {
		return false
	}
	var pages []int64
	for n := range i.dirty {
		switch {
		case n < first || n > last:
		case i.writing(n, n):
			left = true
		default:
			pages = append(pages, n)
		}
	}
	slices.Sort(pages)
	most := max(1, min(k.maxPages, k.maxWrite/k.page))
	for len(pages) > 0 {
		w := &flight{first: pages[0], f: i.users[len(i.users)-1]} // fuse_write_file_get: the newest
		for len(pages) > 0 && int(w.n) < most && pages[0] == w.first+w.n {
			w.data = append(w.data, i.pages[pages[0]]...)
			delete(i.dirty, pages[0])
			pages = pages[1:]
			w.n++
		}
		i.flights = append(i.flights, w)
		i.refs++
		w.f.hold()
		if i.nowrite == 0 {
			k.sendFlight(i, w)
		}
	}
	return left
}

// sendFlight is fuse_send_writepage: cut at the end of the file as it is now,
// without ids, with the handle of a writer.
func (k *Kernel) sendFlight(i *inode, w *flight) {
	w.sent = true
	off := w.first * int64(k.page)
	n := min(int64(len(w.data)), int64(i.attr.Size)-off)
	if n <= 0 { // truncated meanwhile
		k.landed(i, w)
		return
	}
	in := protocol.WriteIn{Fh: w.f.fh, Offset: uint64(off), Size: uint32(n), WriteFlags: protocol.WriteCache}
	b := &body{op: protocol.OpWrite, nodeid: i.nodeid, arg: protocol.BytesOf(&in), data: w.data[:n], force: true, nobody: true}
	k.start(nil, b, func(data []byte, e unix.Errno) {
		if e == 0 {
			if wrote := int64(view[protocol.WriteOut](data).Size); wrote != n {
				k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0,
					fmt.Sprintf("%d of %d bytes written of the page cache", wrote, n), "the rest is lost, and nobody is told")
			}
		} else {
			i.wbErr = e // mapping_set_error
			if e == unix.EBADF || e == unix.EACCES || e == unix.EPERM {
				k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0, e.Error()+" for a WRITE of the page cache: the handle is of any writer, the ids are nobody's",
					"the data is lost; fsync(2) and close(2) say so")
			}
		}
		k.landed(i, w)
	})
}

// landed is fuse_writepage_finish.
func (k *Kernel) landed(i *inode, w *flight) {
	if at := slices.Index(i.flights, w); at >= 0 {
		i.flights = slices.Delete(i.flights, at, at+1)
	}
	k.unhold(w.f)
	k.iput(i)
	k.cond.Broadcast()
}

// writeRange is filemap_write_and_wait_range, in pages: all WRITEs at once, and
// pages under write-back are waited for before they are written again.
func (k *Kernel) writeRange(cl *Client, i *inode, first, last int64) {
	for again := true; again && len(i.dirty) > 0; {
		k.lockPages(cl, i)
		again = k.startWrites(i, first, last)
		k.unlock(&i.plock)
		if again {
			k.wait(cl, func() bool { return !i.writing(first, last) })
		}
	}
	k.wait(cl, func() bool { return !i.writing(first, last) })
}

// flushPages writes back dirty pages, but not the times (fuse_writeback_range).
func (k *Kernel) flushPages(cl *Client, i *inode) unix.Errno {
	k.writeRange(cl, i, 0, math.MaxInt64)
	return i.wbErr
}

// writeBack is write_inode_now: every dirty page and, after them, the times. An
// error of the pages is kept for who asks next.
func (k *Kernel) writeBack(cl *Client, i *inode) unix.Errno {
	if i.bad {
		return 0
	}
	k.writeRange(cl, i, 0, math.MaxInt64)
	return k.flushTimes(cl, i)
}

// flushTimes is fuse_write_inode: times that were set here are sent, with the
// handle of a writer if there is one.
func (k *Kernel) flushTimes(cl *Client, i *inode) unix.Errno {
	if !i.stamp {
		return 0
	}
	i.stamp = false
	in := protocol.SetattrIn{Valid: protocol.FattrMtime | protocol.FattrCtime}
	if len(i.users) > 0 {
		in.Valid |= protocol.FattrFh
		in.Fh = i.users[len(i.users)-1].fh
	}
	k.setTimes(i, &in)
	_, e := k.call(cl, &body{op: protocol.OpSetattr, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
	return e // what attributes come back, fuse_flush_times does not look at
}

// launder is what invalidate_inode_pages2 does first: what is dirty is written,
// a WRITE for each page, one after the other.
func (k *Kernel) launder(cl *Client, i *inode) {
	var pages []int64
	for n := range i.dirty {
		pages = append(pages, n)
	}
	slices.Sort(pages)
	for _, n := range pages {
		k.writeRange(cl, i, n, n)
	}
	k.wait(cl, func() bool { return len(i.flights) == 0 })
}
