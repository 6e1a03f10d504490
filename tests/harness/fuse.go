package harness

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// OpenFuse lets ordinary users open /dev/fuse, as distributions do, until the
// test ends. Where it is closed to them, a node of its own covers it in this
// mount namespace.
func OpenFuse(t testing.TB) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/dev/fuse", &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode&0o666 == 0o666 {
		return
	}
	node := filepath.Join(Tmpfs(t), "fuse") // the disk may be mounted nodev
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(st.Rdev)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(node, 0o666); err != nil {
		t.Fatal(err)
	}
	Cover(t, node, "/dev/fuse")
}

// Cover mounts what is at path over the file or directory at, until the test
// ends.
func Cover(t testing.TB, path, at string) {
	t.Helper()
	if err := unix.Mount(path, at, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("covering %s: %v", at, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Errorf("uncovering %s: %v", at, err)
		}
	})
}
