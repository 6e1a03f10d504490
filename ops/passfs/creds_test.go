package passfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestCreateAllowed: the kernel lets a caller make files in a directory by one
// of its groups, which the request does not name. The source must not have
// another opinion; the file is the caller's all the same.
func TestCreateAllowed(t *testing.T) {
	if !isRoot() {
		t.Fatal("needs root: bash .ci/test runs all tests as root")
	}
	w := newWire(t, t.TempDir(), nil, nil)
	dir := mkdir(t, w.dir, "d")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	id := w.mustLookup(1, "d").Nodeid
	caller := who{1000, 1001}
	mine := func(name string) {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Error(err)
		} else if st.Uid != 1000 || st.Gid != 1001 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
	_, o, e := w.create(id, "f", caller, protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o600})
	if e != 0 {
		t.Fatal("create:", e)
	}
	mine("f")
	w.release(id, o.Fh, false)
	calls := map[string][][]byte{
		"dir":  {protocol.BytesOf(&protocol.MkdirIn{Mode: 0o755}), cname("dir")},
		"fifo": {protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFIFO | 0o600}), cname("fifo")},
		"link": {cname("link"), cname("target")},
	}
	ops := map[string]protocol.Opcode{"dir": protocol.OpMkdir, "fifo": protocol.OpMknod, "link": protocol.OpSymlink}
	for name, parts := range calls {
		if _, e := w.call(ops[name], id, caller, parts...); e != 0 {
			t.Errorf("%s: %v", name, e)
		}
		mine(name)
	}
	// Making a device takes more than the directory's permission.
	in := protocol.MknodIn{Mode: unix.S_IFCHR | 0o600, Rdev: 0x103}
	if _, e := w.call(protocol.OpMknod, id, caller, protocol.BytesOf(&in), cname("null")); e != unix.EPERM {
		t.Error("device:", e)
	}
	// A file that is there already, unknown to the kernel, has been checked by
	// nobody.
	touch(t, dir, "secret")
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, _, e := w.create(id, "secret", caller, protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o600}); e != unix.EACCES {
			t.Error("open of another's file:", e)
		}
	}
}
