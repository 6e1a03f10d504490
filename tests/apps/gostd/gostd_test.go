package gostd

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// packages are the tests to run.
var packages = []string{"os", "io/fs", "path/filepath", "cmd/go/internal/lockedfile"}

// differ names the tests that end differently on a FUSE mount, whatever its
// server does, and why. A test that no longer differs has to leave the list.
var differ = map[string]string{
	"os.TestNonpollableDeadline": "wants epoll_ctl to refuse a regular file, but fs/fuse/file.c: " +
		"fuse_file_operations has a poll method, so that the kernel lets any FUSE file be watched",
}

// apart are tests that open no file. These write into pipes as fast as they
// can for seconds, which on two processors makes the tests about time fail.
const apart = "^TestVariousDeadlines"

// who runs the tests, and on what. The ordinary user has a second group, as
// people have, and works on tmpfs: ext4 looks for inodes that were not deleted
// in the last seconds (fs/ext4/ialloc.c: recently_deleted), and these tests
// delete so many that it does little else.
var who = []struct {
	name string
	cred *syscall.Credential
	on   func(testing.TB) string
}{
	{"root", &syscall.Credential{Uid: 0, Gid: 0, Groups: []uint32{0}}, harness.Disk},
	{"user", &syscall.Credential{Uid: 1000, Gid: 1000, Groups: []uint32{1000, 1001}}, harness.Tmpfs},
}

func TestGoStd(t *testing.T) {
	goroot := goEnv(t, "GOROOT")
	cache := goEnv(t, "GOCACHE")
	base := harness.Disk(t)
	bins := map[string]string{}
	for _, p := range packages {
		bin := filepath.Join(base, strings.ReplaceAll(p, "/", "-")+".test")
		cmd := exec.Command("go", "test", "-c", "-o", bin, p)
		cmd.Dir = filepath.Join(goroot, "src")
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOCACHE="+cache)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building the tests of %s: %v\n%s", p, err, out)
		}
		bins[p] = bin
	}
	for _, w := range who {
		native, src, home := w.on(t), w.on(t), filepath.Join(base, w.name)
		if err := os.Mkdir(home, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(home, int(w.cred.Uid), int(w.cred.Gid)); err != nil {
			t.Fatal(err)
		}
		m := harness.Serve(t, src, "-o", "allow_other,default_permissions")
		for _, p := range packages {
			name := strings.ReplaceAll(p, "/", "-")
			t.Run(name+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				r := &runner{pkg: p, bin: bins[p], dir: filepath.Join(goroot, "src", p), home: home, cred: w.cred}
				n := make(chan results)
				go func() { n <- r.run(filepath.Join(native, name), "") }()
				onMount := r.run(filepath.Join(m.Dir, name), "")
				onNative := <-n
				r.compare(t, onNative, onMount, filepath.Join(native, name), filepath.Join(m.Dir, name))
			})
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// runner runs one package's tests as one user.
type runner struct {
	pkg, bin, dir string
	home          string // not on the mount: a build cache that the runs share
	cred          *syscall.Credential
}

// results is how each test ended: PASS, FAIL or SKIP.
type results struct {
	status map[string]string
	took   time.Duration
	output string
	err    error // the run did not come to its end
}

var statusLine = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)

// run runs the tests that match pattern (all: "") with TMPDIR in tmp.
func (r *runner) run(tmp, pattern string) results {
	if err := os.Mkdir(tmp, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return results{err: err}
	}
	if err := os.Chown(tmp, int(r.cred.Uid), int(r.cred.Gid)); err != nil {
		return results{err: err}
	}
	args := []string{"-test.v", "-test.timeout=240s", "-test.count=1", "-test.skip=" + apart}
	if pattern != "" {
		args = append(args, "-test.run="+pattern)
	}
	cmd := exec.Command(r.bin, args...)
	cmd.Dir = r.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.home, "TMPDIR=" + tmp, "GOCACHE=" + filepath.Join(r.home, "cache"),
		"GOFLAGS=", "GOTOOLCHAIN=local", "GOPROXY=off", "GOTELEMETRY=off", "GOENV=off", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: r.cred}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return results{err: err}
	}
	stop := time.AfterFunc(260*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	stop.Stop()
	res := results{status: map[string]string{}, took: time.Since(start), output: out.String()}
	for l := range strings.Lines(res.output) {
		if m := statusLine.FindStringSubmatch(l); m != nil {
			res.status[m[2]] = m[1]
		}
	}
	// A run that came to its end says PASS or FAIL last.
	last := strings.Split(strings.TrimSpace(res.output), "\n")
	if end := last[len(last)-1]; end != "PASS" && end != "FAIL" {
		res.err = fmt.Errorf("ended early: %v\n%s", err, tail(res.output, 60))
	}
	return res
}

func (r *runner) compare(t *testing.T, native, mount results, nativeDir, mountDir string) {
	t.Helper()
	if native.err != nil || mount.err != nil {
		t.Fatalf("native: %v\nmount: %v", native.err, mount.err)
	}
	if len(native.status) == 0 {
		t.Fatalf("no test ran natively:\n%s", native.output)
	}
	count := map[string]int{}
	tops := map[string]bool{}
	for _, name := range names(native, mount) {
		count[mount.status[name]]++
		if native.status[name] != mount.status[name] {
			top, _, _ := strings.Cut(name, "/")
			tops[top] = true
		}
	}
	t.Logf("%s: %d pass, %d skipped, %d fail on the mount in %.1fs (natively %.1fs)",
		r.pkg, count["PASS"], count["SKIP"], count["FAIL"], mount.took.Seconds(), native.took.Seconds())
	// Tests about time may fail under load, on either side: one that differs
	// runs again, alone, and counts if it still differs.
	differs := map[string]bool{}
	for _, top := range slices.Sorted(maps.Keys(tops)) {
		again, alone := r.run(nativeDir, "^"+top+"$"), r.run(mountDir, "^"+top+"$")
		for _, name := range names(again, alone) {
			if again.status[name] == alone.status[name] {
				continue
			}
			id := r.pkg + "." + name
			differs[id] = true
			if why, ok := differ[id]; ok {
				t.Logf("%s: %s natively, %s here: %s", id, again.status[name], alone.status[name], why)
				continue
			}
			t.Errorf("%s: natively %q, on the mount %q\n%s", id, again.status[name], alone.status[name], tail(alone.output, 60))
		}
		if again.err != nil || alone.err != nil {
			t.Errorf("%s again: native: %v\nmount: %v", top, again.err, alone.err)
		}
		if native.status[top] != "FAIL" && !t.Failed() && !differs[r.pkg+"."+top] {
			t.Logf("%s.%s differed under load and not alone\n%s", r.pkg, top, section(mount.output, top))
		}
	}
	for id := range differ {
		if strings.HasPrefix(id, r.pkg+".") && !differs[id] {
			t.Errorf("%s ends as it does natively: take it off the list", id)
		}
	}
}

// names are all tests of two runs, sorted.
func names(a, b results) []string {
	all := maps.Clone(a.status)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b.status)
	return slices.Sorted(maps.Keys(all))
}

// section is what a run printed about one test.
func section(output, test string) string {
	_, rest, _ := strings.Cut(output, "=== RUN   "+test+"\n")
	s, _, _ := strings.Cut(rest, "=== RUN   Test")
	return tail(s, 40)
}

func tail(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
