package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
	"github.com/fusewire/fusewire/wb"
)

// file is an open regular file: what a fh stands for.
type file struct {
	_     [0]func() // not comparable: no code for it
	fh    uint64
	fd    int
	flags uint32 // of OPEN or CREATE, as the caller gave them
	i     *inode

	// refs: the table's, until RELEASE, and one for each request in service.
	// The kernel sends RELEASE last; a peer that does not must not have us
	// read from a descriptor that has become another file's.
	refs atomic.Int32

	backed   bool        // FOPEN_PASSTHROUGH: the kernel reads and writes, unless direct
	direct   bool        // FOPEN_DIRECT_IO: offsets of O_APPEND are the source's
	appendFD bool        // fd itself has O_APPEND (an append-only file)
	writes   bool        // counted in inode.writers
	slow     atomic.Bool // fd does not know RWF_NOWAIT
	dirty    atomic.Bool // written since the last FLUSH
	locked   atomic.Bool // has been asked for a lock of either kind

	// With a write-back cache.
	w    *wb.File
	told wb.Handle
	fs   *FS
}

// fileTable maps fh to file. A fh is an index (low half, from 1) and the
// number of times its slot has been used (high half), so that a stale one is
// found out. Looking up takes no lock; rows never move.
type fileTable struct {
	rows atomic.Pointer[[]*fileRow]

	mu   mutex
	free []uint32 // indexes of free slots, the last freed first
	used []uint32 // uses by index
}

const rowSize = 64

type fileRow [rowSize]atomic.Pointer[file]

// maxFiles bounds the table; RLIMIT_NOFILE does so long before.
const maxFiles = 1 << 22

// add gives f a fh, with one reference. ENFILE if the table is full.
func (t *fileTable) add(f *file) (uint64, error) {
	defer t.mu.hold()()
	var rows []*fileRow
	if p := t.rows.Load(); p != nil {
		rows = *p
	}
	if len(t.free) == 0 {
		n := len(t.used)
		if n >= maxFiles {
			return 0, unix.ENFILE
		}
		more := make([]*fileRow, len(rows)+1)
		copy(more, rows)
		more[len(rows)] = new(fileRow)
		rows = more
		t.rows.Store(&more)
		t.used = append(t.used, make([]uint32, rowSize)...)
		for i := n + rowSize - 1; i >= n; i-- {
			t.free = append(t.free, uint32(i))
		}
	}
	n := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.used[n]++
	f.fh = uint64(t.used[n])<<32 | uint64(n+1)
	f.refs.Store(1)
	rows[n/rowSize][n%rowSize].Store(f)
	return f.fh, nil
}

// slot returns where fh is kept, nil if it cannot be one.
func (t *fileTable) slot(fh uint64) *atomic.Pointer[file] {
	p := t.rows.Load()
	n := uint32(fh) - 1
	if p == nil || uint32(fh) == 0 || n/rowSize >= uint32(len(*p)) {
		return nil
	}
	return &(*p)[n/rowSize][n%rowSize]
}

// get returns the file and a reference on it, nil if there is none.
func (t *fileTable) get(fh uint64) *file {
	s := t.slot(fh)
	if s == nil {
		return nil
	}
	f := s.Load()
	if f == nil || f.fh != fh {
		return nil
	}
	for {
		n := f.refs.Load()
		if n == 0 {
			return nil
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return f
		}
	}
}

// remove takes fh out of the table and returns its file, nil if there is
// none. The table's reference goes to the caller.
func (t *fileTable) remove(fh uint64) *file {
	s := t.slot(fh)
	if s == nil {
		return nil
	}
	defer t.mu.hold()()
	f := s.Load()
	if f == nil || f.fh != fh {
		return nil
	}
	s.Store(nil)
	n := uint32(fh) - 1
	if t.used[n] != ^uint32(0) { // else the slot is worn out
		t.free = append(t.free, n)
	}
	return f
}

// each calls f for every open file.
func (t *fileTable) each(f func(*file)) {
	p := t.rows.Load()
	if p == nil {
		return
	}
	for _, row := range *p {
		for i := range row {
			if x := row[i].Load(); x != nil {
				f(x)
			}
		}
	}
}

// file returns the open file of a request, EBADF if there is none. Given back
// by put.
func (fs *FS) file(fh uint64) (*file, error) {
	if f := fs.files.get(fh); f != nil {
		return f, nil
	}
	return nil, unix.EBADF
}

// put gives back a reference; the last one closes the descriptor.
func (fs *FS) put(f *file) {
	if f.refs.Add(-1) == 0 {
		fs.cacheClose(f)
		fs.closing(f.i, f.fd)
		fs.closeFD(f.fd)
	}
}

// doneFiles closes all files and drops all locks.
func (fs *FS) doneFiles() {
	fs.locks.done(fs)
	fs.files.each(func(f *file) {
		if f := fs.files.remove(f.fh); f != nil && (f.back() == nil || !f.back().Busy()) {
			fs.closeFD(f.fd) // else the source has not answered for very long, and might some time
		}
	})
}
