package mount

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestBinarySize: the program for small systems stays small.
func TestBinarySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passthrough")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags=tiny", "-trimpath", "-ldflags=-s -w -funcalign=1",
		"-o", path, "github.com/fusewire/fusewire/cmd/passthrough")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", st.Size())
	if st.Size() >= 2_000_000 {
		t.Errorf("the stripped static binary has %d bytes, 2,000,000 or more", st.Size())
	}
}

// TestIdleMemory: a mount that nobody uses costs next to nothing, and one that
// was used gives back what it needed.
func TestIdleMemory(t *testing.T) {
	src := harness.Disk(t)
	trees(t, src, 0)
	put(t, filepath.Join(src, "big"), strings.Repeat("x", 32<<20))
	m := harness.Serve(t, src)
	idle := procStatus(t, m.Process.Pid, "VmRSS")
	t.Logf("idle: VmRSS %d kB, %d threads", idle, procStatus(t, m.Process.Pid, "Threads"))
	if idle >= 6000 {
		t.Errorf("an idle mount takes %d kB", idle)
	}
	time.Sleep(time.Second) // what happened at the start dies down
	ticks := cpuTicks(t, m.Process.Pid)
	switches := ctxSwitches(t, m.Process.Pid)
	time.Sleep(2 * time.Second)
	t.Logf("in 2 s without requests: %d ticks, %d context switches", cpuTicks(t, m.Process.Pid)-ticks, ctxSwitches(t, m.Process.Pid)-switches)
	if n := ctxSwitches(t, m.Process.Pid) - switches; n > 5 {
		t.Errorf("an idle server woke up %d times in 2 s", n)
	}
	for _, use := range []string{"find . -printf '%s\n' >/dev/null", "ls -lR . >/dev/null", "cat big big big | wc -c"} {
		cmd := exec.Command("sh", "-c", use)
		cmd.Dir = m.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", use, err, out)
		}
		rss := procStatus(t, m.Process.Pid, "VmRSS")
		t.Logf("after %s: VmRSS %d kB, %d threads", use, rss, procStatus(t, m.Process.Pid, "Threads"))
		// 6,000 inodes known to the kernel, and a few touched slots of 1 MiB.
		if rss >= 16000 {
			t.Errorf("after %s the server takes %d kB", use, rss)
		}
	}
}

func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var u, s int
	if _, err := fmt.Sscan(f[11]+" "+f[12], &u, &s); err != nil {
		t.Fatal(err)
	}
	return u + s
}

// ctxSwitches sums voluntary context switches over a process's threads.
func ctxSwitches(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, p := range tasks {
		b, err := os.ReadFile(p)
		if err != nil {
			continue // the thread ended
		}
		for l := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(l, "voluntary_ctxt_switches:"); ok {
				var n int
				if _, err := fmt.Sscan(v, &n); err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}

// trees makes 2,000 files in one directory, 2,000 in a hundred, and 2,000 down
// a path of a hundred directories, owned by uid.
func trees(t *testing.T, root string, uid int) {
	t.Helper()
	deep := "deep"
	for i := range 100 {
		deep += fmt.Sprintf("/d%d", i)
		wide := fmt.Sprintf("wide/d%d", i)
		for _, d := range []string{deep, wide, "flat"} {
			if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for k := range 20 {
			for _, f := range []string{fmt.Sprintf("%s/f%d", deep, k), fmt.Sprintf("%s/f%d", wide, k), fmt.Sprintf("flat/f%d-%d", i, k)} {
				if err := os.WriteFile(filepath.Join(root, f), []byte(f), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if uid != 0 {
		if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", uid, uid), root).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v\n%s", err, out)
		}
	}
}

// TestNofile: 1024 descriptors are enough for any number of files, for a
// server that can open by file handle and for one that can not.
func TestNofile(t *testing.T) {
	for _, u := range []struct {
		name string
		cred harness.Cred
	}{
		{"root", harness.Cred{}},
		{"unprivileged", harness.Cred{Uid: 1000, Gid: 1000}},
	} {
		t.Run(u.name, func(t *testing.T) {
			src := harness.Disk(t)
			trees(t, src, int(u.cred.Uid))
			o := &harness.Options{Limits: map[string]uint64{"n": 1024}}
			if u.cred.Uid != 0 {
				harness.OpenFuse(t)
				o.User = &u.cred
			}
			m := harness.ServeWith(t, o, src)
			sh := func(dir, script string) string {
				t.Helper()
				cmd := exec.Command("timeout", "60", "sh", "-c", script)
				cmd.Dir = "/"
				cmd.Env = append(os.Environ(), "D="+dir, "LC_ALL=C")
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: u.cred.Uid, Gid: u.cred.Gid, Groups: u.cred.Groups}}
				var errs strings.Builder
				cmd.Stderr = &errs
				out, err := cmd.Output()
				if err != nil || errs.Len() > 0 {
					t.Errorf("%s in %s: %v\n%.2000s", script, dir, err, errs.String())
				}
				return string(out)
			}
			for _, script := range []string{
				`cd "$D" && find . -printf '%P %y %m %s %n %U\n' | sort`,
				`cd "$D" && ls -lR`,
				`cd "$D" && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum`,
				`cd "$D" && for i in 1 2 3; do find . -type f -printf '%P %s\n' | sort | sha256sum & done; wait`,
				// Every inode is known by now: from the leaves up, and renamed under way.
				`cd "$D" && mv deep moved && find . -depth -printf '%P %s\n' | grep -v '^[^ ]* 4096$' | sort | sha256sum; mv moved deep`,
				`cd "$D" && mkdir new && cp -r wide/d1 wide/d2 new && rm -r wide/d1 wide/d2 && mv new/* wide/ && rmdir new && ls wide | wc -l`,
			} {
				start := time.Now()
				served := sh(m.Dir, script)
				took := time.Since(start)
				if native := sh(src, script); served != native {
					t.Errorf("%s: differs from native: %d bytes, natively %d", script, len(served), len(native))
				}
				t.Logf("%.2fs: %s", took.Seconds(), script)
			}
			// Open files have descriptors too, and keep them.
			var open []*os.File
			th := harness.As(t, u.cred)
			th.Do(func() {
				for i := range 400 {
					f, err := os.Open(filepath.Join(m.Dir, fmt.Sprintf("flat/f%d-%d", i%100, i/100)))
					if err != nil {
						t.Errorf("open file %d: %v", i, err)
						return
					}
					open = append(open, f)
				}
			})
			sh(m.Dir, `cd "$D" && find . -printf '%s\n' >/dev/null && ls -lR >/dev/null`)
			b := make([]byte, 64)
			for i, f := range open {
				want := fmt.Sprintf("flat/f%d-%d", i%100, i/100)
				if n, err := f.ReadAt(b, 0); string(b[:n]) != want {
					t.Errorf("open file %d: %q, %v", i, b[:n], err)
				}
				f.Close()
			}
			fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("the server holds %d descriptors, VmRSS %d kB", len(fds), procStatus(t, m.Process.Pid, "VmRSS"))
			if len(fds) >= 1024 {
				t.Errorf("the server holds %d descriptors of 1024", len(fds))
			}
			// An ordinary user is told that there is no kernel passthrough.
			out := strings.TrimPrefix(m.Output(), "passthrough: no kernel passthrough (it needs CAP_SYS_ADMIN): reads and writes are served here\n")
			if out != "" {
				t.Errorf("the server complained:\n%s", out)
			}
		})
	}
}
