package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Client is a process: paths in its methods are absolute or relative to the
// mount's root, which is the same. Errors are unix.Errno. One goroutine at a
// time may use a Client, but for Interrupt; several Clients are independent.
type Client struct {
	Uid, Gid uint32
	Umask    uint32
	Groups   []uint32 // supplementary ones

	// Label is the security context of what the process makes, the value of the
	// attribute LabelName ("security.selinux"); without a name there is none.
	LabelName string
	Label     []byte

	k         *Kernel
	pid       uint32
	owner     uint64 // lock_owner
	cur       *request
	signal    bool
	scheduled bool
	ready     func() bool
}

// Process makes a client with these ids and no umask.
func (k *Kernel) Process(uid, gid uint32) *Client {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pids++
	k.owners += 0x9e3779b97f4a7c15 // scrambled, as the kernel's are
	return &Client{Uid: uid, Gid: gid, k: k, pid: 1000 + k.pids, owner: k.owners}
}

// err makes an errno an error.
func errno(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// Interrupt is a signal: the request the client waits for is interrupted, or,
// if there is none, its next one. Requests that the server has not read are
// sent all the same, followed by the INTERRUPT. From any goroutine.
func (c *Client) Interrupt() {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	if c.cur != nil {
		c.k.interrupt(c.cur)
		return
	}
	c.signal = true
}

// Unsignal takes back an Interrupt that met no request.
func (c *Client) Unsignal() {
	c.k.mu.Lock()
	c.signal = false
	c.k.mu.Unlock()
}

// Kill is SIGKILL: a request that the server has not read is taken out of the
// queue, one that it has read is interrupted and still waited for.
func (c *Client) Kill() {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	r := c.cur
	if r == nil {
		c.signal = true
		return
	}
	for i, q := range k.queue {
		if q == r && !r.force {
			k.queue = append(k.queue[:i:i], k.queue[i+1:]...)
			k.gone[r.unique] = true
			k.finish(r, nil, unix.EINTR)
			return
		}
	}
	k.interrupt(r)
}

// Stat is stat(2): attributes from the cache as long as they are valid.
func (c *Client) Stat(path string) (protocol.Attr, error) { return c.stat(path, true) }

// Lstat is lstat(2).
func (c *Client) Lstat(path string) (protocol.Attr, error) { return c.stat(path, false) }

func (c *Client) stat(path string, follow bool) (protocol.Attr, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, follow)
	if e != 0 {
		return protocol.Attr{}, e
	}
	defer k.dput(d)
	if e := k.update(c, d.ino, nil, invalAll); e != 0 {
		return protocol.Attr{}, e
	}
	return d.ino.attr, nil
}

// Lookup resolves path without following a link at its end, and returns the
// nodeid that the server gave it.
func (c *Client) Lookup(path string) (nodeid uint64, err error) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	d, e := c.k.find(c, path, false)
	if e != 0 {
		return 0, e
	}
	defer c.k.dput(d)
	return d.ino.nodeid, nil
}

// Readlink is readlink(2).
func (c *Client) Readlink(path string) (string, error) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	d, e := c.k.find(c, path, false)
	if e != 0 {
		return "", e
	}
	defer c.k.dput(d)
	if d.ino.attr.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	s, e := c.k.readlink(c, d.ino)
	return s, errno(e)
}

// Chmod, Chown, Truncate and Utimes are SETATTR.

// Chmod is chmod(2).
func (c *Client) Chmod(path string, mode uint32) error {
	return c.setattr(path, true, false, func(i *inode, in *protocol.SetattrIn) {
		in.Valid, in.Mode = protocol.FattrMode, i.attr.Mode&unix.S_IFMT|mode&0o7777
	})
}

// Chown is lchown(2); ^uint32(0) leaves an id as it is.
func (c *Client) Chown(path string, uid, gid uint32) error {
	return c.setattr(path, false, true, func(_ *inode, in *protocol.SetattrIn) {
		if uid != ^uint32(0) {
			in.Valid, in.Uid = in.Valid|protocol.FattrUid, uid
		}
		if gid != ^uint32(0) {
			in.Valid, in.Gid = in.Valid|protocol.FattrGid, gid
		}
	})
}

// Utimes is utimensat(2), links not followed, times in nanoseconds since the epoch.
func (c *Client) Utimes(path string, atime, mtime int64) error {
	return c.setattr(path, false, false, func(_ *inode, in *protocol.SetattrIn) {
		in.Valid = protocol.FattrAtime | protocol.FattrMtime
		in.Atime, in.Atimensec = uint64(atime/1e9), uint32(atime%1e9)
		in.Mtime, in.Mtimensec = uint64(mtime/1e9), uint32(mtime%1e9)
	})
}

// Truncate is truncate(2).
func (c *Client) Truncate(path string, size uint64) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, true)
	if e != 0 {
		return e
	}
	defer k.dput(d)
	switch {
	case d.ino.dir():
		return unix.EISDIR
	case !d.ino.reg() || size > 1<<63-1:
		return unix.EINVAL
	}
	if e := k.may(c, d.ino, mayWrite); e != 0 { // vfs_truncate
		return e
	}
	k.lock(c, &d.ino.lock)
	defer k.unlock(&d.ino.lock)
	if e := k.needKillpriv(c, d.ino, false); e != 0 {
		return e
	}
	return errno(k.setattr(c, d.ino, nil, &protocol.SetattrIn{Valid: protocol.FattrSize, Size: size}))
}

func (c *Client) setattr(path string, follow, chown bool, fill func(*inode, *protocol.SetattrIn)) error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, follow)
	if e != 0 {
		return e
	}
	defer k.dput(d)
	k.lock(c, &d.ino.lock)
	defer k.unlock(&d.ino.lock)
	var in protocol.SetattrIn
	fill(d.ino, &in)
	if k.checks() && !c.mayChange(d.ino, &in) {
		return unix.EPERM
	}
	if chown && !d.ino.dir() {
		if e := k.chownFirst(c, d.ino, &in); e != 0 {
			return e
		}
	}
	e = k.setattr(c, d.ino, nil, &in)
	if e == 0 && d.ino.dir() && in.Valid&protocol.FattrMode != 0 {
		d.until = 0 // fuse_setattr: who may enter has changed
	}
	return errno(e)
}

// Statfs is statfs(2).
func (c *Client) Statfs(path string) (protocol.Kstatfs, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, true)
	if e != 0 {
		return protocol.Kstatfs{}, e
	}
	defer k.dput(d)
	b, e := k.call(c, &body{op: protocol.OpStatfs, nodeid: d.ino.nodeid})
	if e != 0 {
		return protocol.Kstatfs{}, e
	}
	return view[protocol.StatfsOut](b).St, nil
}
