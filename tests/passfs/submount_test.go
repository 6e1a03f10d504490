package passfs

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

// crowd makes enough files for crowdOut.
func crowd(t *testing.T, dir string) {
	t.Helper()
	mkdir(t, dir, "crowd")
	for i := range 100 {
		put(t, "", dir, "crowd", fmt.Sprint(i))
	}
}

// few is a server that has few descriptors.
func few() *passfs.Options {
	o := passfs.DefaultOptions()
	o.MaxFDs = 16
	return &o
}

// crowdOut looks at so many other files that the server keeps no descriptor of
// anything at or below these places.
func (c *client) crowdOut(places ...string) {
	c.t.Helper()
	dir := c.lookup(1, "crowd").Nodeid
	for round := 0; ; round++ {
		var ids []uint64
		for i := range 100 {
			ids = append(ids, c.lookup(dir, fmt.Sprint(i)).Nodeid)
		}
		for _, id := range ids {
			c.forget(id)
		}
		left := 0
		for _, p := range places {
			left += len(held(c.t, p))
		}
		if left == 0 {
			break
		}
		if round == 20 {
			c.t.Fatalf("%d of %q are still open", left, places)
		}
	}
	c.forget(dir)
}

// TestSubmount serves mounts inside the source, and lets go of them.
func TestSubmount(t *testing.T) {
	dir := harness.Disk(t)
	sub, inner := mkdir(t, dir, "sub"), mkdir(t, dir, "bind")
	file, onfile := filepath.Join(dir, "file"), filepath.Join(dir, "onfile")
	put(t, "", file)
	put(t, "", onfile)
	crowd(t, dir)
	mount := func(what, at, fstype string, flags uintptr, data string) {
		t.Helper()
		must(t, unix.Mount(what, at, fstype, flags, data))
		t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) }) // EINVAL: the test has done it
	}
	mount("t", sub, "tmpfs", 0, "size=1m")
	mount(sub, inner, "", unix.MS_BIND, "")
	mount(file, onfile, "", unix.MS_BIND, "")
	put(t, "inside", sub, "x")
	c := serve(t, dir, few())
	s, b := c.lookup(1, "sub"), c.lookup(1, "bind")
	x, y := c.lookup(s.Nodeid, "x"), c.lookup(b.Nodeid, "x")
	f, o := c.lookup(1, "file"), c.lookup(1, "onfile")
	if x.Nodeid == y.Nodeid || f.Nodeid == o.Nodeid {
		t.Error("one inode on two mounts")
	}
	if x.Attr.Size != 6 {
		t.Errorf("%+v", x.Attr)
	}
	all := []*protocol.EntryOut{s, b, x, y, f, o}
	// Of onfile, the mount keeps one: its root is that file.
	c.crowdOut(filepath.Join(sub, "x"), filepath.Join(inner, "x"), file)
	for n, e := range all {
		if a, err := c.getattr(e.Nodeid); err != 0 || a.Ino != e.Attr.Ino {
			t.Errorf("%d, after eviction: %v", n, err)
		}
	}
	in := protocol.LinkIn{Oldnodeid: x.Nodeid}
	if _, e := c.call(protocol.OpLink, b.Nodeid, who{}, protocol.BytesOf(&in), cname("y")); e != unix.EXDEV {
		t.Error("link between mounts:", e)
	}
	st, e := c.call(protocol.OpStatfs, s.Nodeid, who{})
	if e != 0 {
		t.Fatal(e)
	}
	if k := view[protocol.StatfsOut](t, st).St; k.Blocks*uint64(k.Bsize) != 1<<20 {
		t.Errorf("statfs of a submount: %+v", k)
	}
	if _, e := c.call(protocol.OpSyncfs, s.Nodeid, who{}, protocol.BytesOf(&protocol.SyncfsIn{})); e != 0 {
		t.Error("syncfs:", e)
	}
	for _, e := range all {
		c.forget(e.Nodeid)
	}
	// Nothing of the server's may hold them: not MNT_DETACH.
	end := time.Now().Add(10 * time.Second)
	for _, at := range []string{inner, sub, onfile} {
		err := unix.Unmount(at, 0)
		for ; err == unix.EBUSY && time.Now().Before(end); err = unix.Unmount(at, 0) {
			time.Sleep(time.Millisecond) // FORGET has no answer to wait for
		}
		if err != nil {
			t.Errorf("unmount %s: %v; open: %q", at, err, held(t, at))
		}
	}
}

// TestCopyUp: overlayfs makes a new file in its upper layer of one that is
// changed, with another birth time. It is the same file all the while.
func TestCopyUp(t *testing.T) {
	dir := harness.Tmpfs(t)
	for _, d := range []string{"l", "u", "w", "m"} {
		mkdir(t, dir, d)
	}
	put(t, "", dir, "l", "f")
	put(t, "", dir, "l", "g")
	crowd(t, filepath.Join(dir, "l"))
	m := filepath.Join(dir, "m")
	o := "lowerdir=" + filepath.Join(dir, "l") + ",upperdir=" + filepath.Join(dir, "u") + ",workdir=" + filepath.Join(dir, "w")
	must(t, unix.Mount("o", m, "overlay", 0, o))
	t.Cleanup(func() { unix.Unmount(m, unix.MNT_DETACH) })
	c := serve(t, m, few())
	for _, name := range []string{"f", "g"} {
		id := c.lookup(1, name).Nodeid
		time.Sleep(20 * time.Millisecond) // a tick, for the birth time
		if _, e := c.setattr(id, who{}, protocol.SetattrIn{Valid: protocol.FattrMode, Mode: 0o640}); e != 0 {
			t.Fatal(e)
		}
		if name == "g" { // and comes back by name
			c.crowdOut(filepath.Join(m, name))
			if _, e := c.getattr(id); e != 0 {
				t.Error("evicted:", e)
			}
		}
		if again := c.lookup(1, name); again.Nodeid != id {
			t.Errorf("%s: nodeid %#x, was %#x", name, again.Nodeid, id)
		}
	}
}
