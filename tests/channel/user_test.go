package channel

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/tests/harness"
)

func TestMountUnprivileged(t *testing.T) {
	if !child() {
		if _, err := exec.LookPath("fusermount3"); err != nil {
			t.Fatal("install fuse3 to test this: ", err)
		}
		asUser(t)
		return
	}
	dir := t.TempDir() + `/a,b\c d`
	must(t, os.Mkdir(dir, 0o755))
	m := mounted(t, dir, &conn.MountOptions{FSName: `x,y\z`, Subtype: "s", DefaultPermissions: true, MaxRead: 131072, Flags: conn.DefaultMountFlags | unix.MS_RDONLY})
	l := line(t, m)
	for _, want := range []string{" ro,nosuid,nodev", ` - fuse.s x,y\134z ro,user_id=1000,group_id=1000,default_permissions,max_read=131072`} {
		if !strings.Contains(l, want) {
			t.Errorf("%q is not in %q", want, l)
		}
	}
	hold, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	if err := m.Unmount(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("busy: %v", err)
	}
	unix.Close(hold)
	must(t, m.Unmount())
	if line(t, m) != "" {
		t.Error("still mounted")
	}
	m.Close()

	m = mounted(t, dir, nil)
	must(t, m.Detach())
	if line(t, m) != "" {
		t.Error("still mounted")
	}
	m.Close()

	// the helper's own words reach the user
	_, err = conn.NewMount(dir, &conn.MountOptions{AllowOther: true, Flags: conn.DefaultMountFlags})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "mount(2): operation not permitted; fusermount3: exit status 1 (") ||
		!strings.Contains(err.Error(), "user_allow_other") || !strings.Contains(err.Error(), "fusermount: ") {
		t.Error(err)
	}
}

// TestMountAutoUnmount has allow_other, because fusermount3 looks with root's
// eyes whether the mount is dead and is refused a look without it.
func TestMountAutoUnmount(t *testing.T) {
	if !child() {
		conf := harness.Disk(t) + "/fuse.conf"
		must(t, os.WriteFile(conf, []byte("user_allow_other\n"), 0o644))
		harness.Cover(t, conf, "/etc/fuse.conf")
		asUser(t)
		return
	}
	m := mounted(t, t.TempDir(), &conn.MountOptions{AutoUnmount: true, AllowOther: true, Flags: conn.DefaultMountFlags})
	must(t, m.Close()) // as the death of this process would
	eventually(t, "auto_unmount", func() bool { return line(t, m) == "" })
}

func TestMountNoWay(t *testing.T) {
	if !child() {
		noHelpers(t)
		asUser(t)
		return
	}
	dir := t.TempDir()
	_, err := conn.NewMount(dir, nil)
	want := "mount " + dir + ": mount(2): operation not permitted; fusermount3: not installed (apt install fuse3, or run as root);" +
		" fusermount: not installed (apt install fuse3, or run as root): operation not permitted"
	if err == nil || err.Error() != want || !errors.Is(err, unix.EPERM) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMountNoDevice(t *testing.T) {
	tmpfs(t, "/dev")
	_, err := conn.NewMount(t.TempDir(), nil)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "no FUSE in this kernel or container") {
		t.Error(err)
	}
}

func TestMountInUserNamespace(t *testing.T) {
	if !child() {
		noHelpers(t)
		harness.OpenFuse(t)
		runSelf(t, &syscall.SysProcAttr{
			Credential:  &syscall.Credential{NoSetGroups: true},
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		})
		return
	}
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	must(t, m.Unmount())
}
