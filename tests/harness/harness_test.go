package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m) }

func TestNamespaceIsPrivate(t *testing.T) {
	dir := Tmpfs(t)
	b, err := os.ReadFile("/proc/1/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), dir) {
		t.Errorf("init sees %s", dir)
	}
	if at, err := mountsUnder(dir); err != nil || len(at) != 1 {
		t.Errorf("mounts under %s: %v, %v", dir, at, err)
	}
}

// A thread's credentials and umask are its own, and nobody else's.
func TestThreadsAreDifferentUsers(t *testing.T) {
	dir := Disk(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	a := As(t, Cred{Uid: 1001, Gid: 1001, Groups: []uint32{2001}})
	b := As(t, Cred{Uid: 1002, Gid: 2001})
	var made, read error
	a.Do(func() {
		unix.Umask(0o027)
		var fd int
		if fd, made = unix.Open(filepath.Join(dir, "f"), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o666); made == nil {
			unix.Close(fd)
			made = unix.Chown(filepath.Join(dir, "f"), -1, 2001)
		}
	})
	b.Do(func() { read = unix.Access(filepath.Join(dir, "f"), unix.W_OK) })
	if made != nil || read != unix.EACCES {
		t.Errorf("made: %v; write access of a group member: %v", made, read)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "f"), &st); err != nil || st.Mode&0o777 != 0o640 || st.Uid != 1001 || st.Gid != 2001 {
		t.Errorf("%o %d:%d, %v", st.Mode, st.Uid, st.Gid, err)
	}
	if unix.Geteuid() != 0 {
		t.Error("the test is no longer root")
	}
}

func TestServe(t *testing.T) {
	src := Disk(t)
	if err := os.WriteFile(filepath.Join(src, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := Serve(t, src)
	if b, err := os.ReadFile(filepath.Join(m.Dir, "f")); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	if err := m.Stop(); err != nil {
		t.Error(err)
	}
}

// A server that ends with another status than expected is an error.
func TestStopReportsStatus(t *testing.T) {
	m := ServeWith(t, &Options{Killed: true, Limits: map[string]uint64{"n": 512}}, Disk(t))
	var lim unix.Rlimit
	if err := unix.Prlimit(m.Process.Pid, unix.RLIMIT_NOFILE, nil, &lim); err != nil || lim.Max != 512 {
		t.Errorf("descriptors: %+v, %v", lim, err)
	}
	m.o.Killed = false
	if err := m.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-m.Done()
	if err := m.takeDown(); err == nil {
		t.Error("a killed server was taken for one that ended well")
	}
	m.o.Killed = true
}
