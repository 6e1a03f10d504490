package writeback

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// bdi returns what the kernel has of a mount's limits.
func bdi(t *testing.T, mnt string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(mnt, &st); err != nil {
		t.Fatal(err)
	}
	var l []string
	for _, name := range []string{"max_ratio", "strict_limit", "read_ahead_kb"} {
		b, err := os.ReadFile(fmt.Sprintf("/sys/class/bdi/%d:%d/%s", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), name))
		if err != nil {
			t.Fatal(err)
		}
		l = append(l, strings.TrimSpace(string(b)))
	}
	return strings.Join(l, " ")
}

// becomes waits for the limits: in the foreground they are set after the mount answers.
func becomes(t *testing.T, mnt, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = bdi(t, mnt); got == want {
			return
		}
	}
	t.Errorf("max_ratio, strict_limit, read_ahead_kb: %s, want %s", got, want)
}

// TestLimits: the kernel's limits for a mount are what the options say, and its own
// without.
func TestLimits(t *testing.T) {
	_, plain := mounted(t)
	own := bdi(t, plain)
	if !strings.HasPrefix(own, "1 1 ") {
		t.Errorf("without options: %s; the advice in README.md is about 1 1", own)
	}
	_, mnt := mounted(t, "--max-ratio=40", "--strict-limit=0", "--read-ahead-kb=1024")
	becomes(t, mnt, "40 0 1024")
	if got := bdi(t, plain); got != own {
		t.Errorf("another mount: %s, was %s", got, own)
	}
	_, mnt = mounted(t, "-o", "max_ratio=7")
	becomes(t, mnt, "7"+own[1:])
}

// TestLimitsNotRoot: who cannot set them is told, and served.
func TestLimitsNotRoot(t *testing.T) {
	harness.OpenFuse(t)
	src := harness.Disk(t)
	m := harness.ServeWith(t, &harness.Options{User: &harness.Cred{Uid: 1000, Gid: 1000}}, src, "--max-ratio=40")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(m.Output(), "max_ratio: permission denied") && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if s := m.Output(); !strings.Contains(s, "cannot set /sys/class/bdi/") || !strings.Contains(s, "max_ratio: permission denied; going on without") {
		t.Errorf("it says %q", s)
	}
}
