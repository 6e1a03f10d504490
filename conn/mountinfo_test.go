package conn

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseMountinfo(t *testing.T) {
	const text = `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
41 36 0:52 / /a\040b\011c\134d\012e\043 rw shared:3 master:1 propagate_from:2 - fuse.pass\040x src rw,user_id=0
42 36 0:53 / /x rw - fuse
not a line
43 36 0 / /x rw - fuse a b
44 36 0:1 / /x rw no hyphen fuse a b
45 36 4096:1048575 / /last ro - fuse s rw`
	want := []mountInfo{
		{36, 35, unix.Mkdev(98, 0), "/mnt1", "/mnt2", "ext3"},
		{41, 36, unix.Mkdev(0, 52), "/", "/a b\tc\\d\ne#", "fuse.pass x"},
		{42, 36, unix.Mkdev(0, 53), "/", "/x", "fuse"},
		{45, 36, unix.Mkdev(4096, 1048575), "/", "/last", "fuse"},
	}
	if got := parseMountinfo([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/a": "/a", `\040`: " ", `a\134040`: `a\040`, `\04`: `\04`, `\`: `\`, `\09x`: `\09x`,
	} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWithinAndJoin(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"/a/b", "/a", true}, {"/a", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false},
		{"/a", "/", true}, {"/", "/", true}, {"/", "/a", false},
	} {
		if got := within(c.path, c.dir); got != c.want {
			t.Errorf("within(%q, %q) = %v", c.path, c.dir, got)
		}
	}
	for _, c := range [][4]string{
		{"/", "/m/x", "/m", "/x"}, {"/r", "/m/x", "/m", "/r/x"}, {"/r", "/m", "/m", "/r"},
		{"/", "/m", "/m", "/"}, {"/", "/x", "/", "/x"}, {"/r", "/", "/", "/r"}, {"/r", "/x", "/", "/r/x"},
	} {
		if got := join(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("join(%q, %q, %q) = %q, want %q", c[0], c[1], c[2], got, c[3])
		}
	}
}

func TestContains(t *testing.T) {
	list := []mountInfo{
		{1, 0, 100, "/", "/", "ext4"},
		{2, 1, 100, "/a", "/bind", "ext4"},        // mount --bind /a /bind
		{3, 1, 100, "/a/sub", "/deep", "ext4"},    // mount --bind /a/sub /deep
		{4, 1, 200, "/", "/a/other", "xfs"},       // another file system inside /a
		{5, 1, 200, "/tree", "/elsewhere", "xfs"}, // part of it bound outside
	}
	for _, c := range []struct {
		src     string
		srcMnt  int
		dir     string
		dirMnt  int
		contain bool
	}{
		{"/a", 1, "/a/m", 1, true},
		{"/a", 1, "/a", 1, false},
		{"/a", 1, "/ab", 1, false},
		{"/a/m", 1, "/a", 1, false},
		{"/", 1, "/anything", 1, true},
		{"/a", 1, "/bind/m", 2, true},
		{"/a", 1, "/bind", 2, false}, // the same directory: mounted over, not inside
		{"/a", 1, "/deep/m", 3, true},
		{"/a", 1, "/deep", 3, true},
		{"/bind", 2, "/a/m", 1, true},
		{"/deep", 3, "/a/m", 1, false},
		{"/deep", 3, "/a/sub/m", 1, true},
		{"/a", 1, "/elsewhere/m", 5, true},
		{"/a", 1, "/elsewhere", 5, true},
		{"/b", 1, "/elsewhere/m", 5, false},
		{"/b", 1, "/a/m", 99, false},
	} {
		if got := contains(list, c.src, c.srcMnt, c.dir, c.dirMnt); got != c.contain {
			t.Errorf("contains(%s on %d, %s on %d) = %v", c.src, c.srcMnt, c.dir, c.dirMnt, got)
		}
	}
}

// TestPick covers the kernels that do not tell the connection's number, which
// the running one may do.
func TestPick(t *testing.T) {
	before := []mountInfo{{10, 1, 5, "/", "/m", "fuse"}, {11, 1, 6, "/", "/n", "fuse"}}
	after := append(slices.Clone(before),
		mountInfo{12, 10, unix.Mkdev(0, 7), "/", "/m", "fuse.x"},
		mountInfo{13, 1, unix.Mkdev(0, 8), "/", "/other", "fuse"},
		mountInfo{14, 12, unix.Mkdev(0, 9), "/", "/m", "tmpfs"})
	m := &Mount{dir: "/m", id: -1}
	if m.pick(before, after, -1); m.id != 12 || m.dev != unix.Mkdev(0, 7) {
		t.Errorf("without the number: %d %d", m.id, m.dev)
	}
	after = append(after, mountInfo{15, 14, unix.Mkdev(0, 10), "/", "/m", "fuse"})
	m = &Mount{dir: "/m", id: -1}
	if m.pick(before, after, 7); m.id != 12 {
		t.Errorf("with the number, and another stacked since: %d", m.id)
	}
	m = &Mount{dir: "/gone", id: -1}
	if m.pick(before, after, 7); m.id != -1 {
		t.Errorf("found what is not there: %d", m.id)
	}
}

func TestToolOptions(t *testing.T) {
	o := &MountOptions{FSName: `a,b\c`, Subtype: "p", AllowOther: true, DefaultPermissions: true, MaxRead: 65536,
		Flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_RDONLY | unix.MS_NOEXEC | unix.MS_NOATIME, AutoUnmount: true, Extra: []string{"context=u"}}
	want := `ro,nosuid,nodev,noexec,noatime,auto_unmount,fsname=a\,b\\c,subtype=p,default_permissions,allow_other,max_read=65536,context=u`
	if got := toolOptions(o); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = "rw"
	if unix.Getuid() == 0 {
		want = "rw,suid,dev"
	}
	if got := toolOptions(&MountOptions{}); got != want {
		t.Errorf("zero: got %s, want %s", got, want)
	}
}
