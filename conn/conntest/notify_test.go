package conntest_test

import (
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// notification encodes one, with nothing put right.
func notification(code protocol.NotifyCode, parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	h := protocol.OutHeader{Len: uint32(16 + len(b)), Error: int32(code)}
	return append(append([]byte(nil), protocol.BytesOf(&h)...), b...)
}

// TestNotifyStrict is what fs/fuse/dev.c: fuse_notify refuses.
func TestNotifyStrict(t *testing.T) {
	entry := func(n uint32) []byte { return protocol.BytesOf(&protocol.NotifyInvalEntryOut{Parent: 1, Namelen: n}) }
	gone := func(n uint32) []byte {
		return protocol.BytesOf(&protocol.NotifyDeleteOut{Parent: 1, Child: 3, Namelen: n})
	}
	store := func(at uint64, n uint32) []byte {
		return protocol.BytesOf(&protocol.NotifyStoreOut{Nodeid: 3, Offset: at, Size: n})
	}
	prune := func(n uint32) []byte { return protocol.BytesOf(&protocol.NotifyPruneOut{Count: n}) }
	inval := protocol.BytesOf(&protocol.NotifyInvalInodeOut{Ino: 3})
	poll := protocol.BytesOf(&protocol.NotifyPollWakeupOut{Kh: 1})
	retrieve := protocol.BytesOf(&protocol.NotifyRetrieveOut{Nodeid: 3, Size: 10, NotifyUnique: 1 << 40})
	for _, w := range []struct {
		name string
		code protocol.NotifyCode
		data [][]byte
		err  unix.Errno // 0: taken
	}{
		{"POLL", protocol.NotifyPoll, [][]byte{poll}, 0},
		{"POLL short", protocol.NotifyPoll, [][]byte{poll[:7]}, unix.EINVAL},
		{"POLL long", protocol.NotifyPoll, [][]byte{poll, {0}}, unix.EINVAL},
		{"INVAL_INODE", protocol.NotifyInvalInode, [][]byte{inval}, 0},
		{"INVAL_INODE long", protocol.NotifyInvalInode, [][]byte{inval, {0}}, unix.EINVAL},
		{"INVAL_ENTRY", protocol.NotifyInvalEntry, [][]byte{entry(1), []byte("f\x00")}, 0},
		{"INVAL_ENTRY short", protocol.NotifyInvalEntry, [][]byte{entry(2), []byte("f\x00")}, unix.EINVAL},
		{"INVAL_ENTRY without NUL", protocol.NotifyInvalEntry, [][]byte{entry(1), []byte("f")}, unix.EINVAL},
		{"INVAL_ENTRY too long", protocol.NotifyInvalEntry, [][]byte{entry(5000), make([]byte, 5001)}, unix.ENAMETOOLONG},
		{"DELETE", protocol.NotifyDelete, [][]byte{gone(1), []byte("f\x00")}, 0},
		{"DELETE short", protocol.NotifyDelete, [][]byte{gone(1)}, unix.EINVAL},
		{"STORE", protocol.NotifyStore, [][]byte{store(0, 3), []byte("abc")}, 0},
		{"STORE short", protocol.NotifyStore, [][]byte{store(0, 4), []byte("abc")}, unix.EINVAL},
		{"STORE far", protocol.NotifyStore, [][]byte{store(1<<63-1, 3), []byte("abc")}, unix.EINVAL},
		{"RETRIEVE", protocol.NotifyRetrieve, [][]byte{retrieve}, 0},
		{"RETRIEVE short", protocol.NotifyRetrieve, [][]byte{retrieve[:24]}, unix.EINVAL},
		{"RESEND", protocol.NotifyResend, nil, 0},
		{"RESEND long", protocol.NotifyResend, [][]byte{{0}}, unix.EINVAL},
		{"INC_EPOCH", protocol.NotifyIncEpoch, nil, 0},
		{"INC_EPOCH long", protocol.NotifyIncEpoch, [][]byte{{0}}, unix.EINVAL},
		{"PRUNE", protocol.NotifyPrune, [][]byte{prune(2), make([]byte, 16)}, 0},
		{"PRUNE none", protocol.NotifyPrune, [][]byte{prune(0)}, 0},
		{"PRUNE short", protocol.NotifyPrune, [][]byte{prune(2), make([]byte, 15)}, unix.EINVAL},
		{"unknown", 10, nil, unix.EINVAL},
	} {
		t.Run(w.name, func(t *testing.T) {
			k, err := conntest.New(&robot{}, options(conntest.Options{}))
			check(t, err)
			c := k.Process(0, 0)
			_, err = c.Stat("/f")
			check(t, err)
			err = k.Write(notification(w.code, w.data...))
			if got, _ := err.(unix.Errno); got != w.err {
				t.Errorf("%v, want %v", err, w.err)
			}
			_ = k.Unmount()
			if bad := len(k.Violations()) > 0; bad != (w.err == unix.EINVAL && w.name != "STORE far") {
				t.Error(k.Violations())
			}
		})
	}
}

// TestNotifyMinor sends notifications to kernels that do not know them yet.
func TestNotifyMinor(t *testing.T) {
	since := map[protocol.NotifyCode]uint32{protocol.NotifyDelete: 18, protocol.NotifyStore: 15, protocol.NotifyRetrieve: 15,
		protocol.NotifyResend: 40, protocol.NotifyIncEpoch: 44, protocol.NotifyPrune: 45}
	for _, minor := range []uint32{12, 14, 15, 17, 18, 39, 40, 43, 44, 45, 46} {
		k := robotKernel(t, &robot{}, conntest.Options{Minor: minor}, "")
		c := k.Process(0, 0)
		_, err := c.Stat("/f")
		check(t, err)
		s := k.Conn()
		for code, do := range map[protocol.NotifyCode]func() error{
			protocol.NotifyDelete:   func() error { return s.NotifyDelete(1, 77, []byte("nobody")) },
			protocol.NotifyStore:    func() error { return s.NotifyStore(77, 0, []byte("x")) },
			protocol.NotifyRetrieve: func() error { return s.NotifyRetrieve(1<<40, 77, 0, 1) },
			protocol.NotifyResend:   s.NotifyResend,
			protocol.NotifyIncEpoch: s.NotifyIncEpoch,
			protocol.NotifyPrune:    func() error { return s.NotifyPrune([]uint64{77}) },
		} {
			if e := unwrap(do()); (e == unix.EINVAL) != (minor < since[code]) {
				t.Errorf("7.%d: %v: %v", minor, code, e)
			}
		}
	}
}

// TestExpireOnly keeps what is below a name; before 7.38 the flag is not known
// and the name goes.
func TestExpireOnly(t *testing.T) {
	for _, minor := range []uint32{37, 38} {
		k := robotKernel(t, &robot{}, conntest.Options{Minor: minor}, "")
		c := k.Process(0, 0)
		_, err := c.Lookup("/f")
		check(t, err)
		in := protocol.NotifyInvalEntryOut{Parent: 1, Namelen: 1, Flags: protocol.ExpireOnly}
		check(t, k.Write(notification(protocol.NotifyInvalEntry, protocol.BytesOf(&in), []byte("f\x00"))))
		if n := k.Nlookup()[3]; (n == 1) != (minor >= 38) {
			t.Errorf("7.%d: %d lookups", minor, n)
		}
	}
}

// TestPruneAliases drops every name of a node that nobody uses.
func TestPruneAliases(t *testing.T) {
	k := robotKernel(t, &robot{}, conntest.Options{}, "")
	c := k.Process(0, 0)
	check(t, c.Link("/f", "/d/other"))
	if n := k.Nlookup()[3]; n != 2 {
		t.Fatal(n)
	}
	f := open(t, c, "/f", unix.O_RDONLY)
	check(t, k.Conn().NotifyPrune([]uint64{3}))
	if n := k.Nlookup()[3]; n != 2 {
		t.Errorf("%d lookups of what is in use", n)
	}
	check(t, f.Close())
	check(t, k.Conn().NotifyPrune([]uint64{3}))
	if n := k.Nlookup()[3]; n != 0 {
		t.Errorf("%d lookups", n)
	}
}

// TestDeleteInUse refuses a directory below which something is open.
func TestDeleteInUse(t *testing.T) {
	h := &robot{}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(0, 0)
	f := open(t, c, "/d/new", unix.O_CREAT|unix.O_RDWR)
	want(t, unwrap(k.Conn().NotifyDelete(1, 2, []byte("d"))), unix.ENOTEMPTY)
	check(t, f.Close())
	_, err := c.Lookup("/d")
	check(t, err)
	d := open(t, c, "/d", unix.O_DIRECTORY)
	check(t, k.Conn().NotifyDelete(1, 2, []byte("d")))
	if a, err := d.Stat(); err != nil || a.Nlink != 0 {
		t.Error(a, err)
	}
}

// TestInvalDirty is INVAL_INODE of what is not written back yet: the WRITE comes
// before the notification has been taken.
func TestInvalDirty(t *testing.T) {
	h := &robot{}
	o := options(conntest.Options{})
	o.Conn.Want |= protocol.InitWritebackCache
	k := robotKernel(t, h, *o, "")
	f := open(t, k.Process(0, 0), "/f", unix.O_RDWR)
	if _, err := f.WriteAt(make([]byte, unix.Getpagesize()), 0); err != nil {
		t.Fatal(err)
	}
	check(t, k.Conn().NotifyInvalInode(3, -1, 0))
	if k.Count(protocol.OpWrite) != 0 {
		t.Error("written for attributes only")
	}
	check(t, k.Conn().NotifyInvalInode(3, 0, 0))
	one(t, h, protocol.OpWrite, "nodeid=3", "write_flags=CACHE", "pid=0")
}
