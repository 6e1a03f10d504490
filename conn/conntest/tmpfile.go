package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Tmpfile is open(2) with O_TMPFILE: a file without a name, in the directory
// dir. With O_EXCL it never gets one.
func (c *Client) Tmpfile(dir string, flags int, mode uint32) (*File, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if flags&unix.O_ACCMODE == unix.O_RDONLY || flags&unix.O_CREAT != 0 {
		return nil, unix.EINVAL
	}
	d, e := k.find(c, dir, true)
	if e != 0 {
		return nil, e
	}
	defer k.dput(d)
	if !d.ino.dir() {
		return nil, unix.ENOTDIR
	}
	if e := k.allowed(c, d.ino, mayWrite|mayExec, 0); e != 0 {
		return nil, e
	}
	f, e := k.tmpfile(c, d, uint32(flags)&^unix.O_CLOEXEC|unix.O_TMPFILE|largefile(), mode&0o7777)
	if e != 0 {
		return nil, e
	}
	return f, nil
}

// tmpfile is fs/fuse/dir.c: fuse_tmpfile. The directory is not locked, and its
// name for the file is the placeholder "/".
func (k *Kernel) tmpfile(c *Client, d *dentry, flags, mode uint32) (*File, unix.Errno) {
	if k.o.Minor < 37 || k.no[protocol.OpTmpfile] {
		return nil, unix.EOPNOTSUPP
	}
	in := protocol.CreateIn{Flags: flags &^ unix.O_NOCTTY, Mode: unix.S_IFREG | c.mode(mode), Umask: c.Umask}
	version := k.attrs
	b, e := k.call(c, &body{op: protocol.OpTmpfile, nodeid: d.ino.nodeid, arg: protocol.BytesOf(&in), names: []string{"/"}, ext: c.extension(d.ino)})
	if e == unix.ENOSYS {
		k.no[protocol.OpTmpfile] = true
		return nil, unix.EOPNOTSUPP
	}
	if e != 0 {
		return nil, e
	}
	entry, out := view[protocol.EntryOut](b), view[protocol.OpenOut](b[len(b)-16:])
	i, e := k.madeInode(protocol.OpTmpfile, d, unix.S_IFREG, entry, version)
	if e != 0 {
		k.postRelease(protocol.OpRelease, entry.Nodeid, &protocol.ReleaseIn{Fh: out.Fh, Flags: flags})
		return nil, e
	}
	n := &dentry{parent: d, name: "/", ino: i, refs: 1, children: map[string]*dentry{}} // nobody finds it
	d.refs++
	i.refs++
	defer k.dput(n)
	f := &File{c: c, d: n, ino: i, fh: out.Fh, open: out.OpenFlags, flags: flags &^ (unix.O_EXCL | unix.O_NOCTTY)}
	f.linkable = flags&unix.O_EXCL == 0
	k.opened(f)
	return f, 0
}

// Link is linkat(2) with AT_EMPTY_PATH: a name for an open file.
func (f *File) Link(path string) error {
	k := f.c.k
	k.mu.Lock()
	switch {
	case f.closed:
		k.mu.Unlock()
		return unix.EBADF
	case f.ino.dir():
		k.mu.Unlock()
		return unix.EPERM
	case f.ino.attr.Nlink == 0 && !f.linkable: // vfs_link
		k.mu.Unlock()
		return unix.ENOENT
	}
	k.mu.Unlock()
	return f.c.link(f.ino, path)
}
