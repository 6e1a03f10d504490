package channel

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
)

func TestMountByRoot(t *testing.T) {
	noHelpers(t)
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/not-empty", nil, 0o644)) // no reason to refuse
	must(t, os.Symlink(dir, dir+".link"))
	m := mounted(t, dir+".link", &conn.MountOptions{FSName: "a b,c", Subtype: "sub", AllowOther: true, DefaultPermissions: true,
		MaxRead: 65536, Flags: conn.DefaultMountFlags | unix.MS_RDONLY | unix.MS_NOATIME})
	if m.Dir() != dir || m.Given() {
		t.Errorf("dir %q, given %v", m.Dir(), m.Given())
	}
	_, dev := m.ID()
	l := line(t, m)
	for _, want := range []string{" " + dir + " ", " ro,nosuid,nodev,noatime ", " - fuse.sub a\\040b,c ro,user_id=0,group_id=0,default_permissions,allow_other,max_read=65536",
		" 0:" + strconv.Itoa(int(unix.Minor(dev))) + " "} {
		if !strings.Contains(l, want) {
			t.Errorf("%q is not in %q", want, l)
		}
	}
	if f, err := unix.FcntlInt(uintptr(m.FD()), unix.F_GETFD, 0); err != nil || f&unix.FD_CLOEXEC == 0 {
		t.Errorf("the device is inherited by children: %x %v", f, err)
	}
	var b [8192]byte
	n, err := unix.Read(m.FD(), b[:]) // 1 << 13 is the kernel's least buffer
	if err != nil || n < 40 || b[4] != 26 && b[7] != 26 {
		t.Errorf("INIT is not waiting: %d %v % x", n, err, b[:40])
	}
	must(t, m.Unmount())
	if line(t, m) != "" {
		t.Error("still mounted")
	}
	must(t, m.Unmount()) // again: nothing to do
	must(t, m.Detach())
	must(t, m.Close())
	must(t, m.Close())
}

func TestMountDefaults(t *testing.T) {
	m := mounted(t, t.TempDir(), nil)
	if l := line(t, m); !strings.Contains(l, " rw,nosuid,nodev") || !strings.Contains(l, " - fuse fuse rw,") {
		t.Error(l)
	}
}

func TestMountOnFile(t *testing.T) {
	file := t.TempDir() + "/file"
	must(t, os.WriteFile(file, nil, 0o644))
	m := mounted(t, file, nil)
	if at := point(t, m); at != file {
		t.Errorf("mounted on %q", at)
	}
	must(t, m.Unmount())
}

func TestMountRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(dir+"/fifo", 0o600))
	for _, c := range []struct {
		dir   string
		errno unix.Errno
		text  string
	}{
		{dir + "/none", unix.ENOENT, "mount " + dir + "/none: the mountpoint: no such file or directory"},
		{"", unix.ENOENT, "mount: the mountpoint: no such file or directory"},
		{dir + "/fifo", unix.ENOTDIR, "neither a directory nor a regular file"},
		{dir + "/fifo/x", unix.ENOTDIR, "the mountpoint: not a directory"},
		{"/dev/fd/77", unix.EBADF, "no such descriptor was passed"},
		{"/dev/fd/x", unix.EINVAL, "not a descriptor number"},
		{"/dev/fd/-1", unix.EINVAL, "not a descriptor number"},
		{"/dev/fd/0", unix.EINVAL, "neither /dev/fuse nor a socket"},
		{"/proc/self/..", unix.EINVAL, "the server itself needs what is there"},
	} {
		m, err := conn.NewMount(c.dir, nil)
		var e *conn.Error
		if m != nil || !errors.As(err, &e) || !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want %v with %q", c.dir, err, c.errno, c.text)
		}
	}
	// an option the kernel refuses is not retried through the helper
	_, err := conn.NewMount(dir, &conn.MountOptions{Extra: []string{"no_such_option"}})
	if !errors.Is(err, unix.EINVAL) || strings.Contains(err.Error(), "fusermount") {
		t.Error(err)
	}
}

func TestMountGiven(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	must(t, err)
	must(t, unix.Mount("x", dir, "fuse", 0, "fd="+strconv.Itoa(fd)+",rootmode=40000,user_id=0,group_id=0"))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	m := mounted(t, "/dev/fd/"+strconv.Itoa(fd), nil)
	if m.FD() != fd || !m.Given() {
		t.Errorf("%+v", m)
	}
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	must(t, err)
	if strings.Contains(string(info), "fuse_connection:") { // since 6.17
		if at := point(t, m); at != dir || m.Dir() != dir {
			t.Errorf("on %q by mountinfo, on %q by itself", at, m.Dir())
		}
		must(t, m.Unmount())
	} else if err := m.Unmount(); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}

	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	must(t, err)
	name := "/dev/fd/" + strconv.Itoa(pair[0])
	m = mounted(t, name, nil)
	if err := m.Unmount(); !errors.Is(err, unix.EPERM) || m.Dir() != name {
		t.Error(m.Dir(), err)
	}
	if err := m.Abort(); !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

func TestMountSource(t *testing.T) {
	base := t.TempDir()
	tmpfs(t, base)
	for _, d := range []string{"/src/sub", "/mnt", "/bind", "/peer"} {
		must(t, os.MkdirAll(base+d, 0o755))
	}
	must(t, os.Symlink(base+"/src/sub", base+"/link"))
	must(t, unix.Mount(base+"/src", base+"/bind", "", unix.MS_BIND, ""))
	src, err := unix.Open(base+"/src", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(src)
	for dir, bad := range map[string]bool{"/mnt": false, "/src": false, "/bind": false, "/src/sub": true, "/link": true, "/bind/sub": true} {
		err := conn.CheckSource(src, base+dir)
		if bad != (err != nil) || bad && (!errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), "contains the mountpoint")) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := conn.CheckSource(src, base+"/none"); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}

	// a shared mount copies ours into the source
	tmpfs(t, base+"/peer")
	must(t, unix.Mount("", base+"/peer", "", unix.MS_SHARED, ""))
	must(t, os.Mkdir(base+"/peer/m", 0o755))
	must(t, unix.Mount(base+"/peer", base+"/src/sub", "", unix.MS_BIND, ""))
	if err := conn.CheckSource(src, base+"/peer/m"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("before mounting: %v", err)
	}
	m := mounted(t, base+"/peer/m", nil)
	err = m.Within(src)
	if !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), base+"/src/sub/m") {
		t.Errorf("after mounting: %v", err)
	}
	if at := point(t, m); at != base+"/peer/m" {
		t.Errorf("the copy was taken for the mount: %q", at)
	}
	must(t, m.Unmount())
	m = mounted(t, base+"/mnt", nil)
	must(t, m.Within(src))
}
