package passfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

func lstat(t testing.TB, path ...string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(path...), &st); err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return st
}

// TestOwner: what is made is the caller's, with the caller's umask.
func TestOwner(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, dir, nil, nil)
	me := who{uint32(os.Geteuid()), uint32(os.Getegid())}
	for n, as := range []who{me, me} { // as others: tests/passfs
		name := fmt.Sprint("f", n)
		e, o, err := w.create(1, name, as, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, Mode: unix.S_IFREG | 0o666, Umask: 0o027})
		if err != 0 {
			t.Fatal(err)
		}
		w.release(e.Nodeid, o.Fh, false)
		if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid || st.Mode&0o7777 != 0o640 {
			t.Errorf("create by %v: %d:%d %o", as, st.Uid, st.Gid, st.Mode)
		}
		for op, c := range map[protocol.Opcode]struct {
			arg  []byte
			mode uint32
		}{
			protocol.OpMkdir: {protocol.BytesOf(&protocol.MkdirIn{Mode: 0o777, Umask: 0o022}), unix.S_IFDIR | 0o755},
			protocol.OpMknod: {protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFIFO | 0o666, Umask: 0o002}), unix.S_IFIFO | 0o664},
		} {
			name := fmt.Sprint(op, n)
			if _, err := w.call(op, 1, as, c.arg, cname(name)); err != 0 {
				t.Fatal(err)
			}
			if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid || st.Mode != c.mode {
				t.Errorf("%v by %v: %d:%d %o", op, as, st.Uid, st.Gid, st.Mode)
			}
		}
		name = fmt.Sprint("l", n)
		if _, err := w.call(protocol.OpSymlink, 1, as, cname(name), cname("../../target")); err != 0 {
			t.Fatal(err)
		}
		if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid {
			t.Errorf("symlink by %v: %d:%d", as, st.Uid, st.Gid)
		}
		l := w.mustLookup(1, name)
		if b, err := w.call(protocol.OpReadlink, l.Nodeid, as); err != 0 || string(b) != "../../target" {
			t.Errorf("readlink: %q, %v", b, err)
		}
	}
}

// TestDefaultACL: a default ACL takes the umask's place, as on the source.
func TestDefaultACL(t *testing.T) {
	dir := t.TempDir()
	// user::rwx group::rwx other::rwx, struct posix_acl_xattr_entry.
	acl := []byte{2, 0, 0, 0}
	for _, tag := range []uint16{1, 4, 32} {
		acl = binary.LittleEndian.AppendUint16(acl, tag)
		acl = binary.LittleEndian.AppendUint16(acl, 7)
		acl = binary.LittleEndian.AppendUint32(acl, ^uint32(0))
	}
	if err := unix.Setxattr(dir, "system.posix_acl_default", acl, 0); err != nil {
		t.Fatal("the file system of the temporary directory has no ACLs:", err)
	}
	w := newWire(t, dir, nil, nil)
	e, o, err := w.create(1, "f", who{uint32(os.Geteuid()), uint32(os.Getegid())}, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT, Mode: unix.S_IFREG | 0o666, Umask: 0o077})
	if err != 0 {
		t.Fatal(err)
	}
	w.release(e.Nodeid, o.Fh, false)
	if st := lstat(t, dir, "f"); st.Mode&0o777 != 0o666 {
		t.Errorf("mode %o", st.Mode&0o777)
	}
}

