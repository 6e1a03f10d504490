package passfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

func TestEncodeDev(t *testing.T) {
	// new_encode_dev(MKDEV(major, minor)), include/linux/kdev_t.h.
	for _, c := range [][3]uint32{{8, 1, 0x801}, {259, 0x12345, 0x12310345}, {0xfff, 0xfffff, 0xffffffff}, {0, 0, 0}} {
		if got := encodeDev(c[0], c[1]); got != c[2] {
			t.Errorf("%d:%d is %#x, want %#x", c[0], c[1], got, c[2])
		}
	}
}

func TestGetattr(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	path := filepath.Join(w.dir, "f")
	if err := os.Symlink("nowhere", filepath.Join(w.dir, "l")); err != nil {
		t.Fatal(err)
	}
	served := w
	for name, rdev := range map[string]uint32{".": 0, "f": 0, "l": 0, "null": 0x103, "random": 0x108} {
		w := served
		if rdev != 0 { // devices that are there anyway: making one takes root
			w = newWire(t, "/dev", nil, nil)
		}
		n := uint64(1)
		if name != "." {
			n = w.mustLookup(1, name).Nodeid
		}
		out, e := w.getattr(n)
		if e != 0 {
			t.Fatal(e)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(w.dir, name), &st); err != nil {
			t.Fatal(err)
		}
		var x unix.Statx_t // for the nanoseconds, which qemu for s390x does not have in stat(2)
		if err := unix.Statx(unix.AT_FDCWD, filepath.Join(w.dir, name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &x); err != nil {
			t.Fatal(err)
		}
		a := &out.Attr
		if a.Ino != st.Ino || a.Size != uint64(st.Size) || a.Mode != st.Mode || uint64(a.Nlink) != uint64(st.Nlink) ||
			a.Uid != st.Uid || a.Gid != st.Gid || a.Blocks != uint64(st.Blocks) || int64(a.Blksize) != int64(st.Blksize) ||
			a.Mtime != uint64(st.Mtim.Sec) || a.Mtimensec != x.Mtime.Nsec || a.Ctimensec != x.Ctime.Nsec {
			t.Errorf("%s: %+v, want %+v, times %+v, %+v", name, a, st, x.Mtime, x.Ctime)
		}
		if a.Rdev != rdev {
			t.Errorf("%s: rdev %#x, want %#x", name, a.Rdev, rdev)
		}
	}
	// Through a handle, when there is no name any more.
	fh := w.mustOpen(id, unix.O_RDONLY)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	in := protocol.GetattrIn{GetattrFlags: protocol.GetattrFh, Fh: fh}
	b, e := w.call(protocol.OpGetattr, id, who{}, protocol.BytesOf(&in))
	if e != 0 {
		t.Fatal(e)
	}
	if a := viewOf[protocol.AttrOut](t, b).Attr; a.Nlink != 0 || a.Size != 4 {
		t.Errorf("unlinked: %+v", a)
	}
	// A handle of another file is not believed.
	if a := mustStatFh(t, w, 1, fh); a.Mode&unix.S_IFMT != unix.S_IFDIR {
		t.Errorf("somebody else's handle: %+v", a)
	}
}

func mustStatFh(t *testing.T, w *wire, id, fh uint64) protocol.Attr {
	t.Helper()
	in := protocol.GetattrIn{GetattrFlags: protocol.GetattrFh, Fh: fh}
	b, e := w.call(protocol.OpGetattr, id, who{}, protocol.BytesOf(&in))
	if e != 0 {
		t.Fatal(e)
	}
	return viewOf[protocol.AttrOut](t, b).Attr
}

func TestStatx(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, filepath.Join(w.dir, "f"), 0, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		t.Fatal(err)
	}
	for _, sync := range []uint32{0, unix.AT_STATX_FORCE_SYNC, unix.AT_STATX_DONT_SYNC} {
		in := protocol.StatxIn{SxFlags: sync, SxMask: unix.STATX_BTIME}
		b, e := w.call(protocol.OpStatx, id, who{}, protocol.BytesOf(&in))
		if e != 0 {
			t.Fatal(e)
		}
		s := viewOf[protocol.StatxOut](t, b).Stat
		if s.Mask != st.Mask&(unix.STATX_BASIC_STATS|unix.STATX_BTIME) || s.Btime.TvSec != st.Btime.Sec || s.Btime.TvNsec != st.Btime.Nsec ||
			s.Ino != st.Ino || s.Size != 4 || s.Mode != st.Mode || s.Mtime.TvNsec != st.Mtime.Nsec {
			t.Errorf("%+v, want %+v", s, st)
		}
	}
}

