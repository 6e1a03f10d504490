package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// The write-back cache (INIT flag WRITEBACK_CACHE): writes end in dirty pages,
// and size, mtime and ctime of regular files are the kernel's own.

// ownsSize reports whether size and times of i are the kernel's.
func (k *Kernel) ownsSize(i *inode) bool {
	return k.has(protocol.InitWritebackCache) && i.reg()
}

// epoch is what the virtual clock begins at, for times that the kernel sets.
const epoch = 1_700_000_000

// stampTimes sets mtime and ctime to now; they are sent later.
func (k *Kernel) stampTimes(i *inode) {
	i.attr.Mtime, i.attr.Mtimensec = uint64(epoch+k.now/1e9), uint32(k.now%1e9)
	i.attr.Ctime, i.attr.Ctimensec = i.attr.Mtime, i.attr.Mtimensec
	i.stamp = true
}

func (k *Kernel) setTimes(i *inode, in *protocol.SetattrIn) {
	in.Mtime, in.Mtimensec = i.attr.Mtime, i.attr.Mtimensec
	in.Ctime, in.Ctimensec = i.attr.Ctime, i.attr.Ctimensec
}

// dropClean is invalidate_inode_pages2 without its laundering: pages that are
// not dirty go.
func (i *inode) dropClean() {
	i.drops++
	for n := range i.pages {
		if !i.dirty[n] {
			delete(i.pages, n)
		}
	}
}

func without(l []*File, f *File) []*File {
	for n := range l {
		if l[n] == f {
			return append(l[:n:n], l[n+1:]...)
		}
	}
	return l
}

// writeCached is fuse_cache_write_iter: each page that is written in part and
// lies in the file is read first, through the handle at hand, even if that was
// opened O_WRONLY.
func (k *Kernel) writeCached(f *File, p []byte, off int64) (int, unix.Errno) {
	i, page := f.ino, int64(k.page)
	k.lock(f.c, &i.plock)
	defer k.unlock(&i.plock)
	done := 0
	for done < len(p) {
		at := off + int64(done)
		n := int(min(page-at%page, int64(len(p)-done)))
		b := i.pages[at/page]
		if b == nil {
			b = make([]byte, page)
			start := at / page * page
			if int64(n) < page && start < int64(i.attr.Size) {
				data, e := k.sendRead(f, start, int(page), false)
				if e != 0 {
					if f.flags&unix.O_ACCMODE == unix.O_WRONLY {
						k.report(&request{op: protocol.OpRead, nodeid: i.nodeid}, 0,
							fmt.Sprintf("%v for a READ on a handle that was opened O_WRONLY", e),
							"with WRITEBACK_CACHE the partial write fails: the back end must be opened O_RDWR")
					}
					return done, e
				}
				copy(b, data)
				if size := int64(i.attr.Size); start+page > size {
					clear(b[size-start:])
				}
			}
			i.pages[at/page] = b
		}
		copy(b[at%page:], p[done:done+n])
		i.dirty[at/page] = true
		done += n
		i.attr.Size = max(i.attr.Size, uint64(at)+uint64(n))
	}
	k.stampTimes(i)
	k.attrs++
	i.version = k.attrs
	return done, 0
}

// writeBack writes every dirty page and, after them, the times: WRITEs of whole
// pages, cut at the end of the file, with the handle of any writer, without ids.
// An error is kept for who asks next (mapping_set_error).
func (k *Kernel) writeBack(cl *Client, i *inode) unix.Errno {
	if i.bad {
		return 0
	}
	for len(i.dirty) > 0 && len(i.users) > 0 {
		k.lock(cl, &i.plock)
		e := k.writeRun(cl, i)
		k.unlock(&i.plock)
		if e != 0 {
			i.wbErr = e
		}
	}
	if !i.stamp || len(i.users) == 0 {
		return 0
	}
	i.stamp = false // fuse_flush_times
	in := protocol.SetattrIn{Valid: protocol.FattrMtime | protocol.FattrCtime | protocol.FattrFh, Fh: i.users[0].fh}
	k.setTimes(i, &in)
	b, e := k.call(cl, &body{op: protocol.OpSetattr, nodeid: i.nodeid, arg: protocol.BytesOf(&in), nobody: true})
	if e != 0 {
		return e
	}
	return k.tookAttr(i, protocol.OpSetattr, view[protocol.AttrOut](b), 0)
}

// writeRun is one WRITE of adjacent dirty pages, the first there are.
func (k *Kernel) writeRun(cl *Client, i *inode) unix.Errno {
	page := int64(k.page)
	first := int64(-1)
	for n := range i.dirty {
		if first < 0 || n < first {
			first = n
		}
	}
	if first < 0 || len(i.users) == 0 {
		return 0
	}
	var data []byte
	for n := first; i.dirty[n] && (n == first || len(data)+k.page <= k.maxSend()); n++ {
		data = append(data, i.pages[n]...)
		delete(i.dirty, n)
	}
	off := first * page
	if off >= int64(i.attr.Size) {
		return 0
	}
	data = data[:min(int64(len(data)), int64(i.attr.Size)-off)]
	in := protocol.WriteIn{Fh: i.users[0].fh, Offset: uint64(off), Size: uint32(len(data)), WriteFlags: protocol.WriteCache}
	b, e := k.call(cl, &body{op: protocol.OpWrite, nodeid: i.nodeid, arg: protocol.BytesOf(&in), data: data, force: true, nobody: true})
	if e == unix.EBADF || e == unix.EACCES || e == unix.EPERM {
		k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0, e.Error()+" for a WRITE of the page cache: the handle is of any writer, the ids are nobody's",
			"the data is lost; fsync(2) and close(2) say so")
	}
	if e != 0 {
		return e
	}
	if wrote := int(view[protocol.WriteOut](b).Size); wrote != len(data) {
		k.report(&request{op: protocol.OpWrite, nodeid: i.nodeid}, 0,
			fmt.Sprintf("%d of %d bytes written of the page cache", wrote, len(data)), "the rest is lost; fsync(2) and close(2) say EIO")
		return unix.EIO
	}
	return 0
}
