package passfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// posix is a file system as simple as can be: what a program should see.
type posix struct{ root *pnode }

type pnode struct {
	typ    uint32 // S_IFMT
	data   []byte
	target string
	perm   uint32
	mtime  int64 // of a file, as set by utimensat(2), ns; 0: written since
	xattr  map[string]string
	nlink  int
	up     *pnode // of a directory
	names  map[string]*pnode
}

func newPosix() *posix {
	r := &pnode{typ: unix.S_IFDIR, perm: 0o700, names: map[string]*pnode{}, nlink: 2}
	r.up = r
	return &posix{r}
}

func (n *pnode) dir() bool { return n.typ == unix.S_IFDIR }

// walk resolves path; n is nil for a name that is absent in the directory d.
func (p *posix) walk(path string, follow bool) (d, n *pnode, name string, e unix.Errno) {
	d, n = p.root, p.root
	parts := strings.Split(path, "/")
	links := 0
	for len(parts) > 0 {
		name = parts[0]
		parts = parts[1:]
		if name == "" {
			continue
		}
		if n == nil {
			return nil, nil, "", unix.ENOENT
		}
		if !n.dir() {
			return nil, nil, "", unix.ENOTDIR
		}
		if name == ".." {
			n = n.up
			continue
		}
		d, n = n, n.names[name]
		last := strings.Trim(strings.Join(parts, "/"), "/") == ""
		if n != nil && n.typ == unix.S_IFLNK && (!last || follow) {
			if links++; links > 40 {
				return nil, nil, "", unix.ELOOP
			}
			parts = append(strings.Split(n.target, "/"), parts...)
			if n.target[0] == '/' {
				n = p.root
			} else {
				n = d
			}
		}
	}
	return d, n, name, 0
}

// at resolves the directory of path.
func (p *posix) at(path string) (d *pnode, name string, e unix.Errno) {
	i := strings.LastIndexByte(path, '/')
	_, d, _, e = p.walk(path[:i], true)
	switch {
	case e != 0:
	case d == nil:
		e = unix.ENOENT
	case !d.dir():
		e = unix.ENOTDIR
	}
	return d, path[i+1:], e
}

func (p *posix) find(path string, follow bool) (*pnode, unix.Errno) {
	_, n, _, e := p.walk(path, follow)
	if e == 0 && n == nil {
		e = unix.ENOENT
	}
	return n, e
}

func (p *posix) add(path string, n *pnode) unix.Errno {
	d, name, e := p.at(path)
	if e != 0 {
		return e
	}
	if d.names[name] != nil {
		return unix.EEXIST
	}
	d.names[name] = n
	if n.dir() {
		n.up, n.nlink, n.names = d, 2, map[string]*pnode{}
		d.nlink++
	} else {
		n.nlink++
	}
	return 0
}

func (p *posix) remove(path string, dir bool) unix.Errno {
	d, name, e := p.at(path)
	if e != 0 {
		return e
	}
	n := d.names[name]
	switch {
	case n == nil:
		return unix.ENOENT
	case dir && !n.dir():
		return unix.ENOTDIR
	case !dir && n.dir():
		return unix.EISDIR
	case len(n.names) > 0:
		return unix.ENOTEMPTY
	}
	p.drop(d, name)
	return 0
}

func (p *posix) drop(d *pnode, name string) {
	n := d.names[name]
	delete(d.names, name)
	if n.dir() {
		n.nlink = 0
		d.nlink--
	} else {
		n.nlink--
	}
}

// above reports whether n is d or above it.
func above(n, d *pnode) bool {
	for ; ; d = d.up {
		if d == n {
			return true
		}
		if d == d.up {
			return false
		}
	}
}

func (p *posix) rename(from, to string, flags uint32) unix.Errno {
	fd, fn, e := p.at(from)
	if e != 0 {
		return e
	}
	td, tn, e := p.at(to)
	if e != 0 {
		return e
	}
	src, dst := fd.names[fn], td.names[tn]
	exchange := flags == unix.RENAME_EXCHANGE
	switch {
	case src == nil:
		return unix.ENOENT
	case exchange && dst == nil:
		return unix.ENOENT
	case flags == unix.RENAME_NOREPLACE && dst != nil:
		return unix.EEXIST
	case src.dir() && above(src, td):
		return unix.EINVAL
	case dst != nil && dst.dir() && above(dst, fd):
		if exchange {
			return unix.EINVAL
		}
		return unix.ENOTEMPTY
	case src == dst:
		return 0
	}
	if exchange {
		fd.names[fn], td.names[tn] = dst, src
		fix(fd, td, dst, src)
		fix(td, fd, src, dst)
		return 0
	}
	if dst != nil {
		switch {
		case src.dir() && !dst.dir():
			return unix.ENOTDIR
		case !src.dir() && dst.dir():
			return unix.EISDIR
		case len(dst.names) > 0:
			return unix.ENOTEMPTY
		}
		p.drop(td, tn)
	}
	delete(fd.names, fn)
	td.names[tn] = src
	fix(td, fd, src, nil)
	return 0
}

// fix sets parent and link counts for n, which came from was to now; other went
// the other way.
func fix(now, was, n, other *pnode) {
	if n.dir() {
		n.up = now
		if now != was && other == nil {
			now.nlink++
			was.nlink--
		}
		if now != was && other != nil && !other.dir() {
			now.nlink++
			was.nlink--
		}
	}
}

// write puts b at off, with zeros before it if that is beyond the end.
func (n *pnode) write(b []byte, off int) {
	if d := off + len(b) - len(n.data); d > 0 {
		n.data = append(n.data, make([]byte, d)...)
	}
	copy(n.data[off:], b)
	n.mtime = 0
}

func (n *pnode) truncate(size int) {
	n.data = append(n.data, make([]byte, max(0, size-len(n.data)))...)[:size]
	n.mtime = 0
}

// setxattr is setxattr(2) of a name in "user.".
func (n *pnode) setxattr(name, value string, flags int) unix.Errno {
	_, has := n.xattr[name]
	switch {
	case n.typ != unix.S_IFREG && !n.dir():
		return unix.EPERM
	case flags == unix.XATTR_CREATE && has:
		return unix.EEXIST
	case flags == unix.XATTR_REPLACE && !has:
		return unix.ENODATA
	}
	if n.xattr == nil {
		n.xattr = map[string]string{}
	}
	n.xattr[name] = value
	return 0
}

func (n *pnode) removexattr(name string) unix.Errno {
	_, has := n.xattr[name]
	switch {
	case n.typ != unix.S_IFREG && !n.dir():
		return unix.EPERM
	case !has:
		return unix.ENODATA
	}
	delete(n.xattr, name)
	return 0
}
