package passfs

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// The operations of a program on what is allocated: holes, copies, files
// without a name.

// zeroRange reports whether the file system of dir has FALLOC_FL_ZERO_RANGE.
func zeroRange(dir string) bool {
	f, err := os.CreateTemp(filepath.Dir(dir), "probe")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE, 0, 4096) == nil
}

// appends reports whether pwritev2(2) can append; qemu-user 7.2 has none.
func appends(dir string) bool {
	f, err := os.CreateTemp(filepath.Dir(dir), "probe")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = pwritev(int(f.Fd()), []byte("x"), 0, unix.RWF_APPEND)
	return err == nil
}

// fallocate allocates, punches a hole or writes zeros.
func (p *program) fallocate(i int, f *pfile, off, n int) {
	const punch, zero, keep = unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_KEEP_SIZE
	mode := []uint32{0, keep, punch | keep, punch | keep, zero, zero | keep, punch}[p.rng.IntN(7)]
	minor := p.k.Params().Minor
	e := unix.Errno(0)
	switch {
	case mode == punch:
		e = unix.EOPNOTSUPP
	case !f.writes():
		e = unix.EBADF
	case minor < 19, mode&zero != 0 && (minor < 34 || !p.zeroRange):
		e = unix.EOPNOTSUPP
	}
	if !p.same(f.f.Fallocate(mode, int64(off), int64(n)), e, "fallocate %d: mode %d, %d at %d", i, mode, n, off) {
		return
	}
	m := f.n
	m.mtime = 0
	if mode&(punch|zero) != 0 && off < len(m.data) {
		clear(m.data[off:min(len(m.data), off+n)])
	}
	if mode&keep == 0 && off+n > len(m.data) {
		m.truncate(off + n)
	}
}

// seek finds data or a hole. Where the source has which is its own business, but
// between the two places there are zeros, and there are where a hole begins.
func (p *program) seek(i int, f *pfile, off int) {
	whence := unix.SEEK_DATA + p.rng.IntN(2)
	if p.k.Params().Flags&protocol.InitWritebackCache != 0 {
		// The server makes the kernel write back by NOTIFY_INVAL_INODE, at
		// which conntest keeps dirty pages as they are.
		p.same(f.f.Fsync(true), 0, "fdatasync %d", i)
	}
	data := f.n.data
	e := unix.Errno(0)
	if off >= len(data) {
		e = unix.ENXIO
	}
	at, err := f.f.Seek(int64(off), whence)
	if err == unix.ENXIO && e == 0 && whence == unix.SEEK_DATA && bytes.Count(data[off:], []byte{0}) == len(data)-off {
		return // no data behind
	}
	if !p.same(err, e, "lseek %d: %d at %d", i, whence, off) {
		return
	}
	f.pos = int(at)
	switch to := int(at); {
	case to < off || to > len(data) || whence == unix.SEEK_DATA && to == len(data):
		p.fail("it is at %d in a file of %d", to, len(data))
	case whence == unix.SEEK_DATA && bytes.Count(data[off:to], []byte{0}) != to-off:
		p.fail("data is said to begin at %d, there is some before", to)
	case whence == unix.SEEK_HOLE && to < len(data) && data[to] != 0:
		p.fail("a hole is said to begin at %d, there is data", to)
	}
}

// copyRange is copy_file_range(2) to another open file, or the same.
func (p *program) copyRange(i int, f *pfile, off, n int) {
	j := p.rng.IntN(len(p.files))
	to := p.files[j]
	toOff, _ := p.span()
	e := unix.Errno(0)
	avail := max(0, min(n, len(f.n.data)-off))
	switch {
	case !f.reads() || !to.writes() || to.flags&unix.O_APPEND != 0:
		e = unix.EBADF
	case f.n == to.n && off < toOff+avail && toOff < off+avail:
		e = unix.EINVAL
	}
	got, err := f.f.CopyRange(int64(off), to.f, int64(toOff), int64(n))
	if !p.same(err, e, "copy %d to %d: %d at %d to %d", i, j, n, off, toOff) {
		return
	}
	if int(got) > avail || got == 0 && avail > 0 {
		p.fail("copied %d of %d", got, avail)
	}
	if got > 0 {
		to.n.write(bytes.Clone(f.n.data[off:off+int(got)]), toOff)
	}
}

// tmpfile opens a file without a name, and may give it one.
func (p *program) tmpfile(path string) {
	d, e := p.m.find(path, true)
	switch {
	case e != 0:
	case !d.dir():
		e = unix.ENOTDIR
	case p.k.Params().Minor < 37:
		e = unix.EOPNOTSUPP
	}
	f, err := p.client().Tmpfile(path, unix.O_RDWR, 0o640)
	if !p.same(err, e, "tmpfile in %s", path) {
		return
	}
	now := &pfile{f: f, n: &pnode{typ: unix.S_IFREG, perm: 0o640}, flags: unix.O_RDWR}
	p.opened(now)
	if p.rng.IntN(2) == 0 {
		to := p.path()
		p.same(f.Link(to), p.m.add(to, now.n), "link it as %s", to)
	}
}
