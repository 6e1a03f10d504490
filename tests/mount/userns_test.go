package mount

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestSetgroupsDenied serves in a user namespace where setgroups(2) is denied,
// as in a container of an ordinary user. Root there lacks CAP_FSETID for the
// kernel, so its writes take set-id bits; the server must do that, and must not
// give up a thread for each of them because the thread's groups stay.
func TestSetgroupsDenied(t *testing.T) {
	src, mnt := t.TempDir(), t.TempDir()
	f := filepath.Join(src, "f")
	if err := os.WriteFile(f, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f, 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	const script = `
"$1" -f "$2" "$3" & server=$!
i=0
until grep -q " $3 fuse" /proc/self/mounts; do sleep 0.01; i=$((i+1)); [ $i -lt 1000 ] || exit 3; done
for n in 1 2 3 4 5; do echo $n >>"$3/f"; done
stat -c %a "$3/f"
kill $server
wait $server
`
	cmd := exec.Command("sh", "-c", script, "sh", harness.Binary(t), src, mnt)
	one := []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: one, GidMappings: one,
		Pdeathsig: syscall.SIGKILL,
	}
	cmd.WaitDelay = 5 * time.Second
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	// Without the bits the file would be passed through, if that were permitted.
	said, mode, _ := strings.Cut(string(out), "\n")
	if err != nil || mode != "755\n" || !strings.Contains(said, "no kernel passthrough (it needs CAP_SYS_ADMIN)") {
		t.Fatalf("%v: %q, want that nothing is passed through, and the mode without set-id bits", err, out)
	}
	if b, err := os.ReadFile(f); err != nil || string(b) != "1\n2\n3\n4\n5\n" {
		t.Errorf("%q %v", b, err)
	}
}
