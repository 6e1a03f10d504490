package mount

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(clientVar); dir != "" {
		os.Exit(clientMain(dir))
	}
	harness.Main(m)
}

// within fails the test unless f becomes true in time.
func within(t testing.TB, d time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

// mounted reports how many mounts lie on dir or below, by mountinfo, which
// asks no server.
func mounted(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	for _, l := range mountinfo(t) {
		at := strings.Fields(l)[4]
		if at == dir || strings.HasPrefix(at, dir+"/") {
			n++
		}
	}
	return n
}

func mountinfo(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// servers returns the processes that run the program under test.
func servers(t testing.TB) []int {
	t.Helper()
	bin := harness.Binary(t)
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range exes {
		// One that ended meanwhile has no exe any more.
		if to, err := os.Readlink(e); err == nil && to == bin {
			pid, err := strconv.Atoi(strings.Split(e, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// noServers fails the test if a server outlives its mount.
func noServers(t testing.TB) {
	t.Helper()
	within(t, 10*time.Second, "every server has ended", func() bool { return len(servers(t)) == 0 })
}

// newDir makes a mountpoint.
func newDir(t testing.TB) string {
	t.Helper()
	dir := harness.Disk(t)
	t.Cleanup(func() {
		for mounted(t, dir) > 0 {
			t.Errorf("%s was left mounted", dir)
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Errorf("detaching %s: %v", dir, err)
				return
			}
		}
	})
	return dir
}

func put(t testing.TB, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// status is the exit status of a finished command: -1 by a signal.
func status(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return -2
}

// procStatus reads a field of /proc/PID/status, in kB where it has a unit.
func procStatus(t testing.TB, pid int, field string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in /proc/%d/status", field, pid)
	return 0
}
