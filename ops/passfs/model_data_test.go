package passfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"

	"github.com/fusewire/fusewire/conn/conntest"
	"golang.org/x/sys/unix"
)

// The operations of a program on open files, and on attributes.

// pfile is an open file on both sides.
type pfile struct {
	f     *conntest.File
	n     *pnode
	flags int
	pos   int
}

func (f *pfile) reads() bool  { return f.flags&unix.O_ACCMODE != unix.O_WRONLY }
func (f *pfile) writes() bool { return f.flags&unix.O_ACCMODE != unix.O_RDONLY }

func (p *program) open(path string) {
	flags := []int{unix.O_RDWR, unix.O_RDWR, unix.O_RDONLY, unix.O_WRONLY}[p.rng.IntN(4)]
	for _, fl := range []int{unix.O_CREAT, unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_APPEND, unix.O_DIRECT} {
		if p.rng.IntN(4) == 0 {
			flags |= fl
		}
	}
	if flags&unix.O_CREAT == 0 {
		flags &^= unix.O_EXCL
	}
	if !p.appends {
		flags &^= unix.O_APPEND
	}
	excl := flags&unix.O_EXCL != 0
	d, n, name, e := p.m.walk(path, !excl)
	switch {
	case e != 0:
	case n == nil && flags&unix.O_CREAT == 0:
		e = unix.ENOENT
	case n == nil:
	case excl:
		e = unix.EEXIST
	case n.dir() && (flags&unix.O_CREAT != 0 || flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0):
		e = unix.EISDIR
	case n.dir():
		return // opened by list
	case n.typ == unix.S_IFIFO:
		e = unix.ENXIO
	}
	f, err := p.client().Open(path, flags, 0o644)
	if !p.same(err, e, "open %s %#x", path, flags) {
		return
	}
	if n == nil {
		n = &pnode{typ: unix.S_IFREG, nlink: 1, perm: 0o644}
		d.names[name] = n
	}
	if flags&unix.O_TRUNC != 0 {
		n.truncate(0)
	}
	p.opened(&pfile{f: f, n: n, flags: flags})
}

// opened keeps a file, in place of another if there are many.
func (p *program) opened(now *pfile) {
	if len(p.files) < 8 {
		p.files = append(p.files, now)
		return
	}
	i := p.rng.IntN(len(p.files))
	p.same(p.files[i].f.Close(), 0, "close %d", i)
	p.files[i] = now
}

