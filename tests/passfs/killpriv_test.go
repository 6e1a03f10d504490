package passfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestKillpriv: who writes, truncates, allocates or gives away takes suid.
func TestKillpriv(t *testing.T) {
	c, id := serveFile(t, "data")
	path := filepath.Join(c.dir, "f")
	fh, other := c.mustOpen(id, unix.O_RDWR), c.mustOpen(id, unix.O_RDWR)
	set := func(valid uint32, as who) {
		if _, e := c.setattr(id, as, protocol.SetattrIn{Valid: valid, Size: 3, Uid: 1000, Gid: 1000}); e != 0 {
			t.Error("setattr:", e)
		}
	}
	write := func(as who, flags uint32) {
		if e := c.write(id, as, protocol.WriteIn{Fh: fh, WriteFlags: flags}, "x"); e != 0 {
			t.Error("write:", e)
		}
	}
	alloc := func(as who) {
		in := protocol.FallocateIn{Fh: fh, Length: 10}
		if _, e := c.call(protocol.OpFallocate, id, as, protocol.BytesOf(&in)); e != 0 {
			t.Error("fallocate:", e)
		}
	}
	copyRange := func(as who) {
		in := protocol.CopyFileRangeIn{FhIn: other, NodeidOut: id, FhOut: fh, OffOut: 100, Len: 2}
		if _, e := c.call(protocol.OpCopyFileRange, id, as, protocol.BytesOf(&in)); e != 0 {
			t.Error("copy:", e)
		}
	}
	open := func(as who, kill uint32) {
		fh, e := c.open(id, as, protocol.OpenIn{Flags: unix.O_RDWR | unix.O_TRUNC, OpenFlags: kill})
		if e != 0 {
			t.Fatal("open:", e)
		}
		c.release(id, fh)
	}
	for name, x := range map[string]struct {
		do   func()
		kept bool
	}{
		"write":          {func() { write(user, protocol.WriteKillSuidgid) }, false},
		"root writes":    {func() { write(who{}, 0) }, true},
		"page":           {func() { write(who{}, protocol.WriteCache) }, true},
		"truncate":       {func() { set(protocol.FattrSize|protocol.FattrKillSuidgid, user) }, false},
		"root truncates": {func() { set(protocol.FattrSize, who{}) }, true},
		"chown":          {func() { set(protocol.FattrUid|protocol.FattrKillSuidgid, who{}) }, false},
		"allocate":       {func() { alloc(user) }, false},
		"root allocates": {func() { alloc(who{}) }, true},
		"copy":           {func() { copyRange(user) }, false},
		"root copies":    {func() { copyRange(who{}) }, true},
		"O_TRUNC":        {func() { open(user, protocol.OpenKillSuidgid) }, false},
		"root's O_TRUNC": {func() { open(who{}, 0) }, true},
	} {
		// More than once, with every thread in every state.
		for range 3 {
			must(t, os.WriteFile(path, []byte("data"), 0))
			must(t, os.Chown(path, 0, 0))
			must(t, unix.Chmod(path, 0o6777))
			x.do()
			st := lstat(t, path)
			if kept := st.Mode&0o6000 == 0o6000; kept != x.kept || !kept && st.Mode&0o6000 != 0 {
				t.Errorf("%s: mode %o", name, st.Mode)
			}
		}
	}
}
