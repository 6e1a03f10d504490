package conntest_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestTimeouts moves the clock: a name and attributes are asked for when they
// have expired, and not before.
func TestTimeouts(t *testing.T) {
	po := passfs.DefaultOptions()
	po.EntryTimeout, po.AttrTimeout = 10*time.Second, 3*time.Second
	k, _ := pass(t, &po, conntest.Options{})
	c := self(k)
	check(t, c.Mkdir("/d", 0o755))
	for _, s := range []struct {
		d                time.Duration
		lookups, getattr int
	}{{0, 0, 0}, {2 * time.Second, 0, 0}, {2 * time.Second, 0, 1}, {2 * time.Second, 0, 0}, {5 * time.Second, 1, 0}} {
		k.Advance(s.d)
		l, g := k.Count(protocol.OpLookup), k.Count(protocol.OpGetattr)
		_, err := c.Stat("/d")
		check(t, err)
		if l, g = k.Count(protocol.OpLookup)-l, k.Count(protocol.OpGetattr)-g; l != s.lookups || g != s.getattr {
			t.Errorf("%v later: %d LOOKUPs and %d GETATTRs, want %d and %d", s.d, l, g, s.lookups, s.getattr)
		}
	}
}

// sizes collects op, offset and size of READs and WRITEs.
func sizes(list *[]string) func([]byte) {
	return func(m []byte) {
		var r protocol.Request
		if r.Decode(append(make([]byte, 0, len(m)+8), m...), nil) != nil {
			return
		}
		if in := r.ReadIn(); in != nil && r.Op() == protocol.OpRead {
			*list = append(*list, fmt.Sprint("R", in.Offset, "+", in.Size))
		}
		if in := r.WriteIn(); in != nil {
			*list = append(*list, fmt.Sprint("W", in.Offset, "+", in.Size))
		}
	}
}

// TestSplit checks how I/O is cut: direct as it is, cached at pages.
func TestSplit(t *testing.T) {
	for _, v := range []struct {
		name   string
		direct bool
		o      conntest.Options
		want   string
	}{
		{"direct", true, conntest.Options{}, "[W100+65536 W65636+65536 W131172+65536 W196708+3392 R100+65536 R65636+65536 R131172+65536 R196708+3392]"},
		{"cached", false, conntest.Options{}, "[W100+3996 W4096+65536 W69632+65536 W135168+64932 R0+65536 R65536+65536 R131072+65536 R196608+4096]"},
		{"small pages", false, conntest.Options{MaxPages: 2}, ""},
		{"max_read", true, conntest.Options{MaxRead: 100000}, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			var got []string
			v.o.Trace = sizes(&got)
			po := passfs.DefaultOptions()
			po.DirectIO = v.direct
			k, _ := pass(t, &po, v.o)
			f, err := self(k).Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
			check(t, err)
			data := bytes.Repeat([]byte("abcdefg"), 200000/7+1)[:200000]
			n, err := f.WriteAt(data, 100)
			check(t, err)
			b := make([]byte, 200000)
			m, err := f.ReadAt(b, 100)
			check(t, err)
			if n != len(data) || !bytes.Equal(b[:m], data) {
				t.Errorf("%d written, %d read", n, m)
			}
			check(t, f.Close())
			for _, s := range got {
				var off, size int
				if _, err := fmt.Sscanf(s[1:], "%d+%d", &off, &size); err != nil || size > 65536 {
					t.Errorf("%s is above max_write", s)
				}
				if v.o.MaxPages != 0 && size > v.o.MaxPages*unix.Getpagesize() {
					t.Errorf("%s is above max_pages", s)
				}
				if !v.direct && s[0] == 'R' && (off%4096 != 0 || size%4096 != 0) {
					t.Errorf("%s is not whole pages", s)
				}
			}
			if list := fmt.Sprint(got); v.want != "" && unix.Getpagesize() == 4096 && list != v.want {
				t.Errorf("%s, want %s", list, v.want)
			}
		})
	}
}

// few answers ENOSYS to all but the least: everything optional is switched off
// by the kernel after it has asked once.
type few struct{ clerk }

func (h *few) Serve(r *conn.Request) {
	switch r.Op() {
	case protocol.OpLookup, protocol.OpGetattr, protocol.OpRead, protocol.OpWrite, protocol.OpSetattr:
		h.clerk.Serve(r)
	default:
		_ = r.ReplyError(unix.ENOSYS)
	}
}

