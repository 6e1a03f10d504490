package passfs

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

// TestOwner: what is made is the caller's, with the caller's umask.
func TestOwner(t *testing.T) {
	dir := harness.Disk(t)
	must(t, os.Chmod(dir, 0o777))
	c := serve(t, dir, nil)
	for n, as := range []who{{}, {1000, 1001}, {0, 7}, {12, 0}} {
		name := fmt.Sprint("f", n)
		if _, e := c.create(1, name, as, nil, protocol.CreateIn{Flags: unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, Mode: unix.S_IFREG | 0o666, Umask: 0o027}); e != 0 {
			t.Fatal(e)
		}
		if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid || st.Mode&0o7777 != 0o640 {
			t.Errorf("create by %v: %d:%d %o", as, st.Uid, st.Gid, st.Mode)
		}
		for op, m := range map[protocol.Opcode]struct {
			arg  []byte
			mode uint32
		}{
			protocol.OpMkdir: {protocol.BytesOf(&protocol.MkdirIn{Mode: 0o777, Umask: 0o022}), unix.S_IFDIR | 0o755},
			protocol.OpMknod: {protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFIFO | 0o666, Umask: 0o002}), unix.S_IFIFO | 0o664},
		} {
			name := fmt.Sprint(op, n)
			if _, e := c.call(op, 1, as, m.arg, cname(name)); e != 0 {
				t.Fatal(e)
			}
			if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid || st.Mode != m.mode {
				t.Errorf("%v by %v: %d:%d %o", op, as, st.Uid, st.Gid, st.Mode)
			}
		}
		name = fmt.Sprint("l", n)
		if _, e := c.call(protocol.OpSymlink, 1, as, cname(name), cname("../../target")); e != 0 {
			t.Fatal(e)
		}
		if st := lstat(t, dir, name); st.Uid != as.uid || st.Gid != as.gid {
			t.Errorf("symlink by %v: %d:%d", as, st.Uid, st.Gid)
		}
	}
	in := protocol.MkdirIn{Mode: 0o755}
	if _, e := c.call(protocol.OpMkdir, 1, who{^uint32(0), 0}, protocol.BytesOf(&in), cname("x")); e != unix.EOVERFLOW {
		t.Error("a caller without a number:", e)
	}
}

// TestSetgidDir: the group of a setgid directory stays, with its bit for
// directories, and the group that the kernel names admits to a directory.
func TestSetgidDir(t *testing.T) {
	dir := harness.Disk(t)
	c := serve(t, dir, nil)
	sg := mkdir(t, dir, "sg")
	must(t, os.Chown(sg, 0, 50))
	must(t, os.Chmod(sg, 0o770|os.ModeSetgid))
	id := c.lookup(1, "sg").Nodeid
	ext := protocol.AppendSuppGroup(nil, 50)
	in := protocol.MkdirIn{Mode: 0o755}
	if _, e := c.callExt(protocol.OpMkdir, id, user, ext, protocol.BytesOf(&in), cname("d")); e != 0 {
		t.Error("mkdir with the group:", e)
	} else if st := lstat(t, sg, "d"); st.Uid != user.uid || st.Gid != 50 || st.Mode&0o7777 != 0o2755 {
		t.Errorf("in a setgid directory: %d:%d %o", st.Uid, st.Gid, st.Mode)
	}
	if _, e := c.create(id, "f", user, ext, protocol.CreateIn{Flags: unix.O_WRONLY | unix.O_CREAT, Mode: unix.S_IFREG | 0o2775}); e != 0 {
		t.Fatal(e)
	}
	if st := lstat(t, sg, "f"); st.Gid != 50 || st.Mode&0o7777 != 0o2775 {
		t.Errorf("a setgid file by a member: %d %o", st.Gid, st.Mode)
	}
}

// TestBackToRoot: every thread that was somebody is root again afterwards,
// capabilities included.
func TestBackToRoot(t *testing.T) {
	dir := harness.Disk(t)
	must(t, os.Chmod(dir, 0o777))
	c := serve(t, dir, nil)
	var g sync.WaitGroup
	for n := range 8 {
		g.Go(func() {
			for k := range 20 {
				as, want := who{}, unix.Errno(0)
				if k%2 == 0 {
					as, want = user, unix.EPERM
				}
				in := protocol.MknodIn{Mode: unix.S_IFCHR | 0o600, Rdev: 0x103}
				if _, e := c.call(protocol.OpMknod, 1, as, protocol.BytesOf(&in), cname(fmt.Sprint("c", n, ".", k))); e != want {
					t.Errorf("a device by %v: %v", as, e)
				}
			}
		})
	}
	g.Wait()
}

// TestCreateAllowed: the kernel lets a caller make files in a directory by one
// of its groups, which the request does not name. The source must not have
// another opinion; the file is the caller's all the same.
func TestCreateAllowed(t *testing.T) {
	c := serve(t, harness.Disk(t), nil)
	dir := mkdir(t, c.dir, "d")
	must(t, os.Chmod(dir, 0o700))
	id := c.lookup(1, "d").Nodeid
	mine := func(name string) {
		t.Helper()
		if st := lstat(t, dir, name); st.Uid != user.uid || st.Gid != user.gid {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
	if _, e := c.create(id, "f", user, nil, protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o600}); e != 0 {
		t.Fatal("create:", e)
	}
	mine("f")
	calls := map[string][][]byte{
		"dir":  {protocol.BytesOf(&protocol.MkdirIn{Mode: 0o755}), cname("dir")},
		"fifo": {protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFIFO | 0o600}), cname("fifo")},
		"link": {cname("link"), cname("target")},
	}
	ops := map[string]protocol.Opcode{"dir": protocol.OpMkdir, "fifo": protocol.OpMknod, "link": protocol.OpSymlink}
	for name, parts := range calls {
		if _, e := c.call(ops[name], id, user, parts...); e != 0 {
			t.Errorf("%s: %v", name, e)
		}
		mine(name)
	}
	// Making a device takes more than the directory's permission.
	in := protocol.MknodIn{Mode: unix.S_IFCHR | 0o600, Rdev: 0x103}
	if _, e := c.call(protocol.OpMknod, id, user, protocol.BytesOf(&in), cname("null")); e != unix.EPERM {
		t.Error("device:", e)
	}
	// A file that is there already, unknown to the kernel, has been checked by
	// nobody.
	put(t, "", dir, "secret")
	must(t, os.Chmod(filepath.Join(dir, "secret"), 0o600))
	for range 3 {
		if _, e := c.create(id, "secret", user, nil, protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o600}); e != unix.EACCES {
			t.Error("open of another's file:", e)
		}
	}
}

// TestWhiteout: the device that a rename leaves behind is the caller's.
func TestWhiteout(t *testing.T) {
	dir := harness.Disk(t)
	must(t, os.Chmod(dir, 0o777))
	put(t, "", dir, "a")
	c := serve(t, dir, nil)
	in := protocol.Rename2In{Newdir: 1, Flags: unix.RENAME_WHITEOUT}
	if _, e := c.call(protocol.OpRename2, 1, user, protocol.BytesOf(&in), cname("a"), cname("b")); e != 0 {
		t.Fatal(e)
	}
	if st := lstat(t, dir, "a"); st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 || st.Uid != user.uid || st.Gid != user.gid {
		t.Errorf("%o, device %#x, of %d:%d", st.Mode, st.Rdev, st.Uid, st.Gid)
	}
}
