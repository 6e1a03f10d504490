package conn

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// These tests mount for real, each in a process and a mount namespace of its own,
// so that nothing of it reaches the machine and nothing outlives the process.

const nsEnv = "FUSEWIRE_TEST_NS"

// private runs the calling test again in a child with a private mount namespace
// and returns true there; in the parent it reports how the child fared and
// returns false. The child sees a /dev/fuse that everybody may open.
func private(t *testing.T) bool {
	t.Helper()
	if os.Getenv(nsEnv) == t.Name() {
		node := t.TempDir()
		must(t, unix.Mount("tmpfs", node, "tmpfs", 0, "mode=755"))
		t.Cleanup(func() { unix.Unmount(node, unix.MNT_DETACH) })
		must(t, unix.Mknod(node+"/fuse", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 229))))
		must(t, unix.Chmod(node+"/fuse", 0o666))
		must(t, unix.Mount(node+"/fuse", "/dev/fuse", "", unix.MS_BIND, ""))
		return true
	}
	if os.Getuid() != 0 {
		t.Fatal("needs root, to make a mount namespace: bash .ci/test runs all tests as root")
	}
	runSelf(t, t.Name(), nsEnv+"="+t.Name(), &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS})
	return false
}

// runSelf runs one test of this binary in a child and fails if it fails.
func runSelf(t *testing.T, name, env string, attr *syscall.SysProcAttr) {
	t.Helper()
	// by the magic link: the build directory need not be open to the user
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+name+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+name) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
}

// asUser runs the rest of the calling test as uid 1000: true in that process.
func asUser(t *testing.T) bool {
	t.Helper()
	if os.Getuid() == 1000 {
		return true
	}
	runSelf(t, t.Name(), "TMPDIR=/tmp", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}})
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mounted mounts and takes care that it ends.
func mounted(t *testing.T, dir string, o *MountOptions) *Mount {
	t.Helper()
	m, err := NewMount(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Detach()
		m.Close()
	})
	return m
}

func line(t *testing.T, id int) *mountInfo {
	t.Helper()
	list, err := readMountinfo()
	must(t, err)
	return mountByID(list, id)
}

func raw(t *testing.T, id int) string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for l := range strings.Lines(string(b)) {
		if strings.HasPrefix(l, strconv.Itoa(id)+" ") {
			return l
		}
	}
	return ""
}

func TestMountByRoot(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/not-empty", nil, 0o644)) // no reason to refuse
	must(t, os.Symlink(dir, dir+".link"))
	m := mounted(t, dir+".link", &MountOptions{FSName: "a b,c", Subtype: "sub", AllowOther: true, DefaultPermissions: true,
		MaxRead: 65536, Flags: DefaultMountFlags | unix.MS_RDONLY | unix.MS_NOATIME})
	if m.Dir() != dir || m.how != wayMount || m.Given() {
		t.Errorf("dir %q, way %d", m.Dir(), m.how)
	}
	id, dev := m.ID()
	l := raw(t, id)
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
	if line(t, id) != nil {
		t.Error("still mounted")
	}
	must(t, m.Unmount()) // again: nothing to do
	must(t, m.Detach())
	must(t, m.Close())
	must(t, m.Close())
}

func TestMountDefaults(t *testing.T) {
	if !private(t) {
		return
	}
	m := mounted(t, t.TempDir(), nil)
	if l := raw(t, m.id); !strings.Contains(l, " rw,nosuid,nodev") || !strings.Contains(l, " - fuse fuse rw,") {
		t.Error(l)
	}
}

func TestMountOnFile(t *testing.T) {
	if !private(t) {
		return
	}
	file := t.TempDir() + "/file"
	must(t, os.WriteFile(file, nil, 0o644))
	m := mounted(t, file, nil)
	if l := line(t, m.id); l == nil || l.point != file {
		t.Errorf("%+v", l)
	}
	must(t, m.Unmount())
}

func TestMountRefused(t *testing.T) {
	if !private(t) {
		return
	}
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
		m, err := NewMount(c.dir, nil)
		var e *Error
		if m != nil || !errors.As(err, &e) || !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want %v with %q", c.dir, err, c.errno, c.text)
		}
	}
	// an option the kernel refuses is not retried through the helper
	_, err := NewMount(dir, &MountOptions{Extra: []string{"no_such_option"}})
	if !errors.Is(err, unix.EINVAL) || strings.Contains(err.Error(), "fusermount") {
		t.Error(err)
	}
}

