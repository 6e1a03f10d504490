package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Readahead, in a form simpler than mm/readahead.c: a read at the start of the
// file, or behind the last one, that finds a page missing asks for a window of
// Options.Readahead pages. When a reader comes to the middle of it the next
// window is asked for. Other reads ask for what they need only.

// flightIn is one READ into the page cache that is on its way; its pages are
// locked.
type flightIn struct{ first, n int64 }

// reading reports whether page n is being read ahead.
func (i *inode) reading(n int64) bool {
	for _, r := range i.reads {
		if r.first <= n && n < r.first+r.n {
			return true
		}
	}
	return false
}

// lockPages waits for the READs that are on their way, and locks all pages.
func (k *Kernel) lockPages(cl *Client, i *inode) {
	k.wait(cl, func() bool { return len(i.reads) == 0 && !i.plock.w })
	i.plock.w = true
}

// ahead is called before page n is used by a read that goes on to page last. It
// sends READs if it has to, and waits for n if that is being read.
func (k *Kernel) ahead(f *File, n, last int64) {
	i, window := f.ino, int64(k.o.Readahead)
	if window <= 0 {
		return
	}
	switch {
	case f.mark > 0 && n == f.mark: // the next window, while this one is used
		k.readPages(f, f.window, window)
		f.mark, f.window = f.window+(window+1)/2, f.window+window
	case i.pages[n] == nil && !i.reading(n):
		size := last - n + 1
		if n == 0 || n == f.behind {
			size = max(size, window)
			f.mark, f.window = n+(size+1)/2, n+size
		}
		k.readPages(f, n, size)
	}
	f.behind = n + 1
	k.wait(f.c, func() bool { return !i.reading(n) })
}

// readPages is fuse_readahead: READs of those of n pages that are not there,
// without waiting if there is ASYNC_READ.
func (k *Kernel) readPages(f *File, first, n int64) {
	i := f.ino
	if i.plock.w { // a writer has them locked
		return
	}
	end := min(first+n, (int64(i.attr.Size)+int64(k.page)-1)/int64(k.page))
	most := int64(max(1, k.maxRead()/k.page))
	for at := first; at < end; {
		if i.pages[at] != nil || i.reading(at) || i.writing(at, at) {
			at++
			continue
		}
		r := &flightIn{first: at}
		for r.n < most && at < end && i.pages[at] == nil && !i.reading(at) && !i.writing(at, at) {
			r.n++
			at++
		}
		i.reads = append(i.reads, r)
		k.readRun(f, r)
	}
}

func (k *Kernel) readRun(f *File, r *flightIn) {
	i := f.ino
	size, version, drops := i.attr.Size, i.version, i.drops
	f.hold()
	i.refs++
	end := func(b []byte, e unix.Errno) {
		for j := range i.reads {
			if i.reads[j] == r {
				i.reads = append(i.reads[:j:j], i.reads[j+1:]...)
				break
			}
		}
		if e == 0 && drops == i.drops { // else the page is read by itself
			k.filled(f, r.first, r.n, b, size, version)
		}
		k.unhold(f)
		k.iput(i)
		k.cond.Broadcast()
	}
	in := protocol.ReadIn{Fh: f.fh, Offset: uint64(r.first * int64(k.page)), Size: uint32(r.n * int64(k.page)), Flags: f.flags}
	b := &body{op: protocol.OpRead, nodeid: i.nodeid, arg: protocol.BytesOf(&in), size: int(in.Size)}
	if k.has(protocol.InitAsyncRead) {
		k.start(f.c, b, end)
		return
	}
	end(k.call(f.c, b))
}