// TestCreateExisting: CREATE of what is there already, which the kernel sends
// when it did not know.
func TestCreateExisting(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	mkdir(t, dir, "d")
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	w := newWire(t, dir, nil, nil)
	f := w.mustLookup(1, "f")
	me := who{uint32(os.Geteuid()), uint32(os.Getegid())}
	for _, c := range []struct {
		name  string
		flags uint32
		want  unix.Errno
		size  int64
	}{
		{"f", unix.O_EXCL, unix.EEXIST, 4},
		{"f", 0, 0, 4},
		{"f", unix.O_TRUNC, 0, 0},
		{"d", 0, unix.EISDIR, 0},
		{"fifo", 0, unix.ESTALE, 0},
		{"l", 0, unix.ESTALE, 0},
		{"dangling", 0, unix.ESTALE, 0},
		{"l", unix.O_EXCL, unix.EEXIST, 0},
	} {
		e, o, err := w.create(1, c.name, me, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT | c.flags, Mode: unix.S_IFREG | 0o600})
		if err != c.want {
			t.Errorf("create %q %#x: %v, want %v", c.name, c.flags, err, c.want)
		}
		if err != 0 {
			continue
		}
		if e.Nodeid != f.Nodeid || e.Attr.Size != uint64(c.size) {
			t.Errorf("create %q %#x: %+v", c.name, c.flags, e)
		}
		w.release(e.Nodeid, o.Fh, false)
	}
	if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a dangling link was followed")
	}
}

// TestLinks: hard links, of files without a name too.
func TestLinks(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		w := newWire(t, dir, nil, before)
		me := who{uint32(os.Geteuid()), uint32(os.Getegid())}
		in := protocol.CreateIn{Flags: unix.O_RDWR, Mode: unix.S_IFREG | 0o640}
		b, err := w.call(protocol.OpTmpfile, 1, me, protocol.BytesOf(&in), cname("/"))
		if err != 0 {
			t.Fatal("tmpfile:", err)
		}
		e, o := viewOf[protocol.EntryOut](t, b), viewOf[protocol.OpenOut](t, b[128:])
		if e.Attr.Nlink != 0 || e.Attr.Mode != unix.S_IFREG|0o640 {
			t.Errorf("tmpfile: %+v", e.Attr)
		}
		w.fs.evict(100)
		w.fs.evict(100)
		link := func(id uint64, name string) (*protocol.EntryOut, unix.Errno) {
			in := protocol.LinkIn{Oldnodeid: id}
			b, err := w.call(protocol.OpLink, 1, me, protocol.BytesOf(&in), cname(name))
			if err != 0 {
				return nil, err
			}
			return viewOf[protocol.EntryOut](t, b), 0
		}
		l, err := link(e.Nodeid, "a")
		if err != 0 || l.Nodeid != e.Nodeid || l.Attr.Nlink != 1 {
			t.Fatalf("link of a tmpfile: %+v %v", l, err)
		}
		w.release(e.Nodeid, o.Fh, false)
		if _, err := link(e.Nodeid, "a"); err != unix.EEXIST {
			t.Error("link over a name:", err)
		}
		if l, err := link(e.Nodeid, "b"); err != 0 || l.Attr.Nlink != 2 {
			t.Errorf("second link: %+v %v", l, err)
		}
		if err := os.Symlink("a", filepath.Join(dir, "s")); err != nil {
			t.Fatal(err)
		}
		s := w.mustLookup(1, "s")
		if _, err := link(s.Nodeid, "s2"); err != 0 {
			t.Error("link of a symlink:", err)
		} else if st := lstat(t, dir, "s2"); st.Ino != s.Attr.Ino {
			t.Error("link of a symlink is of what it points to")
		}
		w.forget(e.Nodeid, 3)
		w.settle(1)
		// A tmpfile forgotten while it is open.
		in.Flags |= unix.O_EXCL
		b, err = w.call(protocol.OpTmpfile, 1, me, protocol.BytesOf(&in), cname("/"))
		if err != 0 {
			t.Fatal(err)
		}
		e, o = viewOf[protocol.EntryOut](t, b), viewOf[protocol.OpenOut](t, b[128:])
		if _, err := link(e.Nodeid, "never"); err != unix.ENOENT {
			t.Error("link of an O_EXCL tmpfile:", err)
		}
		w.release(e.Nodeid, o.Fh, false)
		if a, err := w.getattr(e.Nodeid); err != 0 || a.Attr.Nlink != 0 {
			t.Error("tmpfile after its close:", err)
		}
	})
}

