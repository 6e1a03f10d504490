package conntest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// attr runs one xattr operation on what path names, links not followed. ENOSYS
// switches it off for the connection, and is EOPNOTSUPP.
func (c *Client) attr(path string, b *body) ([]byte, error) {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	d, e := k.find(c, path, false)
	if e != 0 {
		return nil, e
	}
	defer k.dput(d)
	b.nodeid = d.ino.nodeid
	if len(b.names) > 0 && strings.HasPrefix(b.names[0], "user.") && !d.ino.reg() && !d.ino.dir() { // fs/xattr.c: xattr_permission
		if b.op == protocol.OpGetxattr {
			return nil, unix.ENODATA
		}
		return nil, unix.EPERM
	}
	if b.op == protocol.OpSetxattr || b.op == protocol.OpRemovexattr {
		k.lock(c, &d.ino.lock)
		defer k.unlock(&d.ino.lock)
	}
	out, e := k.call(c, b)
	if e == 0 && (b.op == protocol.OpSetxattr || b.op == protocol.OpRemovexattr) {
		k.updateCtime(c, d.ino)
	}
	if e == unix.ENOSYS {
		k.no[b.op] = true
		e = unix.EOPNOTSUPP
	}
	return out, errno(e)
}

// Setxattr is lsetxattr(2).
func (c *Client) Setxattr(path, name string, value []byte, flags uint32) error {
	in := protocol.SetxattrIn{Size: uint32(len(value)), Flags: flags}
	arg := protocol.BytesOf(&in)
	if !c.k.has(protocol.InitSetxattrExt) {
		arg = arg[:protocol.CompatSetxattrInSize]
	}
	_, err := c.attr(path, &body{op: protocol.OpSetxattr, arg: arg, names: []string{name}, data: value})
	return err
}

// Removexattr is lremovexattr(2).
func (c *Client) Removexattr(path, name string) error {
	_, err := c.attr(path, &body{op: protocol.OpRemovexattr, names: []string{name}})
	return err
}

// Getxattr is lgetxattr(2) with a buffer of size bytes.
func (c *Client) Getxattr(path, name string, size int) ([]byte, error) {
	size = min(size, 65536) // XATTR_SIZE_MAX
	in := protocol.GetxattrIn{Size: uint32(size)}
	return c.attr(path, &body{op: protocol.OpGetxattr, arg: protocol.BytesOf(&in), names: []string{name}, size: size})
}

// GetxattrSize is lgetxattr(2) with no buffer: the size of the value.
func (c *Client) GetxattrSize(path, name string) (int, error) {
	in := protocol.GetxattrIn{}
	b, err := c.attr(path, &body{op: protocol.OpGetxattr, arg: protocol.BytesOf(&in), names: []string{name}})
	if err != nil {
		return 0, err
	}
	return int(view[protocol.GetxattrOut](b).Size), nil
}

// Listxattr is llistxattr(2) with a buffer of size bytes.
func (c *Client) Listxattr(path string, size int) ([]string, error) {
	size = min(size, 65536) // XATTR_LIST_MAX
	in := protocol.GetxattrIn{Size: uint32(size)}
	b, err := c.attr(path, &body{op: protocol.OpListxattr, arg: protocol.BytesOf(&in), size: size})
	if err != nil || len(b) == 0 {
		return nil, err
	}
	list := bytes.Split(b, []byte{0})
	if len(list[len(list)-1]) != 0 { // fuse_verify_xattr_list
		c.k.mu.Lock()
		c.k.report(&request{op: protocol.OpListxattr}, 0, "a list that does not end with a NUL", "EIO to the caller")
		c.k.mu.Unlock()
		return nil, unix.EIO
	}
	var names []string
	for _, n := range list[:len(list)-1] {
		names = append(names, string(n))
	}
	return names, nil
}

// Lock sets (unix.F_RDLCK, F_WRLCK) or drops (F_UNLCK) a POSIX lock on bytes
// start to end, fcntl(2)'s F_SETLK, or F_SETLKW with wait.
func (f *File) Lock(typ int, start, end uint64, wait bool) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return e
	}
	return errno(k.setlk(f, f.c.owner, uint32(typ), start, end, wait, false))
}

// TestLock is F_GETLK: the lock that is in the way of one of this type, if any.
func (f *File) TestLock(typ int, start, end uint64) (protocol.FileLock, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return protocol.FileLock{}, e
	}
	if !k.remoteLocks(false) {
		return f.testLocal(typ, start, end), nil
	}
	in := protocol.LkIn{Fh: f.fh, Owner: f.c.owner, Lk: protocol.FileLock{Start: start, End: end, Type: uint32(typ)}}
	b, e := k.call(f.c, &body{op: protocol.OpGetlk, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	if e != 0 {
		return protocol.FileLock{}, e
	}
	l := view[protocol.LkOut](b).Lk
	rule := ""
	switch l.Type { // convert_fuse_file_lock
	case unix.F_UNLCK:
	case unix.F_RDLCK, unix.F_WRLCK:
		if l.Start > 1<<63-1 || l.End > 1<<63-1 || l.End < l.Start {
			rule = fmt.Sprintf("a lock from %d to %d", l.Start, l.End)
		}
	default:
		rule = fmt.Sprintf("a lock of type %d", l.Type)
	}
	if rule != "" {
		k.report(&request{op: protocol.OpGetlk, nodeid: f.ino.nodeid}, 0, rule, "EIO to the caller")
		return protocol.FileLock{}, unix.EIO
	}
	return l, nil
}
