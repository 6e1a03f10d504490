package arch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// pkg is the only package that promises to build everywhere.
const pkg = "../../protocol"

// linux are the others, which TestRunLinux runs.
var linux = []string{"sg", "sg/clock", "sg/unix", "aio", "conn", "conn/conntest", "ops", "ops/passfs"}

// TestMain opens every file that the tests depend on. `go test` remembers a result
// until a file that the test opened changes, and does not see what the go commands
// below open.
func TestMain(m *testing.M) {
	dirs := []string{pkg, "../testdata"}
	for _, p := range linux {
		dirs = append(dirs, filepath.Join("../..", p))
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s %s: %v\n%s", strings.Join(env, " "), name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestBuild compiles protocol, and with it its assertions of sizes and offsets,
// for all targets.
func TestBuild(t *testing.T) {
	for _, target := range []string{
		"linux/amd64", "linux/arm64", "linux/386", "linux/arm", "linux/riscv64", "linux/s390x", "linux/ppc64le",
		"linux/mips", "linux/mipsle", "linux/loong64", "darwin/arm64", "darwin/amd64", "freebsd/amd64", "windows/amd64",
	} {
		t.Run(target, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(target, "/")
			run(t, pkg, []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"}, "go", "build", ".")
		})
	}
}

// TestRun runs protocol's tests, the recorded messages among them, as built for
// s390x (big-endian), arm (32-bit), 386 (32-bit, uint64 aligned to 4) and mips (both,
// and the other encoding of ioctl numbers).
func TestRun(t *testing.T) {
	for _, m := range []struct{ goarch, qemu string }{
		{"s390x", "qemu-s390x-static"},
		{"arm", "qemu-arm-static"},
		{"386", "qemu-i386-static"},
		{"mips", "qemu-mips-static"},
	} {
		t.Run(m.goarch, func(t *testing.T) {
			bin := filepath.Join(t.TempDir(), "protocol.test")
			run(t, pkg, []string{"GOOS=linux", "GOARCH=" + m.goarch, "CGO_ENABLED=0"}, "go", "test", "-c", "-o", bin, ".")
			if t.Failed() {
				return
			}
			cmd := []string{bin, "-test.v", "-test.timeout=5m"}
			if m.goarch != runtime.GOARCH && (m.goarch != "386" || runtime.GOARCH != "amd64") {
				qemu, err := exec.LookPath(m.qemu)
				if err != nil {
					t.Fatalf("%v: apt-get install qemu-user-static", err)
				}
				cmd = append([]string{qemu}, cmd...)
			}
			out := run(t, pkg, nil, cmd[0], cmd[1:]...)
			// A test that does not run proves nothing.
			for _, want := range []string{"TestABI", "TestRecordings", "TestRecordingsRing", "TestSamples", "TestText", "TestAllocs", "FuzzRequest", "FuzzReply"} {
				if !strings.Contains(out, "--- PASS: "+want+" ") {
					t.Errorf("%s has not passed", want)
				}
			}
			if strings.Contains(out, "--- SKIP") || !bytes.HasSuffix([]byte(out), []byte("PASS\n")) {
				t.Errorf("skipped or failed:\n%s", out)
			}
		})
	}
}