// random returns n bytes that are not likely to be anywhere else.
func (p *program) random(n int) []byte {
	b := make([]byte, n+8)
	x := p.rng.Uint64() | 1
	for i := 0; i < n; i += 8 {
		x *= 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	return b[:n]
}

// span is a random offset and length.
func (p *program) span() (off, n int) {
	switch p.rng.IntN(8) {
	case 0:
		off, n = p.rng.IntN(200000), 1+p.rng.IntN(100000)
	case 1, 2: // whole pages
		off, n = p.rng.IntN(8)*4096, (1+p.rng.IntN(4))*4096
	default:
		off, n = p.rng.IntN(20000), 1+p.rng.IntN(6000)
	}
	return off, n
}

// data is one operation of fsx on an open file.
func (p *program) data(i int) {
	f := p.files[i]
	off, n := p.span()
	switch p.rng.IntN(21) {
	case 16, 17:
		p.fallocate(i, f, off, n)
	case 18:
		p.seek(i, f, off)
	case 19, 20:
		p.copyRange(i, f, off, n)
	case 0, 1, 2:
		p.write(i, f, off, n)
	case 3: // write(2), at the position or the end
		b := p.random(n)
		got, err := f.f.Write(b)
		if !f.writes() {
			p.same(err, unix.EBADF, "write %d: %d", i, n)
			break
		}
		if f.flags&unix.O_APPEND != 0 {
			f.pos = len(f.n.data)
		}
		if p.same(err, 0, "write %d: %d at %d", i, n, f.pos) && got != n {
			p.fail("wrote %d of %d", got, n)
		}
		f.n.write(b, f.pos)
		f.pos += n
	case 4: // read(2)
		if f.reads() {
			f.pos += p.readWith(f, f.pos, n, func(b []byte, _ int64) (int, error) { return f.f.Read(b) })
		}
	case 5:
		f.pos = off
		f.f.SeekTo(int64(off))
	case 6, 7:
		size := off
		if p.rng.IntN(3) == 0 {
			size = len(f.n.data) - p.rng.IntN(5000)*p.rng.IntN(2)
		}
		size = max(size, 0)
		if err := f.f.Truncate(uint64(size)); !f.writes() {
			p.same(err, unix.EINVAL, "ftruncate %d: %d", i, size)
		} else if p.same(err, 0, "ftruncate %d: %d", i, size) {
			f.n.truncate(size)
		}
	case 8:
		a, err := f.f.Stat()
		if p.same(err, 0, "fstat %d", i) && (a.Size != uint64(len(f.n.data)) || int(a.Nlink) != f.n.nlink) {
			p.fail("size %d nlink %d, the model has %d %d", a.Size, a.Nlink, len(f.n.data), f.n.nlink)
		}
	case 9:
		if p.rng.IntN(4) == 0 { // the source's disk is slow
			p.same(f.f.Fsync(p.rng.IntN(2) == 0), 0, "fsync %d", i)
		}
	default:
		if !f.reads() {
			_, err := f.f.ReadAt(make([]byte, n), int64(off))
			p.same(err, unix.EBADF, "pread %d", i)
			return
		}
		p.read(f, off, n)
	}
}

// write is pwrite(2), on Linux at the end with O_APPEND.
func (p *program) write(i int, f *pfile, off, n int) {
	b := p.random(n)
	got, err := f.f.WriteAt(b, int64(off))
	if !f.writes() {
		p.same(err, unix.EBADF, "pwrite %d: %d at %d", i, n, off)
		return
	}
	if f.flags&unix.O_APPEND != 0 {
		off = len(f.n.data)
	}
	p.same(err, 0, "pwrite %d: %d at %d", i, n, off)
	if got != n {
		p.fail("wrote %d of %d", got, n)
	}
	f.n.write(b, off)
}

func (p *program) read(f *pfile, off, n int) { p.readWith(f, off, n, f.f.ReadAt) }

func (p *program) readWith(f *pfile, off, n int, read func([]byte, int64) (int, error)) int {
	b := make([]byte, n)
	got, err := read(b, int64(off))
	p.same(err, 0, "read %d at %d", n, off)
	var want []byte
	if off < len(f.n.data) {
		want = f.n.data[off:min(len(f.n.data), off+n)]
	}
	if !bytes.Equal(b[:got], want) {
		at := 0
		for at < min(got, len(want)) && b[at] == want[at] {
			at++
		}
		p.fail("%d bytes at %d: %d read, the model has %d; the first %d are right", n, off, got, len(want), at)
	}
	return got
}

// attr changes attributes by name.
func (p *program) attr(path string) {
	c := p.client()
	switch p.rng.IntN(3) {
	case 0:
		n, e := p.m.find(path, true) // chmod(2) follows links
		perm := uint32(0o600 | p.rng.IntN(0o200))
		if e == 0 {
			if n.typ == unix.S_IFDIR {
				perm |= 0o700
			}
		}
		if p.same(c.Chmod(path, perm), e, "chmod %s %o", path, perm) {
			n.perm = perm
		}
	case 1:
		n, e := p.m.find(path, false)
		when := int64(1_000_000_000_000_000_000) + p.rng.Int64N(1<<59)
		if p.same(c.Utimes(path, when, when), e, "utimes %s %d", path, when) && n.typ == unix.S_IFREG {
			n.mtime = when
		}
	default:
		n, e := p.m.find(path, true)
		size, _ := p.span()
		if e == 0 {
			switch n.typ {
			case unix.S_IFDIR:
				e = unix.EISDIR
			case unix.S_IFIFO:
				e = unix.EINVAL
			}
		}
		if p.same(c.Truncate(path, uint64(size)), e, "truncate %s %d", path, size) {
			n.truncate(size)
		}
	}
}

// xattr sets, gets, lists or removes one of three.
func (p *program) xattr(path string) {
	c := p.client()
	name := fmt.Sprint("user.x", p.rng.IntN(3))
	n, e := p.m.find(path, false)
	if e == 0 && !p.xattrs {
		_, err := c.Getxattr(path, name, 100)
		p.same(err, unix.EOPNOTSUPP, "getxattr %s", path)
		return
	}
	switch p.rng.IntN(4) {
	case 0, 1:
		flags := []int{0, unix.XATTR_CREATE, unix.XATTR_REPLACE}[p.rng.IntN(3)]
		value := string(p.random(p.rng.IntN(100)))
		if e == 0 {
			e = n.setxattr(name, value, flags)
		}
		p.same(c.Setxattr(path, name, []byte(value), uint32(flags)), e, "setxattr %s %s %d", path, name, flags)
	case 2:
		if e == 0 {
			e = n.removexattr(name)
		}
		p.same(c.Removexattr(path, name), e, "removexattr %s %s", path, name)
	default:
		want, size := "", 1+p.rng.IntN(120)
		if e == 0 {
			var has bool
			if want, has = n.xattr[name]; !has {
				e = unix.ENODATA
			} else if len(want) > size {
				e = unix.ERANGE
			}
		}
		if b, err := c.Getxattr(path, name, size); p.same(err, e, "getxattr %s %s %d", path, name, size) && string(b) != want {
			p.fail("%q, the model has %q", b, want)
		}
	}
}

// listXattr compares all of a file's attributes.
func (p *program) listXattr(path string) {
	if !p.xattrs {
		return
	}
	n, _ := p.m.find(path, false)
	l, err := p.client().Listxattr(path, 1000)
	p.same(err, 0, "listxattr %s", path)
	var got, want []string
	for _, s := range l {
		if strings.HasPrefix(s, "user.") {
			got = append(got, s)
		}
	}
	for s, v := range n.xattr {
		want = append(want, s)
		b, err := p.client().Getxattr(path, s, 1000)
		if p.same(err, 0, "getxattr %s %s", path, s); string(b) != v {
			p.fail("%q, the model has %q", b, v)
		}
	}
	sort.Strings(got)
	sort.Strings(want)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		p.fail("attributes %q, the model has %q", got, want)
	}
}
