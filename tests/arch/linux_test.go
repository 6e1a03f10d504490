package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// mayBeMissing are what qemu's user mode does not know. A test that needs one of
// them skips and names it.
var mayBeMissing = []string{
	"pwritev2(2) is missing", "no preadv2 here", "no RWF_NOWAIT here: " + syscall.ENOSYS.Error(),
	"no io_uring here: io_uring setup: " + syscall.ENOSYS.Error(), "ioctl(FS_IOC_FSGETXATTR) is missing",
}

// asRoot are the packages with a test that takes root.
var asRoot = []string{"aio"}

var (
	skipped = regexp.MustCompile(`(?m)^ *--- SKIP: (\S+)`)
	turn    = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +(\S+)$`)
)

// excused lists the tests that said that one of mayBeMissing is.
func excused(out string) map[string]bool {
	names := map[string]bool{}
	now := ""
	for l := range strings.Lines(out) {
		if m := turn.FindStringSubmatch(strings.TrimSuffix(l, "\n")); m != nil {
			now = m[1]
		} else if slices.ContainsFunc(mayBeMissing, func(s string) bool { return strings.Contains(l, s) }) {
			names[now] = true
		}
	}
	return names
}

// TestRunLinux runs the tests of the packages for Linux, built for a big-endian
// machine and for a 32-bit one, as nobody, with a bound on time and memory.
func TestRunLinux(t *testing.T) {
	bins, err := os.MkdirTemp("", "fusewire-arch-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bins) }) // when the subtests, which run at once, have ended
	if err := os.Chmod(bins, 0o755); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(bins, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ goarch, qemu string }{{"s390x", "qemu-s390x-static"}, {"386", "qemu-i386-static"}} {
		// One command compiles what they have in common once.
		dir := filepath.Join(bins, m.goarch)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		args := []string{"test", "-c", "-o", dir + "/"}
		for _, p := range linux {
			args = append(args, "./"+p)
		}
		run(t, "../..", []string{"GOOS=linux", "GOARCH=" + m.goarch, "CGO_ENABLED=0"}, "go", args...)
		if t.Failed() {
			return
		}
		var prefix []string
		if m.goarch != runtime.GOARCH && (m.goarch != "386" || runtime.GOARCH != "amd64") {
			qemu, err := exec.LookPath(m.qemu)
			if err != nil {
				t.Fatalf("%v: apt-get install qemu-user-static", err)
			}
			prefix = []string{qemu}
		}
		emulated := len(prefix) > 0
		for _, p := range linux {
			t.Run(m.goarch+"/"+p, func(t *testing.T) {
				t.Parallel()
				// The kernel's kill at the bound would be silent; this is ENOMEM.
				argv := []string{"-c", `ulimit -v 8000000 && exec "$0" "$@"`}
				argv = append(append(argv, prefix...), filepath.Join(dir, filepath.Base(p)+".test"), "-test.v", "-test.timeout=8m")
				if emulated {
					argv = append(argv, "-test.short")
				}
				cmd := exec.Command("/bin/sh", argv...)
				cmd.Dir = filepath.Join("../..", p)
				cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
				if emulated { // or signals come faster than they are emulated
					cmd.Env = append(cmd.Env, "GODEBUG=asyncpreemptoff=1")
				}
				if os.Geteuid() == 0 && !slices.Contains(asRoot, p) {
					cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
				}
				out, err := cmd.CombinedOutput()
				if err != nil || !strings.HasSuffix(string(out), "PASS\n") {
					t.Fatalf("%v\n%s", err, out)
				}
				may := excused(string(out))
				for _, m := range skipped.FindAllStringSubmatch(string(out), -1) {
					if !emulated || !may[m[1]] {
						t.Errorf("%s skipped, and not for what qemu lacks:\n%s", m[1], out)
					}
				}
			})
		}
	}
}
