package passfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/tests/harness"
)

// childVar tells the test binary that it is the child of a test.
const childVar = "FUSEWIRE_TEST_CHILD"

// TestXattrTrusted: trusted.* attributes, those of symlinks too, are root's.
func TestXattrTrusted(t *testing.T) { testTrusted(t, harness.Disk(t)) }

// TestXattrOld is the same on a kernel without the *xattrat system calls (before
// 6.13): a filter in a child process makes them fail as there.
func TestXattrOld(t *testing.T) {
	if dir := os.Getenv(childVar); dir != "" {
		withoutXattrat(t)
		testTrusted(t, dir)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestXattrOld$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), childVar+"="+harness.Disk(t))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestXattrOld") {
		t.Errorf("in the child: %v\n%s", err, out)
	}
}

// withoutXattrat takes setxattrat(2), 463, and its kin up to 466 from every
// thread of this process, for good.
func withoutXattrat(t *testing.T) {
	t.Helper()
	const nr = 463 // on every architecture
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: nr, Jf: 2},
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: nr + 3, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	must(t, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		t.Fatal("seccomp:", e)
	}
	if _, _, e := unix.Syscall(nr+1, 0, 0, 0); e != unix.ENOSYS {
		t.Fatal("getxattrat:", e)
	}
}

func testTrusted(t *testing.T, dir string) {
	put(t, "data", dir, "f")
	must(t, os.Symlink("f", filepath.Join(dir, "l")))
	c := serve(t, dir, nil)
	id, link := c.lookup(1, "f").Nodeid, c.lookup(1, "l").Nodeid
	for name, value := range map[string]string{"user.a": "value", "trusted.t": "x"} {
		if e := c.setxattr(id, name, value, 0); e != 0 {
			t.Fatalf("%s: %v", name, e)
		}
		if v, e := c.getxattr(id, name, who{}); e != 0 || v != value {
			t.Errorf("%s: %q, %v", name, v, e)
		}
	}
	if e := c.setxattr(link, "trusted.l", "of the link", 0); e != 0 {
		t.Error("trusted.* of a symlink:", e)
	}
	if v, e := c.getxattr(link, "trusted.l", who{}); e != 0 || v != "of the link" {
		t.Errorf("trusted.* of a symlink: %q, %v", v, e)
	}
	if _, e := c.getxattr(id, "trusted.l", who{}); e != unix.ENODATA {
		t.Error("went through the symlink:", e)
	}
	list := func(id uint64, as who) []string {
		in := protocol.GetxattrIn{Size: 4096}
		b, e := c.call(protocol.OpListxattr, id, as, protocol.BytesOf(&in))
		if e != 0 {
			t.Errorf("list as %d: %v", as.uid, e)
		}
		in.Size = 0
		s, e := c.call(protocol.OpListxattr, id, as, protocol.BytesOf(&in))
		if e != 0 || view[protocol.GetxattrOut](t, s).Size != uint32(len(b)) {
			t.Errorf("size of the list as %d: %v, %v", as.uid, s, e)
		}
		names := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
		slices.Sort(names)
		return names
	}
	for _, x := range []struct {
		id   uint64
		as   who
		want string
	}{{id, who{}, "trusted.t user.a"}, {id, user, "user.a"}, {link, who{}, "trusted.l"}, {link, user, ""}} {
		if got := strings.Join(list(x.id, x.as), " "); got != x.want {
			t.Errorf("list as %d: %q, want %q", x.as.uid, got, x.want)
		}
	}
	// Room for the user's names alone is enough for the user, not for root.
	in := protocol.GetxattrIn{Size: uint32(len("user.a") + 1)}
	for as, want := range map[who]unix.Errno{{}: unix.ERANGE, user: 0} {
		if _, e := c.call(protocol.OpListxattr, id, as, protocol.BytesOf(&in)); e != want {
			t.Errorf("list of %d bytes as %d: %v, want %v", in.Size, as.uid, e, want)
		}
	}
	if _, e := c.call(protocol.OpRemovexattr, link, who{}, cname("trusted.l")); e != 0 {
		t.Error("remove:", e)
	}
	if _, e := c.getxattr(link, "trusted.l", who{}); e != unix.ENODATA {
		t.Error("removed:", e)
	}
}