// TestRename2: the flags of renameat2.
func TestRename2(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		dir := t.TempDir()
		mkdir(t, dir, "d")
		touch(t, dir, "a")
		touch(t, dir, "d/b")
		w := newWire(t, dir, nil, before)
		d, a := w.mustLookup(1, "d"), w.mustLookup(1, "a")
		b := w.mustLookup(d.Nodeid, "b")
		as := who{uint32(os.Geteuid()), uint32(os.Getegid())}
		rename := func(from uint64, old string, to uint64, name string, flags uint32) unix.Errno {
			in := protocol.Rename2In{Newdir: to, Flags: flags}
			_, err := w.call(protocol.OpRename2, from, as, protocol.BytesOf(&in), cname(old), cname(name))
			return err
		}
		evictAll := func() {
			w.fs.evict(100)
			w.fs.evict(100)
		}
		if err := rename(1, "a", d.Nodeid, "b", unix.RENAME_NOREPLACE); err != unix.EEXIST {
			t.Error("noreplace:", err)
		}
		if err := rename(1, "a", d.Nodeid, "b", unix.RENAME_EXCHANGE); err != 0 {
			t.Error("exchange:", err)
		}
		evictAll()
		if x := w.mustLookup(1, "a"); x.Nodeid != b.Nodeid {
			t.Error("exchanged: a is not b")
		}
		evictAll()
		for _, id := range []uint64{a.Nodeid, b.Nodeid} {
			if _, err := w.getattr(id); err != 0 {
				t.Error("exchanged and evicted:", err)
			}
		}
		if err := rename(d.Nodeid, "b", 1, "c", 1<<31); err != unix.EINVAL {
			t.Error("unknown flag:", err)
		}
		if err := rename(d.Nodeid, "b", 1, "c", unix.RENAME_WHITEOUT); err != 0 {
			t.Fatal("whiteout:", err)
		}
		if st := lstat(t, dir, "d/b"); st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 || st.Uid != as.uid {
			t.Errorf("whiteout: %o, device %#x, of %d", st.Mode, st.Rdev, st.Uid)
		}
		evictAll()
		if x := w.mustLookup(1, "c"); x.Nodeid != a.Nodeid {
			t.Error("c is not what a was")
		}
	})
}

// TestReadOnly: nothing that changes names gets through.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "a")
	o := DefaultOptions()
	o.ReadOnly = true
	w := newWire(t, dir, &o, nil)
	a := w.mustLookup(1, "a")
	for op, parts := range map[protocol.Opcode][][]byte{
		protocol.OpMkdir:   {protocol.BytesOf(&protocol.MkdirIn{Mode: 0o755}), cname("x")},
		protocol.OpMknod:   {protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFREG | 0o644}), cname("x")},
		protocol.OpSymlink: {cname("x"), cname("y")},
		protocol.OpUnlink:  {cname("a")},
		protocol.OpRmdir:   {cname("a")},
		protocol.OpRename:  {protocol.BytesOf(&protocol.RenameIn{Newdir: 1}), cname("a"), cname("x")},
		protocol.OpRename2: {protocol.BytesOf(&protocol.Rename2In{Newdir: 1, Flags: 1}), cname("a"), cname("x")},
		protocol.OpLink:    {protocol.BytesOf(&protocol.LinkIn{Oldnodeid: a.Nodeid}), cname("x")},
		protocol.OpCreate:  {protocol.BytesOf(&protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT, Mode: 0o644}), cname("x")},
		protocol.OpTmpfile: {protocol.BytesOf(&protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o644}), cname("/")},
	} {
		if _, err := w.call(op, 1, who{}, parts...); err != unix.EROFS {
			t.Errorf("%v: %v", op, err)
		}
	}
	if l, err := os.ReadDir(dir); err != nil || len(l) != 1 {
		t.Errorf("%v %v", l, err)
	}
}