func TestSetattr(t *testing.T) {
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid()) // other owners: tests/passfs
	for _, byFh := range []bool{false, true} {
		w, id := fileWire(t, nil, "0123456789")
		path := filepath.Join(w.dir, "f")
		var fhBit uint32
		var fh uint64
		if byFh {
			fh, fhBit = w.mustOpen(id, unix.O_RDWR), protocol.FattrFh
			// What the descriptor may do does not depend on the mode now.
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
		}
		set := func(in protocol.SetattrIn) protocol.Attr {
			t.Helper()
			in.Fh = fh
			in.Valid |= fhBit
			out, e := w.setattr(id, in)
			if e != 0 {
				t.Fatal(e)
			}
			return out.Attr
		}
		if a := set(protocol.SetattrIn{Valid: protocol.FattrSize | protocol.FattrLockowner, Size: 4}); a.Size != 4 {
			t.Errorf("size: %+v", a)
		}
		if a := set(protocol.SetattrIn{Valid: protocol.FattrSize, Size: 5 << 30}); a.Size != 5<<30 {
			t.Errorf("size: %+v", a)
		}
		if a := set(protocol.SetattrIn{Valid: protocol.FattrMode, Mode: unix.S_IFREG | 0o6711}); a.Mode != unix.S_IFREG|0o6711 {
			t.Errorf("mode: %+v", a)
		}
		// Owner and mode in one request: the mode stays.
		a := set(protocol.SetattrIn{Valid: protocol.FattrUid | protocol.FattrGid | protocol.FattrMode | protocol.FattrKillSuidgid, Uid: uid, Gid: gid, Mode: 0o6755})
		if a.Uid != uid || a.Gid != gid || a.Mode != unix.S_IFREG|0o6755 {
			t.Errorf("owner and mode: %+v", a)
		}
		if a := set(protocol.SetattrIn{Valid: protocol.FattrGid, Gid: gid, Uid: uid + 9}); a.Uid != uid || a.Gid != gid {
			t.Errorf("group: %+v", a)
		}
		// Beyond 2038, and before 1970.
		const late, early = 1 << 33, -1000
		a = set(protocol.SetattrIn{Valid: protocol.FattrAtime | protocol.FattrMtime, Atime: late, Atimensec: 5, Mtime: ^uint64(0) - 999, Mtimensec: 6})
		if a.Atime != late || a.Atimensec != 5 || int64(a.Mtime) != early || a.Mtimensec != 6 {
			t.Errorf("times: %+v", a)
		}
		b := set(protocol.SetattrIn{Valid: protocol.FattrMtime | protocol.FattrMtimeNow})
		if b.Atime != a.Atime || b.Mtime < 1<<30 {
			t.Errorf("mtime now: %+v", b)
		}
		if c := set(protocol.SetattrIn{Valid: protocol.FattrCtime, Ctime: 1}); c.Ctime == 1 || c.Mtime != b.Mtime {
			t.Errorf("ctime: %+v", c)
		}
		if c := set(protocol.SetattrIn{}); c.Ctime != b.Ctime {
			t.Errorf("nothing: %+v", c)
		}
	}
}

func TestSetattrOthers(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	if err := os.Symlink("f", filepath.Join(w.dir, "l")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(w.dir, "p"), 0o600); err != nil {
		t.Fatal(err)
	}
	mkdir(t, w.dir, "d")
	link, fifo, dir := w.mustLookup(1, "l").Nodeid, w.mustLookup(1, "p").Nodeid, w.mustLookup(1, "d").Nodeid
	if _, e := w.setattr(link, protocol.SetattrIn{Valid: protocol.FattrMode, Mode: 0o600}); e != unix.EOPNOTSUPP {
		t.Error("mode of a symlink:", e)
	}
	out, e := w.setattr(link, protocol.SetattrIn{Valid: protocol.FattrMtime | protocol.FattrUid, Uid: uint32(os.Geteuid()), Mtime: 77})
	if e != 0 || out.Attr.Mtime != 77 || out.Attr.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Error("times and owner of a symlink:", out, e)
	}
	if a, _ := w.getattr(id); a.Attr.Mtime == 77 {
		t.Error("its target was changed")
	}
	if out, e := w.setattr(fifo, protocol.SetattrIn{Valid: protocol.FattrMode | protocol.FattrAtime, Mode: 0o622, Atime: 9}); e != 0 ||
		out.Attr.Mode != unix.S_IFIFO|0o622 || out.Attr.Atime != 9 {
		t.Error("FIFO:", out, e)
	}
	for n, want := range map[uint64]unix.Errno{link: unix.EINVAL, fifo: unix.EINVAL, dir: unix.EISDIR} {
		if _, e := w.setattr(n, protocol.SetattrIn{Valid: protocol.FattrSize}); e != want {
			t.Errorf("size of %d: %v, want %v", n, e, want)
		}
	}
	if _, e := w.setattr(id, protocol.SetattrIn{Valid: protocol.FattrSize, Size: 1 << 63}); e != unix.EFBIG {
		t.Error("2^63:", e)
	}
	// The first part fails, the second is not done.
	if _, e := w.setattr(dir, protocol.SetattrIn{Valid: protocol.FattrSize | protocol.FattrMode, Mode: 0o700}); e != unix.EISDIR {
		t.Error(e)
	}
	if a, _ := w.getattr(dir); a.Attr.Mode&0o777 == 0o700 {
		t.Error("mode changed after an error")
	}
}

