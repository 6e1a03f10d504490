package conntest_test

import (
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// enosys are the operations with what their caller gets where the server says
// ENOSYS, and whether the kernel remembers.
var enosys = []struct {
	op    protocol.Opcode
	err   unix.Errno // of the first call
	again unix.Errno // of the second
	sent  int        // requests in the end
	do    func(c *conntest.Client, f, d *conntest.File) error
}{
	{protocol.OpOpen, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error { return reopen(c, "/g", unix.O_RDONLY) }},
	{protocol.OpOpendir, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error { return reopen(c, "/", unix.O_DIRECTORY) }},
	{protocol.OpFlush, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error { return reopen(c, "/g", unix.O_RDONLY) }},
	{protocol.OpFsync, 0, 0, 1, func(_ *conntest.Client, f, _ *conntest.File) error { return f.Fsync(false) }},
	{protocol.OpFsyncdir, 0, 0, 1, func(_ *conntest.Client, _, d *conntest.File) error { return d.Fsync(true) }},
	{protocol.OpAccess, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error { return c.Access("/f", unix.R_OK) }},
	{protocol.OpCreate, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		return reopen(c, "/n", unix.O_CREAT|unix.O_RDWR)
	}},
	{protocol.OpTmpfile, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		_, err := c.Tmpfile("/d", unix.O_RDWR, 0o600)
		return err
	}},
	{protocol.OpSetxattr, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		return c.Setxattr("/f", "user.a", []byte("v"), 0)
	}},
	{protocol.OpGetxattr, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		_, err := c.Getxattr("/f", "user.a", 10)
		return err
	}},
	{protocol.OpListxattr, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		_, err := c.Listxattr("/f", 10)
		return err
	}},
	{protocol.OpRemovexattr, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		return c.Removexattr("/f", "user.a")
	}},
	{protocol.OpFallocate, unix.EOPNOTSUPP, unix.EOPNOTSUPP, 1, func(_ *conntest.Client, f, _ *conntest.File) error {
		return f.Fallocate(0, 0, 100)
	}},
	{protocol.OpLseek, 0, 0, 1, func(_ *conntest.Client, f, _ *conntest.File) error {
		n, err := f.Seek(5, unix.SEEK_HOLE)
		if err == nil && n != robotSize {
			return unix.EDOM
		}
		return err
	}},
	{protocol.OpCopyFileRange64, 0, 0, 1, copySome},
	{protocol.OpRename2, unix.EINVAL, unix.EINVAL, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		return c.Rename("/f", "/x", unix.RENAME_NOREPLACE)
	}},
	{protocol.OpLink, unix.EPERM, unix.EPERM, 1, func(c *conntest.Client, _, _ *conntest.File) error { return c.Link("/f", "/x") }},
	{protocol.OpPoll, 0, 0, 1, func(_ *conntest.Client, f, _ *conntest.File) error {
		got, err := f.Poll(unix.POLLOUT)
		if err == nil && got != unix.POLLOUT {
			return unix.EDOM
		}
		return err
	}},
	{protocol.OpBmap, 0, 0, 1, func(_ *conntest.Client, f, _ *conntest.File) error {
		n, err := f.Bmap(3)
		if err == nil && n != 0 {
			return unix.EDOM
		}
		return err
	}},
	{protocol.OpStatx, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error {
		sx, err := c.Statx("/f", unix.AT_STATX_FORCE_SYNC, unix.STATX_BTIME|unix.STATX_SIZE)
		if err == nil && (sx.Mask&unix.STATX_BTIME != 0 || sx.Size != robotSize) {
			return unix.EDOM
		}
		return err
	}},
	{protocol.OpSyncfs, 0, 0, 1, func(c *conntest.Client, _, _ *conntest.File) error { return c.Sync() }},

	// What is asked each time.
	{protocol.OpLookup, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error {
		_, err := c.Lookup("/nothing")
		return err
	}},
	{protocol.OpGetattr, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		_, err := f.Statx(unix.AT_STATX_FORCE_SYNC, unix.STATX_SIZE)
		return err
	}},
	{protocol.OpSetattr, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Chmod("/f", 0o600) }},
	{protocol.OpMknod, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error {
		return c.Mknod("/x", unix.S_IFREG|0o600, 0)
	}},
	{protocol.OpMkdir, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Mkdir("/x", 0o700) }},
	{protocol.OpSymlink, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Symlink("t", "/x") }},
	{protocol.OpUnlink, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Unlink("/g") }},
	{protocol.OpRmdir, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Rmdir("/d") }},
	{protocol.OpRename, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error { return c.Rename("/f", "/x", 0) }},
	{protocol.OpStatfs, unix.ENOSYS, unix.ENOSYS, 2, func(c *conntest.Client, _, _ *conntest.File) error {
		_, err := c.Statfs("/")
		return err
	}},
	{protocol.OpWrite, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		_, err := f.WriteAt([]byte("x"), 0)
		return err
	}},
	{protocol.OpRead, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		_, err := f.ReadAt(make([]byte, 1), 0)
		return err
	}},
	{protocol.OpReaddir, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, _, d *conntest.File) error {
		_, err := d.ReadDir(0)
		return err
	}},
	{protocol.OpSetlk, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		return f.Lock(unix.F_WRLCK, 0, 1, false)
	}},
	{protocol.OpGetlk, unix.ENOSYS, unix.ENOSYS, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		_, err := f.TestLock(unix.F_WRLCK, 0, 1)
		return err
	}},
	{protocol.OpIoctl, unix.ENOTTY, unix.ENOTTY, 2, func(_ *conntest.Client, f, _ *conntest.File) error {
		_, err := f.Ioctl(0x5401, nil)
		return err
	}},
}

