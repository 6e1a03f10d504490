package conntest

import "github.com/fusewire/fusewire/sg/unix"

// Pages are kept only whole and up to date: one that was written in part and
// not read before is not cached, as in fuse_fill_write_pages.

// dropAll is invalidate_inode_pages2.
func (i *inode) dropAll() {
	i.drops++
	clear(i.pages)
	clear(i.dirty)
}

// truncatePages is truncate_pagecache: nothing is cached beyond size.
func (k *Kernel) truncatePages(i *inode, size uint64) {
	i.drops++
	for n, p := range i.pages {
		start := uint64(n) * uint64(k.page)
		switch {
		case start >= size:
			delete(i.pages, n)
			delete(i.dirty, n)
		case size-start < uint64(k.page):
			clear(p[size-start:])
		}
	}
}

// dropPages forgets what is cached of n bytes at off.
func (k *Kernel) dropPages(i *inode, off, n int64) {
	i.drops++
	for p := off / int64(k.page); p*int64(k.page) < off+n; p++ {
		if !i.dirty[p] { // else it was dirtied meanwhile, and stays
			delete(i.pages, p)
		}
	}
}

// fillWrite is fuse_fill_write_pages: how many of n bytes at off go into one
// WRITE. A page that is written in part, and is not cached, is its last.
func (k *Kernel) fillWrite(i *inode, off int64, n int) int {
	page, most := int64(k.page), max(1, k.maxSend()/k.page)
	done := 0
	for pages := 0; done < n && pages < most; pages++ {
		at := off + int64(done)
		step := min(int(page-at%page), n-done)
		done += step
		if int64(step) < page && (i.pages[at/page] == nil || (at+int64(step))%page != 0) {
			break
		}
	}
	return done
}

// wrotePages brings cached pages up to date with what the server has written of
// asked bytes at off; where it wrote less, they are dropped.
func (k *Kernel) wrotePages(i *inode, data []byte, off int64, asked int) {
	page := int64(k.page)
	for done := int64(0); done < int64(asked); {
		at := off + done
		n := min(page-at%page, int64(asked)-done)
		switch p := i.pages[at/page]; {
		case done+n > int64(len(data)):
			if !i.dirty[at/page] {
				delete(i.pages, at/page)
			}
		case p != nil:
			copy(p[at%page:], data[done:done+n])
		case n == page:
			i.pages[at/page] = append([]byte(nil), data[done:done+n]...)
		}
		done += n
	}
}

// cachedRead is filemap_read over fuse_readahead.
func (k *Kernel) cachedRead(f *File, p []byte, off int64) (int, unix.Errno) {
	i, page := f.ino, int64(k.page)
	done := 0
	for done < len(p) {
		at := off + int64(done)
		if at >= int64(i.attr.Size) {
			break
		}
		k.ahead(f, at/page, (off+int64(len(p))-1)/page)
		b := i.pages[at/page]
		if b == nil {
			if e := k.fill(f, at/page, (off+int64(len(p))-1)/page); e != 0 {
				if done > 0 {
					return done, 0
				}
				return 0, e
			}
			if b = i.pages[at/page]; b == nil {
				continue // dropped as soon as it was there
			}
			if at >= int64(i.attr.Size) {
				break
			}
		}
		n := int(min(page-at%page, int64(i.attr.Size)-at))
		done += copy(p[done:], b[at%page:at%page+int64(n)])
	}
	return done, 0
}

// fill reads the missing pages from first on, up to last, in one READ.
func (k *Kernel) fill(f *File, first, last int64) unix.Errno {
	i, page := f.ino, int64(k.page)
	k.lockPages(f.c, i)
	defer k.unlock(&i.plock)
	if i.pages[first] != nil || first*page >= int64(i.attr.Size) {
		return 0 // meanwhile
	}
	k.wait(f.c, func() bool { return !i.writing(first, last) }) // the server has old data yet
	if i.pages[first] != nil {
		return 0
	}
	n := int64(1)
	for n < int64(max(1, k.maxRead()/k.page)) && first+n <= last && (first+n)*page < int64(i.attr.Size) && i.pages[first+n] == nil {
		n++
	}
	off := first * page
	size, version, drops := i.attr.Size, i.version, i.drops
	b, e := k.sendRead(f, off, int(n*page), false)
	if e != 0 {
		return e
	}
	i.inval |= invalAtime
	if drops != i.drops {
		return 0 // pages that went while they were being read: once more
	}
	k.filled(f, first, n, b, size, version)
	return 0
}

// filled puts what a READ of n pages has brought into the cache. size and
// version are of when it was sent.
func (k *Kernel) filled(f *File, first, n int64, b []byte, size, version uint64) {
	i, page := f.ino, int64(k.page)
	off := first * page
	if int64(len(b)) < n*page && i.version == version && !k.ownsSize(i) { // else a hole
		k.short(f, off, int(n*page), len(b), size, "the rest reads as zeros, and the file as shorter")
		// fuse_short_read, fuse_read_update_size
		if i.unstable == 0 && uint64(off)+uint64(len(b)) < i.attr.Size {
			i.attr.Size = uint64(off) + uint64(len(b))
			k.attrs++
			i.version = k.attrs
		}
	}
	for j := int64(0); j < n; j++ {
		if i.pages[first+j] != nil {
			continue
		}
		p := make([]byte, page)
		if j*page < int64(len(b)) {
			copy(p, b[j*page:])
		}
		i.pages[first+j] = p
	}
}