func (w *wire) getxattr(id uint64, name string, size uint32, as who) ([]byte, unix.Errno) {
	in := protocol.GetxattrIn{Size: size}
	return w.call(protocol.OpGetxattr, id, as, protocol.BytesOf(&in), cname(name))
}

func (w *wire) setxattr(id uint64, name, value string, flags, ext uint32) unix.Errno {
	in := protocol.SetxattrIn{Size: uint32(len(value)), Flags: flags, SetxattrFlags: ext}
	b := protocol.BytesOf(&in)
	if w.flags&protocol.InitSetxattrExt == 0 {
		b = b[:8]
	}
	_, e := w.call(protocol.OpSetxattr, id, who{}, b, cname(name), []byte(value))
	return e
}

// TestXattr has the attributes that anybody may set; trusted.*: tests/passfs.
func TestXattr(t *testing.T) {
	for _, old := range []bool{false, true} {
		noXattrat.Store(old)
		w, id := fileWire(t, nil, "data")
		if err := os.Symlink("f", filepath.Join(w.dir, "l")); err != nil {
			t.Fatal(err)
		}
		link := w.mustLookup(1, "l").Nodeid
		for name, value := range map[string]string{"user.a": "value", "user.empty": ""} {
			if e := w.setxattr(id, name, value, 0, 0); e != 0 {
				t.Fatalf("%s: %v", name, e)
			}
			if b, e := w.getxattr(id, name, 100, who{}); e != 0 || string(b) != value {
				t.Errorf("%s: %q, %v", name, b, e)
			}
			b, e := w.getxattr(id, name, 0, who{})
			if e != 0 || viewOf[protocol.GetxattrOut](t, b).Size != uint32(len(value)) {
				t.Errorf("size of %s: %v, %v", name, b, e)
			}
		}
		if _, e := w.getxattr(id, "user.a", 3, who{}); e != unix.ERANGE {
			t.Error("small buffer:", e)
		}
		if _, e := w.getxattr(id, "user.none", 100, who{}); e != unix.ENODATA {
			t.Error("absent:", e)
		}
		if _, e := w.getxattr(id, "user."+strings.Repeat("n", 251), 100, who{}); e != unix.ERANGE {
			t.Error("long name:", e)
		}
		if e := w.setxattr(id, "user.a", "x", unix.XATTR_CREATE, 0); e != unix.EEXIST {
			t.Error("XATTR_CREATE:", e)
		}
		if e := w.setxattr(id, "user.b", "x", unix.XATTR_REPLACE, 0); e != unix.ENODATA {
			t.Error("XATTR_REPLACE:", e)
		}
		if e := w.setxattr(link, "user.a", "x", 0, 0); e != unix.EPERM {
			t.Error("user.* of a symlink:", e)
		}
		if b, e := w.getxattr(link, "user.a", 10, who{}); e != unix.ENODATA {
			t.Errorf("went through the symlink: %q, %v", b, e)
		}
		list := func(size uint32, as who) ([]byte, unix.Errno) {
			in := protocol.GetxattrIn{Size: size}
			return w.call(protocol.OpListxattr, id, as, protocol.BytesOf(&in))
		}
		for _, as := range []who{{}, {5, 5}} {
			b, e := list(4096, as)
			names := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
			slices.Sort(names)
			if e != 0 || !slices.Equal(names, []string{"user.a", "user.empty"}) {
				t.Errorf("list as %d: %q, %v", as.uid, names, e)
			}
			n := len(b)
			if b, e = list(0, as); e != 0 || viewOf[protocol.GetxattrOut](t, b).Size != uint32(n) {
				t.Errorf("size of the list: %v, %v", b, e)
			}
		}
		if _, e := list(3, who{}); e != unix.ERANGE {
			t.Error("list, small buffer:", e)
		}
		if _, e := w.call(protocol.OpRemovexattr, id, who{}, cname("user.a")); e != 0 {
			t.Error("remove:", e)
		}
		if _, e := w.call(protocol.OpRemovexattr, id, who{}, cname("user.a")); e != unix.ENODATA {
			t.Error("removed again:", e)
		}
	}
	noXattrat.Store(false)
}

