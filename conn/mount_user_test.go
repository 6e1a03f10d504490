package conn

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMountUnprivileged(t *testing.T) {
	if os.Getuid() == 0 && !private(t) {
		return
	}
	if os.Getuid() == 0 {
		for _, tool := range []string{"/usr/bin/fusermount3"} {
			if _, err := os.Stat(tool); err != nil {
				t.Fatal("install fuse3 to test this: ", err)
			}
		}
	}
	if !asUser(t) {
		return
	}
	dir := t.TempDir() + `/a,b\c d`
	must(t, os.Mkdir(dir, 0o755))
	m := mounted(t, dir, &MountOptions{FSName: `x,y\z`, Subtype: "s", DefaultPermissions: true, MaxRead: 131072, Flags: DefaultMountFlags | unix.MS_RDONLY})
	if m.how != wayFusermount {
		t.Errorf("way %d", m.how)
	}
	l := raw(t, m.id)
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
	if line(t, m.id) != nil {
		t.Error("still mounted")
	}
	m.Close()

	m = mounted(t, dir, nil)
	must(t, m.Detach())
	if line(t, m.id) != nil {
		t.Error("still mounted")
	}
	m.Close()

	// the helper's own words reach the user
	_, err = NewMount(dir, &MountOptions{AllowOther: true, Flags: DefaultMountFlags})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "mount(2): operation not permitted; fusermount3: exit status 1 (") ||
		!strings.Contains(err.Error(), "user_allow_other") || !strings.Contains(err.Error(), "fusermount: ") {
		t.Error(err)
	}
}

// TestMountAutoUnmount has allow_other, because fusermount3 looks with root's
// eyes whether the mount is dead and is refused a look without it.
func TestMountAutoUnmount(t *testing.T) {
	if os.Getuid() == 0 && !private(t) {
		return
	}
	if os.Getuid() == 0 {
		conf := t.TempDir() + "/fuse.conf"
		must(t, os.WriteFile(conf, []byte("user_allow_other\n"), 0o644))
		must(t, unix.Mount(conf, "/etc/fuse.conf", "", unix.MS_BIND, ""))
	}
	if !asUser(t) {
		return
	}
	m := mounted(t, t.TempDir(), &MountOptions{AutoUnmount: true, AllowOther: true, Flags: DefaultMountFlags})
	if m.how != wayFusermount {
		t.Errorf("way %d", m.how)
	}
	id := m.id
	must(t, m.Close()) // as the death of this process would
	for i := 0; line(t, id) != nil; i++ {
		if i == 100 {
			t.Fatal("auto_unmount did nothing")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestMountNoWay(t *testing.T) {
	if os.Getuid() == 0 && !private(t) {
		return
	}
	if os.Getuid() == 0 {
		for _, tool := range []string{"fusermount3", "fusermount"} {
			if p, err := exec.LookPath(tool); err == nil {
				p, _ = filepath.EvalSymlinks(p)
				must(t, unix.Mount("/dev/null", p, "", unix.MS_BIND, ""))
			}
		}
	}
	if !asUser(t) {
		return
	}
	dir := t.TempDir()
	_, err := NewMount(dir, nil)
	want := "mount " + dir + ": mount(2): operation not permitted; fusermount3: not installed (apt install fuse3, or run as root);" +
		" fusermount: not installed (apt install fuse3, or run as root): operation not permitted"
	if err == nil || err.Error() != want || !errors.Is(err, unix.EPERM) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMountNoDevice(t *testing.T) {
	if !private(t) {
		return
	}
	must(t, unix.Unmount("/dev/fuse", 0))
	must(t, unix.Mount("tmpfs", "/dev", "tmpfs", 0, ""))
	t.Cleanup(func() { unix.Unmount("/dev", unix.MNT_DETACH) })
	_, err := NewMount(t.TempDir(), nil)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "no FUSE in this kernel or container") {
		t.Error(err)
	}
}

func TestMountInUserNamespace(t *testing.T) {
	if os.Getenv("FUSEWIRE_TEST_USERNS") == "" {
		if os.Getuid() == 0 && os.Getenv(nsEnv) == "" {
			private(t)
			return
		}
		if !private(t) {
			return
		}
		runSelf(t, t.Name(), "FUSEWIRE_TEST_USERNS=1", &syscall.SysProcAttr{
			Credential:  &syscall.Credential{NoSetGroups: true},
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		})
		return
	}
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	if m.how != wayMount {
		t.Errorf("way %d", m.how)
	}
	must(t, m.Unmount())
}
