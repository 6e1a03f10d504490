package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// workDir is this run's scratch directory, removed by the outer process.
var workDir string

// scratchRoot is where scratch directories go: TMPDIR, or /var/tmp, which is a
// real disk where /tmp often is not.
func scratchRoot() string {
	if d := os.Getenv("TMPDIR"); d != "" {
		return d
	}
	return "/var/tmp"
}

// Disk makes an empty directory, mode 0755 and reachable by every user, on the
// file system of TMPDIR (by default /var/tmp). It is removed after the test.
func Disk(t testing.TB) string {
	t.Helper()
	if workDir == "" {
		t.Fatal("harness: TestMain must call harness.Main")
	}
	dir, err := os.MkdirTemp(workDir, "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("removing %s: %v", dir, err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Ext4 is Disk, on ext4: where TMPDIR is something else, the test fails.
func Ext4(t testing.TB) string {
	t.Helper()
	dir := Disk(t)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != unix.EXT4_SUPER_MAGIC {
		t.Fatalf("%s is not on ext4 (type %#x): set TMPDIR to a directory that is", dir, st.Type)
	}
	return dir
}

// Tmpfs mounts a new tmpfs and returns its root, mode 0755.
func Tmpfs(t testing.TB) string {
	t.Helper()
	dir := Disk(t)
	if err := unix.Mount("fusewire", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatalf("tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting the tmpfs: %v", err)
		}
	})
	return dir
}

// removeAll removes dir, but never what is below a mount point left in it.
func removeAll(dir string) error {
	left, err := mountsUnder(dir)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("still mounted: %s", strings.Join(left, ", "))
	}
	return os.RemoveAll(dir)
}

// mountsUnder lists the mount points at or below dir.
func mountsUnder(dir string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		p := unescape.Replace(f[4])
		if p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") {
			out = append(out, p)
		}
	}
	return out, nil
}

// unescape undoes what mountinfo does to white space in names.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountPoint makes a directory to mount on.
func mountPoint(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Disk(t), "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
