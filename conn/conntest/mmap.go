package conntest

import (
	"math"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Mapping is a part of a file in memory (mmap(2)). It keeps the file open.
type Mapping struct {
	f       *File
	off     int64
	n       int
	private map[int64][]byte // pages of a MAP_PRIVATE mapping that were written
	shared  bool
	gone    bool
}

// Map is mmap(2) of n bytes at off, a multiple of the page size, MAP_SHARED or
// MAP_PRIVATE, readable, and writable as far as the file is. The file of a
// FOPEN_DIRECT_IO handle can be mapped shared if there is DIRECT_IO_ALLOW_MMAP
// only.
func (f *File) Map(off int64, n int, shared bool) (*Mapping, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return nil, e
	}
	switch {
	case f.flags&unix.O_ACCMODE == unix.O_WRONLY:
		return nil, unix.EACCES
	case off < 0 || n <= 0 || off%int64(k.page) != 0:
		return nil, unix.EINVAL
	case !f.ino.reg():
		return nil, unix.ENODEV
	}
	if f.open&protocol.FopenDirectIO != 0 { // fuse_file_mmap
		if shared && !k.has(protocol.InitDirectIOAllowMmap) {
			return nil, unix.ENODEV
		}
		k.writeRange(f.c, f.ino, 0, math.MaxInt64)
		f.ino.dropClean()
		if shared {
			k.cachedStart(f.c, f)
		}
	}
	m := &Mapping{f: f, off: off, n: n, shared: shared, private: map[int64][]byte{}}
	f.maps++
	if shared && f.flags&unix.O_ACCMODE == unix.O_RDWR { // fuse_link_write_file
		f.ino.users = append(without(f.ino.users, f), f)
	}
	return m, nil
}

// ReadAt loads bytes from the mapping at off. An error is what a process would
// get SIGBUS or SIGSEGV for: EFAULT beyond the end of the file, EIO if a page
// cannot be read.
func (m *Mapping) ReadAt(p []byte, off int64) (int, error) {
	return m.access(p, off, false)
}

// WriteAt stores bytes into the mapping. A shared one makes pages of the file
// dirty, whatever the cache mode; nothing is sent but READs of pages that are
// missing.
func (m *Mapping) WriteAt(p []byte, off int64) (int, error) {
	if m.shared && m.f.flags&unix.O_ACCMODE != unix.O_RDWR {
		return 0, unix.EACCES
	}
	return m.access(p, off, true)
}

func (m *Mapping) access(p []byte, off int64, write bool) (int, error) {
	k := m.f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.gone || off < 0 || off+int64(len(p)) > int64(m.n) {
		return 0, unix.EFAULT
	}
	page := int64(k.page)
	for done := 0; done < len(p); {
		at := m.off + off + int64(done)
		b, e := m.fault(at/page, write)
		if e != 0 {
			return done, e
		}
		n := min(page-at%page, int64(len(p)-done))
		if write {
			copy(b[at%page:], p[done:done+int(n)])
		} else {
			copy(p[done:], b[at%page:at%page+n])
		}
		done += int(n)
	}
	return len(p), nil
}

// fault makes page n present, and writable.
func (m *Mapping) fault(n int64, write bool) ([]byte, unix.Errno) {
	f := m.f
	k, i := f.c.k, f.ino
	if b := m.private[n]; b != nil {
		return b, 0
	}
	for {
		if i.bad {
			return nil, unix.EIO
		}
		if n*int64(k.page) >= int64(i.attr.Size) { // filemap_fault
			return nil, unix.EFAULT
		}
		b := i.pages[n]
		if b == nil {
			if a := int64(k.o.Readahead); a > 0 { // do_sync_mmap_readahead: read around
				k.readPages(f, max(0, n-a/2), a)
				k.wait(f.c, func() bool { return !i.reading(n) })
			}
			if i.pages[n] == nil {
				if e := k.fill(f, n, n); e != 0 {
					return nil, unix.EIO
				}
			}
			continue
		}
		switch {
		case !write:
			return b, 0
		case !m.shared:
			m.private[n] = append([]byte(nil), b...)
			return m.private[n], 0
		case i.writing(n, n): // fuse_page_mkwrite
			k.wait(f.c, func() bool { return !i.writing(n, n) })
			continue // it may have gone meanwhile
		}
		if !i.dirty[n] && k.ownsSize(i) {
			k.stampTimes(i) // file_update_time
		}
		i.dirty[n] = true
		return b, 0
	}
}

// Sync is msync(2) with MS_SYNC: fsync of the file, even of one that is closed.
func (m *Mapping) Sync() error {
	k := m.f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case m.gone:
		return unix.ENOMEM
	case !m.shared:
		return nil
	}
	return errno(k.fsync(m.f, false))
}

// Unmap is munmap(2), or the exit of the process: dirty pages are written back
// (fuse_vma_close), and a file that was closed is released.
func (m *Mapping) Unmap() error {
	f := m.f
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.gone {
		return unix.EINVAL
	}
	m.gone = true
	if m.shared && !f.ino.bad {
		k.writeRange(f.c, f.ino, 0, math.MaxInt64)
	}
	if f.maps--; f.maps == 0 && f.closed {
		k.release(f)
	}
	return nil
}
