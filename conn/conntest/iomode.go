package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// The I/O modes of an inode (fs/fuse/iomode.c, Linux 6.9): while it is open for
// cached I/O direct writes are exclusive, and while shared direct writes are
// under way an open for cached I/O waits.

// cachedStart is fuse_file_cached_io_start.
func (k *Kernel) cachedStart(cl *Client, f *File) {
	i := f.ino
	if f.noFh || f.cached || !i.reg() {
		return
	}
	for i.iomode < 0 {
		i.cacheMode = true // new direct writes are exclusive: this ends
		k.wait(cl, func() bool { return i.iomode >= 0 })
	}
	f.cached = true
	i.cacheMode = true
	i.iomode++
}

// cachedEnd is fuse_file_io_release.
func (k *Kernel) cachedEnd(f *File) {
	if !f.cached {
		return
	}
	f.cached = false
	if f.ino.iomode--; f.ino.iomode == 0 {
		f.ino.cacheMode = false
	}
}

// lockWrite is fuse_dio_lock for direct writes, and inode_lock for others. It
// returns what unlocks.
func (k *Kernel) lockWrite(f *File, n int, off int64) func() {
	i := f.ino
	if !f.exclusive(n, off) {
		k.rlock(f.c, &i.lock)
		if off+int64(n) <= int64(i.attr.Size) && i.iomode <= 0 {
			i.iomode-- // fuse_inode_uncached_io_start
			return func() {
				i.iomode++
				k.runlock(&i.lock)
			}
		}
		k.runlock(&i.lock) // it raced with an open or a truncation
	}
	k.lock(f.c, &i.lock)
	return func() { k.unlock(&i.lock) }
}

// exclusive is fuse_dio_wr_exclusive_lock.
func (f *File) exclusive(n int, off int64) bool {
	return f.open&protocol.FopenDirectIO == 0 || f.open&protocol.FopenParallelDirectWrites == 0 ||
		f.flags&unix.O_APPEND != 0 || f.ino.cacheMode || off+int64(n) > int64(f.ino.attr.Size)
}
