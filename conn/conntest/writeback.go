package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
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

// writeCached is fuse_cache_write_iter over iomap_file_buffered_write: each page that is written in part and
// lies in the file is read first, through the handle at hand, even if that was
// opened O_WRONLY.
func (k *Kernel) writeCached(f *File, p []byte, off int64) (int, unix.Errno) {
	i, page := f.ino, int64(k.page)
	defer k.balanceDirty(f.c, i)
	k.lockPages(f.c, i)
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
				k.wait(f.c, func() bool { return !i.writing(at/page, at/page) })
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
