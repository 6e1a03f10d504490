package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// loopExt4 makes a new ext4 in a file in memory and mounts it: no disk to wait
// for, no clean-up of a hundred thousand files, and the same ext4 whatever the
// machine's disk holds. Features are mkfs's defaults.
func loopExt4(t testing.TB) string {
	t.Helper()
	base := harness.Tmpfs(t)
	image, dir := filepath.Join(base, "image"), filepath.Join(base, "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 1<<30); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "256", "-N", "300000", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4 (package e2fsprogs): %v\n%s", err, out)
	}
	dev := attach(t, image)
	if err := unix.Mount(dev, dir, "ext4", 0, ""); err != nil {
		t.Fatalf("mounting %s: %v", dev, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// attach makes a loop device that goes when its mount does.
func attach(t testing.TB, image string) string {
	t.Helper()
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("these tests need the loop module: %v", err)
	}
	defer ctl.Close()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatalf("a free loop device: %v", err)
		}
		name := "/dev/loop" + strconv.Itoa(n)
		dev, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &unix.LoopConfig{
			Fd:   uint32(file.Fd()),
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == unix.EBUSY { // somebody else was faster
			dev.Close()
			continue
		}
		if err != nil {
			t.Fatalf("LOOP_CONFIGURE: %v", err)
		}
		// Open until it is mounted, or AUTOCLEAR would end it.
		t.Cleanup(func() { dev.Close() })
		return name
	}
}
