package conntest_test

import (
	"strings"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestAccess is without default_permissions: the server is asked for access(2)
// and chdir(2), and not for open(2).
func TestAccess(t *testing.T) {
	h := &robot{answer: answers{protocol.OpAccess: fail(unix.EACCES)}}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(1000, 1000)
	want(t, c.Access("/f", unix.R_OK|unix.W_OK), unix.EACCES)
	one(t, h, protocol.OpAccess, "nodeid=3", "mask=6", "uid=1000")
	want(t, c.Access("/f", unix.F_OK), unix.EACCES)
	one(t, h, protocol.OpAccess, "mask=0")
	want(t, c.Chdir("/d"), unix.EACCES)
	one(t, h, protocol.OpAccess, "nodeid=2", "mask=1")
	check(t, reopen(c, "/f", unix.O_RDWR))
	want(t, c.Chdir("/f"), unix.ENOTDIR)
	if l := h.took(protocol.OpAccess); l != nil {
		t.Error(l)
	}
}

// TestDefaultPermissions has the kernel check: owner, group, others, user 0.
func TestDefaultPermissions(t *testing.T) {
	h := &robot{uid: 1000, gid: 50, mode: 0o640}
	k := robotKernel(t, h, conntest.Options{DefaultPermissions: true}, "")
	owner, member, other, root := k.Process(1000, 1), k.Process(7, 8), k.Process(7, 7), k.Process(0, 0)
	member.Groups = []uint32{9, 50}
	for _, w := range []struct {
		name string
		err  unix.Errno
		do   func() error
	}{
		{"owner writes", 0, func() error { return reopen(owner, "/f", unix.O_RDWR) }},
		{"group reads", 0, func() error { return reopen(member, "/f", unix.O_RDONLY) }},
		{"group writes", unix.EACCES, func() error { return reopen(member, "/f", unix.O_WRONLY) }},
		{"other reads", unix.EACCES, func() error { return reopen(other, "/f", unix.O_RDONLY) }},
		{"root", 0, func() error { return reopen(root, "/f", unix.O_RDWR|unix.O_TRUNC) }},
		{"root executes", unix.EACCES, func() error { return root.Access("/f", unix.X_OK) }},
		{"truncate", unix.EACCES, func() error { return member.Truncate("/f", 0) }},
		{"chmod", unix.EPERM, func() error { return member.Chmod("/f", 0o777) }},
		{"chown", unix.EPERM, func() error { return owner.Chown("/f", 5, 5) }},
		{"create", unix.EACCES, func() error { return reopen(other, "/new", unix.O_CREAT|unix.O_RDWR) }},
		{"mkdir", unix.EACCES, func() error { return other.Mkdir("/new", 0o755) }},
		{"unlink", unix.EACCES, func() error { return other.Unlink("/f") }},
		{"rename", unix.EACCES, func() error { return other.Rename("/f", "/h", 0) }},
		{"tmpfile", unix.EACCES, func() error { _, err := other.Tmpfile("/", unix.O_RDWR, 0); return err }},
		{"owner makes", 0, func() error { return owner.Mkdir("/d/x", 0o755) }},
	} {
		err := w.do()
		if got, _ := err.(unix.Errno); got != w.err {
			t.Errorf("%s: %v, want %v", w.name, err, w.err)
		}
	}
	for _, l := range h.log {
		for _, op := range []string{"ACCESS ", "UNLINK ", "RENAME ", "TMPFILE ", "CREATE "} {
			if strings.HasPrefix(l, op) {
				t.Error("the server was asked: " + l)
			}
		}
	}
}

// TestExtensions are what is behind the names of creating requests.
func TestExtensions(t *testing.T) {
	const group, label = protocol.InitCreateSuppGroup, protocol.InitSecurityCtx
	for _, minor := range []uint32{12, 36, 38, 45} {
		for _, flags := range []protocol.InitFlags{0, group, label, group | label} {
			h := &robot{gid: 50}
			k := robotKernel(t, h, conntest.Options{Minor: minor, Flags: conntest.AllFlags&^(group|label) | flags}, "")
			c := k.Process(1000, 1)
			c.Groups, c.Umask = []uint32{9, 50}, 0o027
			c.LabelName, c.Label = "security.test", []byte("blue\x00")
			_, err := c.Stat("/") // until then the kernel knows no group of it
			check(t, err)
			wantGroup := minor >= 38 && flags&group != 0
			wantLabel := minor >= 36 && flags&label != 0
			for _, w := range []struct {
				op protocol.Opcode
				do func() error
			}{
				{protocol.OpMkdir, func() error { return c.Mkdir("/a", 0o755) }},
				{protocol.OpMknod, func() error { return c.Mknod("/b", unix.S_IFREG|0o644, 0) }},
				{protocol.OpSymlink, func() error { return c.Symlink("t", "/c") }},
				{protocol.OpCreate, func() error { return reopen(c, "/e", unix.O_CREAT|unix.O_RDWR|unix.O_EXCL) }},
				{protocol.OpTmpfile, func() error {
					if minor < 37 {
						return nil
					}
					f, err := c.Tmpfile("/", unix.O_RDWR, 0o600)
					if err == nil {
						err = f.Close()
					}
					return err
				}},
				{protocol.OpLink, func() error { return c.Link("/f", "/g2") }},
			} {
				h.took(0)
				check(t, w.do())
				l := h.took(w.op)
				if w.op == protocol.OpTmpfile && minor < 37 {
					continue
				}
				if len(l) != 1 {
					t.Fatal(w.op, l)
				}
				link := w.op == protocol.OpLink
				if got := strings.Contains(l[0], "(groups gid=50)"); got != (wantGroup && !link) {
					t.Errorf("7.%d %v: %s", minor, flags, l[0])
				}
				if got := strings.Contains(l[0], `(secctx name="security.test" data=5)`); got != (wantLabel && !link) {
					t.Errorf("7.%d %v: %s", minor, flags, l[0])
				}
				if w.op == protocol.OpSymlink || link {
					continue
				}
				if !strings.Contains(l[0], "umask=027") {
					t.Errorf("7.%d: %s", minor, l[0])
				}
			}
			// The parent's group is the caller's own: nothing to be said. No label: an empty context.
			c.Gid, c.LabelName = 50, ""
			h.took(0)
			check(t, c.Mkdir("/z", 0o755))
			l := h.took(protocol.OpMkdir)
			if strings.Contains(l[0], "groups") || strings.Contains(l[0], "secctx") != wantLabel {
				t.Error(l[0])
			}
		}
	}
}

// TestUmask is applied by the kernel, unless DONT_MASK.
func TestUmask(t *testing.T) {
	for _, dont := range []bool{false, true} {
		h := &robot{}
		flags := conntest.AllFlags
		mode := "mode=0777"
		if !dont {
			flags &^= protocol.InitDontMask
			mode = "mode=0750"
		}
		k := robotKernel(t, h, conntest.Options{Flags: flags}, "")
		c := k.Process(0, 0)
		c.Umask = 0o027
		check(t, c.Mkdir("/a", 0o777))
		one(t, h, protocol.OpMkdir, mode, "umask=027")
	}
}

// TestOpenRules are those of open(2) that need no request, or change it.
func TestOpenRules(t *testing.T) {
	h := &robot{}
	k := robotKernel(t, h, conntest.Options{}, "")
	c := k.Process(1000, 1000)
	check(t, c.Symlink("f", "/l"))
	for _, w := range []struct {
		path  string
		flags int
		err   unix.Errno
	}{
		{"/f", unix.O_CREAT | unix.O_EXCL, unix.EEXIST},
		{"/d", unix.O_CREAT | unix.O_EXCL, unix.EEXIST},
		{"/l", unix.O_NOFOLLOW, unix.ELOOP},
		{"/l", unix.O_NOFOLLOW | unix.O_DIRECTORY, unix.ENOTDIR},
		{"/f", unix.O_DIRECTORY, unix.ENOTDIR},
		{"/d", unix.O_RDWR, unix.EISDIR},
		{"/d", unix.O_CREAT, unix.EISDIR},
		{"/x", unix.O_CREAT | unix.O_DIRECTORY, unix.EINVAL},
		{"/x", 0, unix.ENOENT},
	} {
		want(t, reopen(c, w.path, w.flags), w.err)
	}
	h.took(0)
	check(t, reopen(c, "/f", unix.O_WRONLY|unix.O_TRUNC))
	one(t, h, protocol.OpOpen, "open_flags=KILL_SUIDGID")
	check(t, reopen(k.Process(0, 0), "/f", unix.O_WRONLY|unix.O_TRUNC))
	one(t, h, protocol.OpOpen, "open_flags=0")
}
