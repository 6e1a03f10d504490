package writeback

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// little makes a cgroup of this much memory, v2 or v1, and returns the file that
// processes are moved into it with. The test is skipped where there is no controller.
func little(t *testing.T, n int64) (procs string) {
	t.Helper()
	var why []error
	for _, v := range []struct{ root, limit, enable string }{
		{"/sys/fs/cgroup", "memory.max", "cgroup.subtree_control"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", ""},
	} {
		var st unix.Statfs_t
		if err := unix.Statfs(v.root, &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC && st.Type != unix.CGROUP_SUPER_MAGIC {
			continue
		}
		if v.enable != "" { // it may be enabled already, and if not, the limit's file is missed
			_ = os.WriteFile(filepath.Join(v.root, v.enable), []byte("+memory"), 0)
		}
		dir := filepath.Join(v.root, fmt.Sprint("fusewire-", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			why = append(why, err)
			continue
		}
		t.Cleanup(func() {
			// Who was in it has ended by now, but it may take the kernel a moment to see that.
			err := unix.Rmdir(dir)
			for end := time.Now().Add(20 * time.Second); err == unix.EBUSY && time.Now().Before(end); err = unix.Rmdir(dir) {
				time.Sleep(5 * time.Millisecond)
			}
			if err != nil {
				t.Error("removing the cgroup:", err)
			}
		})
		f, err := os.OpenFile(filepath.Join(dir, v.limit), os.O_WRONLY, 0) // never made: it is there or not
		if err == nil {
			_, err = f.WriteString(strconv.FormatInt(n, 10))
			err = errors.Join(err, f.Close())
		}
		if err == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
		why = append(why, err)
	}
	t.Skipf("no cgroup controller for memory: %v", errors.Join(why...))
	return ""
}

// TestLittleMemory: a file four times as large as the memory that both the writer and
// the server have is written, neither getting stuck nor failing.
func TestLittleMemory(t *testing.T) {
	memory := int64(64 << 20)
	if os.Getenv("FUSEWIRE_LONG") != "" {
		memory = 256 << 20
	}
	procs := little(t, memory)
	from, src := filepath.Join(harness.Tmpfs(t), "f"), harness.Disk(t) // a disk: memory could not hold it
	sum := pour(t, from, 4*memory)
	m := harness.Serve(t, src, "--writeback")
	if err := os.WriteFile(procs, []byte(strconv.Itoa(m.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `echo $$ >"$0" && exec cp "$1" "$2"`, procs, from, m.Dir+"/f")
	var out bytes.Buffer
	cmd.Stderr = &out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("cp: %v: %s", err, strings.TrimSpace(out.String()))
		}
	case <-time.After(3 * time.Minute):
		_ = m.Process.Kill() // which frees the writer
		t.Fatalf("stuck: %s", strings.TrimSpace(out.String()))
	}
	t.Logf("%d MiB in %v", 4*memory>>20, time.Since(begin).Round(time.Millisecond))
	if !reached(t, filepath.Dir(procs)) {
		t.Error("the memory was enough: nothing was tested")
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := check(t, src+"/f"); got != sum {
		t.Errorf("the copy is %v, not %v", got, sum)
	}
}

// reached reports whether a cgroup has met its limit.
func reached(t *testing.T, dir string) bool {
	t.Helper()
	if b, err := os.ReadFile(dir + "/memory.failcnt"); err == nil {
		return string(b) != "0\n"
	}
	b, err := os.ReadFile(dir + "/memory.events")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), "\nmax ") && !strings.Contains(string(b), "\nmax 0\n")
}

// content is a file's size and a sum of it.
type content struct{ size, sum uint64 }

func (c *content) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c.sum = c.sum*0x9e3779b97f4a7c15 + binary.LittleEndian.Uint64(b)
		c.size += 8
	}
}

// pour makes a file of n bytes, no two pages alike.
func pour(t *testing.T, name string, n int64) (c content) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	x := uint64(1)
	for ; n > 0; n -= int64(len(b)) {
		for i := 0; i < len(b); i += 8 {
			x = x*0x9e3779b97f4a7c15 + 1
			binary.LittleEndian.PutUint64(b[i:], x)
		}
		c.add(b)
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func check(t *testing.T, name string) (c content) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(f, b)
		c.add(b[:n])
		if err != nil {
			return c // the size says how far it came
		}
	}
}