func TestMountGiven(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	must(t, err)
	must(t, unix.Mount("x", dir, "fuse", 0, "fd="+strconv.Itoa(fd)+",rootmode=40000,user_id=0,group_id=0"))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	m := mounted(t, "/dev/fd/"+strconv.Itoa(fd), nil)
	if m.FD() != fd || !m.Given() {
		t.Errorf("%+v", m)
	}
	if fdinfo(fd, "fuse_connection") > 0 { // since 6.17
		if l := line(t, m.id); l == nil || l.point != dir || m.Dir() != dir {
			t.Errorf("not found: %+v", l)
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

func TestMountBusy(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	hold, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	if err := m.Unmount(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("busy: %v", err)
	}
	must(t, m.Detach())
	if line(t, m.id) != nil {
		t.Error("still to be seen")
	}
	unix.Close(hold)
}

func TestMountStacked(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	over := mounted(t, dir, nil)
	if m.id == over.id || m.dev == over.dev {
		t.Fatal("the second was taken for the first")
	}
	for _, f := range []func() error{m.Unmount, m.Detach} {
		if err := f(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "another file system is mounted over it") {
			t.Errorf("under another: %v", err)
		}
	}
	if line(t, over.id) == nil || line(t, m.id) == nil {
		t.Fatal("the wrong one was unmounted")
	}
	must(t, over.Unmount())
	must(t, m.Unmount())
	// hidden by a mount over the directory above
	inner := filepath.Join(dir, "a")
	must(t, os.Mkdir(inner, 0o755))
	m = mounted(t, inner, nil)
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	if err := m.Unmount(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("hidden: %v", err)
	}
	must(t, os.Mkdir(inner, 0o755))
	if err := m.Unmount(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "hidden") {
		t.Errorf("hidden: %v", err)
	}
	must(t, unix.Unmount(dir, 0))
	must(t, m.Unmount())
}

func TestMountMoved(t *testing.T) {
	if !private(t) {
		return
	}
	a, b := t.TempDir(), t.TempDir()
	m := mounted(t, a, nil)
	must(t, unix.Mount(a, b, "", unix.MS_MOVE, ""))
	must(t, unix.Mount("tmpfs", a, "tmpfs", 0, "")) // took its place
	must(t, m.Unmount())
	if line(t, m.id) != nil {
		t.Error("still mounted")
	}
	if err := unix.Unmount(a, 0); err != nil {
		t.Error("the one in its old place was unmounted: ", err)
	}
}

func TestMountAbort(t *testing.T) {
	if !private(t) {
		return
	}
	for _, fusectl := range []bool{true, false} {
		dir := t.TempDir()
		m, other := mounted(t, dir, nil), mounted(t, t.TempDir(), nil)
		if fusectl {
			unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "") // EBUSY: there already
		} else {
			must(t, unix.Mount("tmpfs", "/sys/fs/fuse/connections", "tmpfs", 0, ""))
		}
		must(t, m.Abort())
		var b [8192]byte
		if _, err := unix.Read(m.FD(), b[:]); err != unix.ENODEV && err != unix.ECONNABORTED {
			t.Errorf("fusectl %v: read: %v", fusectl, err)
		}
		if n, err := unix.Read(other.FD(), b[:]); err != nil || n < 40 {
			t.Errorf("fusectl %v: another connection: %d %v", fusectl, n, err)
		}
		must(t, m.Unmount())
		must(t, m.Close())
		if err := m.Abort(); !errors.Is(err, unix.EBADF) {
			t.Error(err)
		}
	}
}

// TestMountReplaced: the kernel gives the next mount the numbers of the last,
// mount id and st_dev, as soon as that is gone.
func TestMountReplaced(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "") // EBUSY: there already
	for range 10 {
		old := mounted(t, dir, nil)
		must(t, unix.Unmount(dir, 0)) // not by old, which keeps the device
		m := mounted(t, dir, nil)
		if err := old.Abort(); !errors.Is(err, ErrUnmounted) {
			t.Errorf("Abort of what is no more: %v", err)
		}
		var b [8192]byte
		if n, err := unix.Read(m.FD(), b[:]); err != nil || n < 40 {
			t.Fatalf("the mount that took its place was aborted: %d %v", n, err)
		}
		must(t, old.Unmount())
		must(t, old.Detach())
		if line(t, m.id) == nil {
			t.Fatal("the mount that took its place was unmounted")
		}
		must(t, m.Detach())
		old.Close()
		m.Close()
	}
}

func TestMountSource(t *testing.T) {
	if !private(t) {
		return
	}
	base := t.TempDir()
	must(t, unix.Mount("tmpfs", base, "tmpfs", 0, ""))
	t.Cleanup(func() { unix.Unmount(base, unix.MNT_DETACH) })
	for _, d := range []string{"/src/sub", "/mnt", "/bind", "/peer"} {
		must(t, os.MkdirAll(base+d, 0o755))
	}
	must(t, os.Symlink(base+"/src/sub", base+"/link"))
	must(t, unix.Mount(base+"/src", base+"/bind", "", unix.MS_BIND, ""))
	src, err := unix.Open(base+"/src", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(src)
	for dir, bad := range map[string]bool{"/mnt": false, "/src": false, "/bind": false, "/src/sub": true, "/link": true, "/bind/sub": true} {
		err := CheckSource(src, base+dir)
		if bad != (err != nil) || bad && (!errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), "contains the mountpoint")) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := CheckSource(src, base+"/none"); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}

	// a shared mount copies ours into the source
	must(t, unix.Mount("tmpfs", base+"/peer", "tmpfs", 0, ""))
	must(t, unix.Mount("", base+"/peer", "", unix.MS_SHARED, ""))
	must(t, os.Mkdir(base+"/peer/m", 0o755))
	must(t, unix.Mount(base+"/peer", base+"/src/sub", "", unix.MS_BIND, ""))
	if err := CheckSource(src, base+"/peer/m"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("before mounting: %v", err)
	}
	m := mounted(t, base+"/peer/m", nil)
	err = m.Within(src)
	if !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), base+"/src/sub/m") {
		t.Errorf("after mounting: %v", err)
	}
	if l := line(t, m.id); l == nil || l.point != base+"/peer/m" {
		t.Errorf("the copy was taken for the mount: %+v", l)
	}
	must(t, m.Unmount())
	m = mounted(t, base+"/mnt", nil)
	must(t, m.Within(src))
}
