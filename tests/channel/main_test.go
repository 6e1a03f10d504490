package channel

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/tests/harness"
)

// childVar tells the test binary that it runs one test as somebody else, inside
// the namespace that the harness made.
const childVar = "FUSEWIRE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		os.Exit(m.Run())
	}
	harness.Main(m)
}

// child reports whether this is the process that runSelf started.
func child() bool { return os.Getenv(childVar) != "" }

// runSelf runs the calling test once more, in a child, and fails if it fails.
func runSelf(t *testing.T, attr *syscall.SysProcAttr) {
	t.Helper()
	// by the magic link: the build directory need not be open to the user
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childVar+"=1", "TMPDIR=/tmp")
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
}

// asUser runs the calling test as uid 1000, who may open /dev/fuse.
func asUser(t *testing.T) {
	t.Helper()
	harness.OpenFuse(t)
	runSelf(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}})
}

// noHelpers takes fusermount away, so that what mounts does it with mount(2).
func noHelpers(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"fusermount3", "fusermount"} {
		if p, err := exec.LookPath(tool); err == nil {
			harness.Cover(t, "/dev/null", p)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mounted mounts and takes care that it ends.
func mounted(t *testing.T, dir string, o *conn.MountOptions) *conn.Mount {
	t.Helper()
	m, err := conn.NewMount(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Detach()
		m.Close()
	})
	return m
}

// tmpfs mounts one on dir until the test ends.
func tmpfs(t *testing.T, dir string) {
	t.Helper()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) }) // EINVAL: the test has done it
}

// line is the line of the mount in mountinfo; "" where it is gone.
func line(t *testing.T, m *conn.Mount) string {
	t.Helper()
	id, _ := m.ID()
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for l := range strings.Lines(string(b)) {
		if strings.HasPrefix(l, strconv.Itoa(id)+" ") {
			return l
		}
	}
	return ""
}

// point is where the mount is, "" where it is gone. Names in these tests need
// no escapes there.
func point(t *testing.T, m *conn.Mount) string {
	t.Helper()
	if f := strings.Fields(line(t, m)); len(f) > 4 {
		return f[4]
	}
	return ""
}

// eventually waits a while for cond to become true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