func TestENOSYS(t *testing.T) {
	o := options(conntest.Options{})
	o.Conn.Threads = 1
	k, err := conntest.New(&few{}, o)
	check(t, err)
	c := k.Process(0, 0)
	for range 3 {
		f, err := c.Open("/f", unix.O_RDWR, 0)
		check(t, err)
		check(t, f.Fsync(false))
		_, err = f.ReadAt(make([]byte, 10), 0)
		check(t, err)
		check(t, f.Close())
		_, err = c.Getxattr("/f", "user.a", 10)
		want(t, err, unix.EOPNOTSUPP)
		want(t, c.Setxattr("/f", "user.a", nil, 0), unix.EOPNOTSUPP)
		want(t, c.Link("/f", "/g"), unix.EPERM)
		want(t, c.Rename("/f", "/g", unix.RENAME_NOREPLACE), unix.EINVAL)
	}
	for op, n := range map[protocol.Opcode]int{protocol.OpOpen: 1, protocol.OpFsync: 1, protocol.OpFlush: 1,
		protocol.OpGetxattr: 1, protocol.OpSetxattr: 1, protocol.OpRename2: 1, protocol.OpRelease: 0} {
		if k.Count(op) != n {
			t.Errorf("%v was sent %d times, want %d", op, k.Count(op), n)
		}
	}
	check(t, k.Unmount())
}

// TestXattrLock uses extended attributes and locks.
func TestXattrLock(t *testing.T) {
	k, dir := pass(t, nil, conntest.Options{})
	c, other := self(k), self(k)
	f, err := c.Open("/f", unix.O_RDWR|unix.O_CREAT, 0o600)
	check(t, err)
	g, err := other.Open("/f", unix.O_RDWR, 0)
	check(t, err)
	if k.Params().Flags&protocol.InitPosixLocks == 0 {
		t.Fatal("no POSIX_LOCKS")
	}
	check(t, f.Lock(unix.F_WRLCK, 0, 9, false))
	want(t, g.Lock(unix.F_WRLCK, 5, 20, false), unix.EAGAIN)
	lk, err := g.TestLock(unix.F_WRLCK, 5, 20)
	check(t, err)
	if lk.Type != unix.F_WRLCK {
		t.Errorf("%+v", lk)
	}
	waiting := background(func() error { return g.Lock(unix.F_WRLCK, 0, 9, true) })
	for k.Count(protocol.OpSetlkw) == 0 {
		time.Sleep(time.Millisecond)
	}
	other.Interrupt()
	want(t, after(t, waiting), unix.EINTR)
	waiting = background(func() error { return g.Lock(unix.F_WRLCK, 0, 9, true) })
	check(t, f.Lock(unix.F_UNLCK, 0, 9, false))
	check(t, after(t, waiting))
	check(t, f.Close())
	check(t, g.Close())

	if err := unix.Setxattr(dir, "user.probe", nil, 0); err != nil {
		t.Logf("the source has no xattrs (%v): not compared", err)
		return
	}
	check(t, c.Setxattr("/f", "user.a", []byte("value"), 0))
	b, err := c.Getxattr("/f", "user.a", 100)
	check(t, err)
	n, err := c.GetxattrSize("/f", "user.a")
	check(t, err)
	l, err := c.Listxattr("/f", 1000)
	check(t, err)
	if string(b) != "value" || n != 5 || len(l) != 1 || l[0] != "user.a" {
		t.Error(string(b), n, l)
	}
	_, err = c.Getxattr("/f", "user.a", 2)
	want(t, err, unix.ERANGE)
	check(t, c.Removexattr("/f", "user.a"))
	_, err = c.Getxattr("/f", "user.a", 100)
	want(t, err, unix.ENODATA)
}

// TestRefused mounts what does not want to be mounted.
func TestRefused(t *testing.T) {
	h := refuser{}
	if _, err := conntest.New(&h, options(conntest.Options{})); err == nil {
		t.Error("mounted")
	}
	o := options(conntest.Options{Minor: 12})
	o.Conn = &conn.Options{Need: protocol.InitHasResend}
	if _, err := conntest.New(ops.New(ops.NewTree(root{})), o); err == nil {
		t.Error("mounted without what it needs")
	}
}

type refuser struct{ clerk }

func (*refuser) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error { return unix.EPERM }
