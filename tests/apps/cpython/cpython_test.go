package cpython

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// python is the distribution's, whose test suite is packaged beside it.
const python = "/usr/bin/python3"

// modules are the tests to run.
var modules = []string{"test_os", "test_posix", "test_shutil", "test_mmap", "test_fcntl", "test_selectors"}

// differ names the tests that end differently on a FUSE mount, whatever its
// server does, and why. A test that no longer differs has to leave the list.
var differ = map[string]string{
	"test.test_selectors.DefaultSelectorTestCase.test_register_file": pollable,
	"test.test_selectors.EpollSelectorTestCase.test_register_file":   pollable,
}

const pollable = "wants epoll_ctl to refuse a regular file, but fs/fuse/file.c: fuse_file_operations has a " +
	"poll method, so that the kernel lets any FUSE file be watched"

func TestCPython(t *testing.T) {
	if out, err := exec.Command(python, "-c", "import test.test_os, test.test_selectors").CombinedOutput(); err != nil {
		t.Fatalf("%s lacks its test suite (Debian: libpython3.N-testsuite): %v\n%s", python, err, out)
	}
	base, src := harness.Disk(t), harness.Disk(t)
	m := harness.Serve(t, src, "-o", "allow_other,default_permissions")
	for _, w := range []struct {
		name string
		cred *syscall.Credential
	}{
		{"root", &syscall.Credential{Uid: 0, Gid: 0, Groups: []uint32{0}}},
		{"user", &syscall.Credential{Uid: 1000, Gid: 1000, Groups: []uint32{1000, 1001}}},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			native, mount := filepath.Join(base, w.name), filepath.Join(m.Dir, w.name)
			reports := harnessDir(t, base, w.name+"-reports", w.cred)
			n := make(chan results)
			go func() { n <- run(native, filepath.Join(reports, "native.xml"), w.cred, modules...) }()
			onMount := run(mount, filepath.Join(reports, "mount.xml"), w.cred, modules...)
			onNative := <-n
			compare(t, onNative, onMount, func(test string) (results, results) {
				module, _, _ := strings.Cut(strings.TrimPrefix(test, "test."), ".")
				return run(native, filepath.Join(reports, "native2.xml"), w.cred, "-m", test, module),
					run(mount, filepath.Join(reports, "mount2.xml"), w.cred, "-m", test, module)
			})
		})
	}
}

func harnessDir(t *testing.T, base, name string, cred *syscall.Credential) string {
	t.Helper()
	dir := filepath.Join(base, name)
	if err := mkdirFor(dir, cred); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdirFor(dir string, cred *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

// results is how each test ended: pass, skip or fail.
type results struct {
	status map[string]string
	took   time.Duration
	output string
	err    error
}

// run runs python's regression tests with the working directory and all
// temporary files in dir. args are modules and options of them.
func run(dir, report string, cred *syscall.Credential, args ...string) results {
	if err := mkdirFor(dir, cred); err != nil {
		return results{err: err}
	}
	// Python would write caches beside its modules as root.
	args = append([]string{"-B", "-m", "test", "--tempdir", dir, "--junit-xml", report, "-v"}, args...)
	cmd := exec.Command(python, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: cred}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return results{err: err}
	}
	stop := time.AfterFunc(170*time.Second, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait() // its status is in the report
	stop.Stop()
	res := results{took: time.Since(start), output: out.String()}
	res.status, res.err = readReport(report)
	if res.err != nil {
		res.err = fmt.Errorf("%w (python: %v)\n%s", res.err, err, tail(res.output, 60))
	}
	return res
}

// readReport reads a JUnit report and removes it.
func readReport(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	var doc struct {
		Suites []struct {
			Cases []struct {
				Name    string     `xml:"name,attr"`
				Result  string     `xml:"result,attr"`
				Skipped []struct{} `xml:"skipped"`
				Failure []struct{} `xml:"failure"`
				Error   []struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	status := map[string]string{}
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			switch {
			case len(c.Failure)+len(c.Error) > 0:
				status[c.Name] = "fail"
			case len(c.Skipped) > 0:
				status[c.Name] = "skip"
			case c.Result == "completed" && status[c.Name] == "":
				status[c.Name] = "pass"
			case status[c.Name] == "":
				status[c.Name] = c.Result
			}
		}
	}
	return status, nil
}

func compare(t *testing.T, native, mount results, again func(test string) (results, results)) {
	t.Helper()
	if native.err != nil || mount.err != nil {
		t.Fatalf("native: %v\nmount: %v", native.err, mount.err)
	}
	if len(native.status) < 500 {
		t.Fatalf("only %d tests ran natively:\n%s", len(native.status), tail(native.output, 60))
	}
	all := maps.Clone(native.status)
	maps.Copy(all, mount.status)
	count := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		count[mount.status[name]]++
		if native.status[name] == mount.status[name] {
			if _, ok := differ[name]; ok {
				t.Errorf("%s ends as it does natively: take it off the list", name)
			}
			continue
		}
		if why, ok := differ[name]; ok {
			t.Logf("%s: %s natively, %s here: %s", name, native.status[name], mount.status[name], why)
			continue
		}
		// Tests about time may fail under load, on either side: one that
		// differs runs again, alone, and counts if it still differs.
		n, m := again(name)
		if n.err != nil || m.err != nil {
			t.Errorf("%s again: native: %v\nmount: %v", name, n.err, m.err)
		} else if n.status[name] != m.status[name] {
			t.Errorf("%s: natively %q, on the mount %q\n%s", name, n.status[name], m.status[name], tail(m.output, 60))
		} else {
			t.Logf("%s differed under load and not alone", name)
		}
	}
	t.Logf("%d pass, %d skipped, %d fail on the mount in %.1fs (natively %.1fs)",
		count["pass"], count["skip"], count["fail"], mount.took.Seconds(), native.took.Seconds())
}

func tail(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