func copySome(c *conntest.Client, f, _ *conntest.File) error {
	g, err := c.Open("/g", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	n, err := f.CopyRange(10, g, 500, 1000)
	if err == nil && n != 1000 {
		err = unix.EDOM
	}
	_ = g.Close()
	return err
}

func reopen(c *conntest.Client, path string, flags int) error {
	f, err := c.Open(path, flags, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// TestSwitches says ENOSYS to one opcode at a time.
func TestSwitches(t *testing.T) {
	for _, e := range enosys {
		t.Run(e.op.String(), func(t *testing.T) {
			h := &robot{no: map[protocol.Opcode]bool{}}
			o := conntest.Options{Block: true, Flags: conntest.AllFlags &^ (protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto)}
			k := robotKernel(t, h, o, "")
			c := k.Process(0, 0)
			f, d := open(t, c, "/f", unix.O_RDWR), open(t, c, "/", unix.O_DIRECTORY)
			h.mu.Lock()
			h.no[e.op] = true
			clear(h.count)
			h.mu.Unlock()
			for _, w := range []unix.Errno{e.err, e.again} {
				err := e.do(c, f, d)
				if got, _ := err.(unix.Errno); got != w {
					t.Errorf("%v, want %v", err, w)
				}
			}
			k.Idle()
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.count[e.op] != e.sent {
				t.Errorf("sent %d times, want %d", h.count[e.op], e.sent)
			}
			if e.op == protocol.OpOpen && h.count[protocol.OpRelease] > 0 {
				t.Error("RELEASE of a file that was not opened")
			}
		})
	}
}

// TestSwitchedCopy is copy_file_range(2) without either request: read and write.
func TestSwitchedCopy(t *testing.T) {
	h := &robot{no: map[protocol.Opcode]bool{protocol.OpCopyFileRange64: true, protocol.OpCopyFileRange: true}}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(0, 0)
	f := open(t, c, "/f", unix.O_RDWR)
	for range 2 {
		check(t, copySome(c, f, nil))
	}
	if n, m := k.Count(protocol.OpCopyFileRange64), k.Count(protocol.OpCopyFileRange); n != 1 || m != 1 {
		t.Errorf("%d and %d requests, want one each", n, m)
	}
	if k.Count(protocol.OpWrite) != 2 {
		t.Error("not written instead")
	}
}