func TestXattrModes(t *testing.T) {
	for mode, want := range map[XattrMode]unix.Errno{XattrNoAttr: unix.EOPNOTSUPP, XattrNoSys: unix.ENOSYS} {
		o := DefaultOptions()
		o.Xattr = mode
		w, id := fileWire(t, &o, "data")
		if _, e := w.getxattr(id, "user.a", 10, who{}); e != want {
			t.Error("get:", e)
		}
		if e := w.setxattr(id, "user.a", "v", 0, 0); e != want {
			t.Error("set:", e)
		}
		in := protocol.GetxattrIn{Size: 10}
		if _, e := w.call(protocol.OpListxattr, id, who{}, protocol.BytesOf(&in)); e != want {
			t.Error("list:", e)
		}
		if _, e := w.call(protocol.OpRemovexattr, id, who{}, cname("user.a")); e != want {
			t.Error("remove:", e)
		}
	}
}

// TestACL sets an access ACL: the mode follows, and sgid goes if told.
func TestACL(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	path := filepath.Join(w.dir, "f")
	// Version 2; user::rwx, group::r-x, mask::r-x, other::---, and user 1000.
	acl := "\x02\x00\x00\x00" +
		"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" +
		"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x05\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	for ext, want := range map[uint32]uint32{0: 0o2750, protocol.SetxattrACLKillSgid: 0o750} {
		if err := unix.Chmod(path, 0o2777); err != nil {
			t.Fatal(err)
		}
		if e := w.setxattr(id, "system.posix_acl_access", acl, 0, ext); e != 0 {
			t.Fatal(e)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if st.Mode&0o7777 != want {
			t.Errorf("flags %d: mode %o, want %o", ext, st.Mode&0o7777, want)
		}
	}
}

func TestIoctl(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	mkdir(t, w.dir, "d")
	dir := w.mustLookup(1, "d").Nodeid
	io := func(id uint64, cmd uint32, data []byte, out uint32, as who) ([]byte, unix.Errno) {
		in := protocol.IoctlIn{Cmd: cmd, InSize: uint32(len(data)), OutSize: out, Flags: protocol.IoctlDir}
		b, e := w.call(protocol.OpIoctl, id, as, protocol.BytesOf(&in), data)
		if e != 0 {
			return nil, e
		}
		if o := viewOf[protocol.IoctlOut](t, b); o.Result != 0 {
			t.Errorf("result %+v", o)
		}
		return b[16:], 0
	}
	word := func(v uint32) []byte {
		var b ioctlBuf
		b[0] = v
		return b.bytes()[:4]
	}
	const noatime = 0x80
	for _, id := range []uint64{id, dir} {
		for _, cmds := range [][2]uint32{{getFlags, setFlags}, {getFlag32, setFlag32}} {
			for _, size := range []uint32{4, 8} {
				b, e := io(id, cmds[0], nil, size, who{})
				if e != 0 || len(b) != int(size) {
					t.Fatalf("GETFLAGS: %d bytes, %v", len(b), e)
				}
				var now ioctlBuf
				copy(now.bytes(), b)
				if _, e := io(id, cmds[1], word(now[0]^noatime), 0, who{}); e != 0 {
					t.Error("SETFLAGS:", e)
				}
				b, _ = io(id, cmds[0], nil, size, who{})
				var then ioctlBuf
				copy(then.bytes(), b)
				if then[0] != now[0]^noatime {
					t.Errorf("flags %#x, want %#x", then[0], now[0]^noatime)
				}
			}
		}
		t.Run("fsxattr", func(t *testing.T) {
			src, err := unix.Open(w.dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(src)
			needFsxattr(t, src)
			b, e := io(id, getFsx, nil, fsxSize, who{})
			if e != 0 || len(b) != fsxSize {
				t.Fatal("FSGETXATTR:", e)
			}
			if _, e := io(id, setFsx, b, 0, who{}); e != 0 {
				t.Error("FSSETXATTR:", e)
			}
		})
	}
	if _, e := io(id, setFlags, word(noatime), 0, who{uint32(os.Geteuid()) + 1, 1000}); e != unix.EPERM {
		t.Error("SETFLAGS by somebody else:", e)
	}
	for _, cmd := range []uint32{0x5401, unix.FICLONE, unix.FS_IOC_SETFLAGS + 1, 0} {
		if _, e := io(id, cmd, word(0), 4, who{}); e != unix.ENOTTY {
			t.Errorf("ioctl %#x: %v", cmd, e)
		}
	}
	if _, e := io(id, setFlags, nil, 0, who{}); e != unix.EINVAL {
		t.Error("no argument:", e)
	}
	if _, e := io(id, getFlags, nil, 0, who{}); e != unix.EINVAL {
		t.Error("no room:", e)
	}
}
