package channel

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
)

func TestMountBusy(t *testing.T) {
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	hold, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	if err := m.Unmount(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("busy: %v", err)
	}
	must(t, m.Detach())
	if line(t, m) != "" {
		t.Error("still to be seen")
	}
	unix.Close(hold)
}

func TestMountStacked(t *testing.T) {
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	over := mounted(t, dir, nil)
	id, dev := m.ID()
	if i, d := over.ID(); i == id || d == dev {
		t.Fatal("the second was taken for the first")
	}
	for _, f := range []func() error{m.Unmount, m.Detach} {
		if err := f(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "another file system is mounted over it") {
			t.Errorf("under another: %v", err)
		}
	}
	if line(t, over) == "" || line(t, m) == "" {
		t.Fatal("the wrong one was unmounted")
	}
	must(t, over.Unmount())
	must(t, m.Unmount())
	// hidden by a mount over the directory above
	inner := filepath.Join(dir, "a")
	must(t, os.Mkdir(inner, 0o755))
	m = mounted(t, inner, nil)
	tmpfs(t, dir)
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
	a, b := t.TempDir(), t.TempDir()
	m := mounted(t, a, nil)
	must(t, unix.Mount(a, b, "", unix.MS_MOVE, ""))
	tmpfs(t, a) // took its place
	must(t, m.Unmount())
	if line(t, m) != "" {
		t.Error("still mounted")
	}
	if err := unix.Unmount(a, 0); err != nil {
		t.Error("the one in its old place was unmounted: ", err)
	}
}

func TestMountAbort(t *testing.T) {
	for _, fusectl := range []bool{true, false} {
		dir := t.TempDir()
		m, other := mounted(t, dir, nil), mounted(t, t.TempDir(), nil)
		if fusectl {
			unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "") // EBUSY: there already
		} else {
			tmpfs(t, "/sys/fs/fuse/connections")
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
	dir := t.TempDir()
	unix.Mount("fusectl", "/sys/fs/fuse/connections", "fusectl", 0, "") // EBUSY: there already
	for range 10 {
		old := mounted(t, dir, nil)
		must(t, unix.Unmount(dir, 0)) // not by old, which keeps the device
		m := mounted(t, dir, nil)
		if err := old.Abort(); !errors.Is(err, conn.ErrUnmounted) {
			t.Errorf("Abort of what is no more: %v", err)
		}
		var b [8192]byte
		if n, err := unix.Read(m.FD(), b[:]); err != nil || n < 40 {
			t.Fatalf("the mount that took its place was aborted: %d %v", n, err)
		}
		must(t, old.Unmount())
		must(t, old.Detach())
		if line(t, m) == "" {
			t.Fatal("the mount that took its place was unmounted")
		}
		must(t, m.Detach())
		old.Close()
		m.Close()
	}
}
