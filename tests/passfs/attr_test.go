package passfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

func TestSetattrOwner(t *testing.T) {
	for _, byFh := range []bool{false, true} {
		c, id := serveFile(t, "data")
		var fh uint64
		var fhBit uint32
		if byFh {
			fh, fhBit = c.mustOpen(id, unix.O_RDWR), protocol.FattrFh
		}
		set := func(in protocol.SetattrIn) protocol.Attr {
			t.Helper()
			in.Fh = fh
			in.Valid |= fhBit
			a, e := c.setattr(id, who{}, in)
			if e != 0 {
				t.Fatal(e)
			}
			return a
		}
		// Owner and mode in one request: the mode stays.
		a := set(protocol.SetattrIn{Valid: protocol.FattrUid | protocol.FattrGid | protocol.FattrMode | protocol.FattrKillSuidgid, Uid: 5, Gid: 6, Mode: 0o6755})
		if a.Uid != 5 || a.Gid != 6 || a.Mode != unix.S_IFREG|0o6755 {
			t.Errorf("owner and mode: %+v", a)
		}
		if a := set(protocol.SetattrIn{Valid: protocol.FattrGid, Gid: 7, Uid: 9}); a.Uid != 5 || a.Gid != 7 {
			t.Errorf("group: %+v", a)
		}
		if st := lstat(t, c.dir, "f"); st.Uid != 5 || st.Gid != 7 {
			t.Errorf("in the source: %d:%d", st.Uid, st.Gid)
		}
	}
	c, id := serveFile(t, "data")
	must(t, os.Symlink("f", filepath.Join(c.dir, "l")))
	link := c.lookup(1, "l").Nodeid
	a, e := c.setattr(link, who{}, protocol.SetattrIn{Valid: protocol.FattrMtime | protocol.FattrUid, Uid: 3, Mtime: 77})
	if e != 0 || a.Mtime != 77 || a.Uid != 3 || a.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Error("times and owner of a symlink:", a, e)
	}
	if a, _ := c.getattr(id); a.Mtime == 77 || a.Uid == 3 {
		t.Error("its target was changed")
	}
}

func TestAccess(t *testing.T) {
	c, id := serveFile(t, "data")
	must(t, os.Chmod(filepath.Join(c.dir, "f"), 0o640))
	for _, x := range []struct {
		as   who
		mask uint32
		want unix.Errno
	}{
		{who{}, unix.R_OK | unix.W_OK, 0}, {who{}, unix.X_OK, unix.EACCES},
		{who{1000, 1000}, unix.R_OK, unix.EACCES}, {who{1000, 0}, unix.R_OK, 0},
		{who{1000, 0}, unix.W_OK, unix.EACCES}, {who{1000, 1000}, 0, 0},
	} {
		in := protocol.AccessIn{Mask: x.mask}
		if _, e := c.call(protocol.OpAccess, id, x.as, protocol.BytesOf(&in)); e != x.want {
			t.Errorf("%+v mask %d: %v, want %v", x.as, x.mask, e, x.want)
		}
	}
}

// TestACL: an access ACL of a file of another group takes sgid if told to.
func TestACL(t *testing.T) {
	c, id := serveFile(t, "data")
	path := filepath.Join(c.dir, "f")
	// Version 2; user::rwx, group::r-x, mask::r-x, other::---, and user 1000.
	acl := "\x02\x00\x00\x00" +
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" +
		"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x05\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	for ext, want := range map[uint32]uint32{0: 0o2750, protocol.SetxattrACLKillSgid: 0o750} {
		for _, gid := range []int{0, 1000} {
			must(t, os.Chown(path, 0, gid))
			must(t, unix.Chmod(path, 0o2777))
			if e := c.setxattr(id, "system.posix_acl_access", acl, ext); e != 0 {
				t.Fatal(e)
			}
			if st := lstat(t, path); st.Mode&0o7777 != want {
				t.Errorf("flags %d, gid %d: mode %o, want %o", ext, gid, st.Mode&0o7777, want)
			}
		}
	}
}

// TestInodeFlags: the owner may set inode flags, but not all of them.
func TestInodeFlags(t *testing.T) {
	c, id := serveFile(t, "data")
	must(t, os.Chown(filepath.Join(c.dir, "f"), int(user.uid), int(user.gid)))
	flags := func(cmd, v, out uint32, as who) (uint32, unix.Errno) {
		in := protocol.IoctlIn{Cmd: cmd, OutSize: out}
		var data []byte
		if out == 0 {
			data = unsafe.Slice((*byte)(unsafe.Pointer(&v)), 4)
			in.InSize = 4
		}
		b, e := c.call(protocol.OpIoctl, id, as, protocol.BytesOf(&in), data)
		if e == 0 && out != 0 {
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&v)), 4), b[16:])
		}
		return v, e
	}
	const noatime, immutable = 0x80, 0x10 // linux/fs.h: FS_NOATIME_FL, FS_IMMUTABLE_FL
	now, e := flags(unix.FS_IOC_GETFLAGS, 0, 4, who{})
	if e != 0 {
		t.Fatal(e)
	}
	if _, e := flags(unix.FS_IOC_SETFLAGS, now|immutable, 0, user); e != unix.EPERM {
		t.Error("the owner made it immutable:", e)
	}
	if _, e := flags(unix.FS_IOC_SETFLAGS, now|noatime, 0, who{1001, 1001}); e != unix.EPERM {
		t.Error("somebody else's:", e)
	}
	if _, e := flags(unix.FS_IOC_SETFLAGS, now|noatime, 0, user); e != 0 {
		t.Error("the owner's:", e)
	}
	if got, _ := flags(unix.FS_IOC_GETFLAGS, 0, 4, who{}); got != now|noatime {
		t.Errorf("%#x, was %#x", got, now)
	}
}

// TestAppendOnly: a file that may only grow is opened for nothing else.
func TestAppendOnly(t *testing.T) {
	const app = unix.O_WRONLY | unix.O_APPEND
	c, id := serveFile(t, "0123")
	path := filepath.Join(c.dir, "f")
	chattr := func(how string) {
		if out, err := exec.Command("chattr", how, path).CombinedOutput(); err != nil {
			t.Fatalf("chattr %s: %v\n%s", how, err, out)
		}
	}
	chattr("+a")
	t.Cleanup(func() { chattr("-a") })
	if _, e := c.open(id, who{}, protocol.OpenIn{Flags: unix.O_WRONLY}); e != unix.EPERM {
		t.Error("opened for more than appending:", e)
	}
	fh := c.mustOpen(id, app)
	if e := c.write(id, who{}, protocol.WriteIn{Fh: fh, Offset: 4, Flags: app}, "abc"); e != 0 {
		t.Error(e)
	}
	if s := content(t, path); s != "0123abc" {
		t.Errorf("%q", s)
	}
	if _, e := c.setattr(id, who{}, protocol.SetattrIn{Valid: protocol.FattrSize | protocol.FattrFh, Fh: fh}); e != unix.EPERM {
		t.Error("truncated:", e)
	}
}
