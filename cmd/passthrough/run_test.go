package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests run the program as it is built for use. Those that mount run in a
// process with a mount namespace of its own.

const nsEnv = "PASSTHROUGH_TEST_NS"

// private is true in a child with a private mount namespace in which the calling
// test runs again; in the parent it reports how that went and is false.
func private(t *testing.T) bool {
	t.Helper()
	if os.Getenv(nsEnv) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		t.Fatal("needs root, to make a mount namespace: bash .ci/test runs all tests as root")
	}
	bin := binary(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), nsEnv+"="+t.Name(), "PASSTHROUGH_TEST_BINARY="+bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
	return false
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "passthrough")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "passthrough")
	cmd := exec.Command("go", "build", "-tags=tiny", "-trimpath", "-ldflags=-s -w -funcalign=1", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New(string(out))
	}
	return bin, os.Chmod(dir, 0o755)
})

func binary(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("PASSTHROUGH_TEST_BINARY"); bin != "" {
		return bin
	}
	bin, err := build()
	must(t, err)
	return bin
}

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("PASSTHROUGH_TEST_BINARY") == "" {
		if bin, err := build(); err == nil {
			os.RemoveAll(filepath.Dir(bin))
		}
	}
	os.Exit(code)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs the program to its end, or to that of its parent half.
func run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := exec.Command(binary(t), args...)
	// a pipe would stay open as long as the daemon lives
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("%q: something still holds stdout or stderr", args)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// at sees that what is on a mountpoint ends.
func at(t *testing.T, dir string) {
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

func mountLine(dir string) string {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, " "+dir+" ") {
			return l
		}
	}
	return ""
}

// until waits for something to become true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	if !soon(f) {
		t.Fatal("not within 30 s: ", what)
	}
}

func soon(f func() bool) bool {
	for i := 0; !f(); i++ {
		if i == 1500 {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// served finds the process that serves dir, by its command line.
func served(dir string) (pid int) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		b, _ := os.ReadFile(name)
		if bytes.Contains(b, []byte("\x00"+dir+"\x00")) && bytes.HasPrefix(b, []byte(os.Getenv("PASSTHROUGH_TEST_BINARY")+"\x00")) {
			pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	return 0
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		out    string
		err    string
	}{
		{[]string{"--help"}, 0, string(helpText()), ""},
		{[]string{"-V"}, 0, "passthrough " + version + " (fusewire, FUSE 7.46)\n", ""},
		{nil, 2, "", "passthrough: SRC and MNT are missing (see passthrough --help)\n"},
		{[]string{"-q", "a", "b"}, 2, "", "passthrough: unknown option -q (see passthrough --help)\n"},
		{[]string{"", ""}, 1, "", "passthrough: source : no such file or directory\n"},
		{[]string{"/no/such", "/tmp"}, 1, "", "passthrough: source /no/such: no such file or directory\n"},
		{[]string{"-f", "/dev/null", "/tmp"}, 1, "", "passthrough: source /dev/null: not a directory\n"},
		{[]string{"/etc", "/no/such"}, 1, "", "passthrough: mount /no/such: the mountpoint: no such file or directory\n"},
		{[]string{"/", "/tmp"}, 1, "", "passthrough: mount /tmp: the source / contains the mountpoint: too many levels of symbolic links\n"},
		{[]string{"/etc", "/dev/fd/99"}, 1, "", ""},
		{[]string{"--log-file=/no/such/log", "/etc", "/tmp"}, 1, "", "passthrough: /no/such/log: no such file or directory\n"},
	} {
		status, out, err := run(t, c.args...)
		if status != c.status || out != c.out || c.err != "" && err != c.err || strings.Count(err, "\n") != min(c.status, 1) {
			t.Errorf("%q: status %d\nstdout %q\nstderr %q\nwant   %d %q", c.args, status, out, err, c.status, c.err)
		}
	}
}

func TestMountpointIsAFile(t *testing.T) {
	if !private(t) {
		return
	}
	file := t.TempDir() + "/f"
	must(t, os.WriteFile(file, nil, 0o644))
	status, _, said := run(t, t.TempDir(), file)
	if status != 1 || said != "passthrough: mountpoint "+file+": not a directory\n" {
		t.Errorf("%d %q", status, said)
	}
	if l := mountLine(file); l != "" {
		t.Errorf("left behind: %s", l)
	}
}

func TestBackground(t *testing.T) {
	if !private(t) {
		return
	}
	src, mnt := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(src+"/file", []byte("content"), 0o644))
	at(t, mnt)
	status, out, said := run(t, "-o", "ro,noatime,fsname=a b,x-test,nofail", src, mnt)
	if status != 0 || out != "" || said != "" {
		t.Fatalf("%d %q %q", status, out, said)
	}
	// it answers at once
	if b, err := os.ReadFile(mnt + "/file"); string(b) != "content" {
		t.Errorf("%q %v", b, err)
	}
	if err := os.WriteFile(mnt+"/new", nil, 0o644); !errors.Is(err, unix.EROFS) {
		t.Error(err)
	}
	if l := mountLine(mnt); !strings.Contains(l, " ro,nosuid,nodev,noatime ") || !strings.Contains(l, ` - fuse.passthrough a\040b ro,`) || !strings.Contains(l, ",default_permissions") {
		t.Error(l)
	}
	pid := served(mnt)
	if pid == 0 {
		t.Fatal("no process")
	}
	if cwd, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); cwd != "/" {
		t.Errorf("cwd %s", cwd)
	}
	for fd := range 3 {
		if to, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(fd)); to != "/dev/null" {
			t.Errorf("descriptor %d is %s", fd, to)
		}
	}
	if sid, err := unix.Getsid(pid); sid != pid {
		t.Errorf("session %d of %d: %v", sid, pid, err)
	}
	if name, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm"); string(name) != "passthrough\n" {
		t.Errorf("comm %q", name)
	}
	rss(t, pid)
	must(t, unix.Unmount(mnt, 0))
	until(t, "the process ends", func() bool { return served(mnt) == 0 })
}

// rss checks what an idle server has in memory. CI gates 6 MB.
func rss(t *testing.T, pid int) {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	must(t, err)
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no VmRSS")
	}
	kb, _ := strconv.Atoi(string(m[1]))
	t.Logf("resident: %d kB", kb)
	if kb >= 6000 {
		t.Errorf("%d kB resident", kb)
	}
}

func TestDebug(t *testing.T) {
	if !private(t) {
		return
	}
	src, mnt := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(src+"/file", []byte("content"), 0o644))
	must(t, unix.Setxattr(src+"/file", "user.x", []byte("value"), 0))
	at(t, mnt)
	p := start(t, "-d", "-s", "--nopassthrough", src, mnt)
	p.ready(t, mnt)
	out, err := exec.Command("sh", "-c", "cat "+mnt+"/file; cat "+mnt+"/none; getfattr -d "+mnt+"/file").CombinedOutput()
	must(t, unix.Unmount(mnt, 0))
	if status := p.end(t); status != 0 {
		t.Errorf("%d\n%s (%v)", status, out, err)
	}
	for _, want := range []string{
		`(?m)^> INIT unique=\S+ .* .major=7 minor=\d+ `, `(?m)^< INIT unique=\S+ ok .major=7 `,
		`(?m)^> LOOKUP unique=\S+ nodeid=1 uid=0 gid=0 pid=\d+ name="file"$`, `(?m)^< LOOKUP unique=\S+ ok .* size=7 `,
		`(?m)^< LOOKUP unique=\S+ error=ENOENT$`, `(?m)^> READ .* size=4096 `, `(?m)^< READ unique=\S+ ok data=7$`,
	} {
		if !regexp.MustCompile(want).MatchString(p.said()) {
			t.Errorf("no line %s in\n%s", want, p.said())
		}
	}
	if strings.Contains(p.said(), "malformed") {
		t.Errorf("malformed:\n%s", p.said())
	}
}

func TestGiven(t *testing.T) {
	if !private(t) {
		return
	}
	for _, background := range []bool{false, true} {
		src, mnt := t.TempDir(), t.TempDir()
		must(t, os.WriteFile(src+"/file", []byte("content"), 0o644))
		at(t, mnt)
		dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		must(t, err)
		must(t, unix.Mount("x", mnt, "fuse", 0, "fd="+strconv.Itoa(int(dev.Fd()))+",rootmode=40000,user_id=0,group_id=0"))
		cmd := exec.Command(binary(t), src, "/dev/fd/3")
		if !background {
			cmd.Args = append(cmd.Args, "-f")
		}
		cmd.ExtraFiles = []*os.File{dev}
		if background {
			must(t, cmd.Run())
		} else {
			must(t, cmd.Start())
		}
		dev.Close()
		if b, err := exec.Command("cat", mnt+"/file").CombinedOutput(); string(b) != "content" {
			t.Errorf("%s %v", b, err)
		}
		must(t, unix.Unmount(mnt, 0))
		if !background {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		} else {
			until(t, "the process ends", func() bool { return served("/dev/fd/3") == 0 })
		}
	}
}

// TestOverItself serves a directory on itself.
func TestOverItself(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/file", []byte("content"), 0o644))
	at(t, dir)
	if status, _, said := run(t, dir, dir); status != 0 {
		t.Fatal(said)
	}
	if b, err := os.ReadFile(dir + "/file"); string(b) != "content" || !strings.Contains(mountLine(dir), "fuse") {
		t.Errorf("%q %v", b, err)
	}
	must(t, unix.Unmount(dir, 0))
	until(t, "the process ends", func() bool { return served(dir) == 0 })
}

// TestFstab mounts as mount(8) does with a line of /etc/fstab.
func TestFstab(t *testing.T) {
	if !private(t) {
		return
	}
	src, mnt := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(src+"/file", []byte("content"), 0o644))
	at(t, mnt)
	bin := binary(t)
	cmd := exec.Command("mount", "-t", "fuse.passthrough", "-o", "defaults,allow_other,_netdev,nofail,x-systemd.automount,noatime,cache=never", src, mnt)
	// mount.fuse3 starts the program through a shell, which looks here
	must(t, unix.Mount(filepath.Dir(bin), "/usr/local/bin", "", unix.MS_BIND, ""))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b, err := os.ReadFile(mnt + "/file"); string(b) != "content" {
		t.Errorf("%q %v", b, err)
	}
	if l := mountLine(mnt); !strings.Contains(l, "noatime") || !strings.Contains(l, "fuse.passthrough "+src+" ") || !strings.Contains(l, "allow_other") {
		t.Error(l)
	}
	must(t, unix.Unmount(mnt, 0))
}

// TestUnprivileged mounts as an ordinary user.
func TestUnprivileged(t *testing.T) {
	if !private(t) {
		return
	}
	node := t.TempDir()
	at(t, node)
	must(t, os.Chmod(filepath.Dir(node), 0o755))
	must(t, unix.Mount("tmpfs", node, "tmpfs", 0, "mode=755"))
	must(t, unix.Mknod(node+"/fuse", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 229))))
	must(t, unix.Chmod(node+"/fuse", 0o666))
	must(t, unix.Mount(node+"/fuse", "/dev/fuse", "", unix.MS_BIND, ""))
	must(t, os.Mkdir(node+"/src", 0o755))
	must(t, os.Mkdir(node+"/mnt", 0o755))
	for _, d := range []string{"/src", "/mnt"} {
		must(t, os.Chown(node+d, 1000, 1000))
	}
	as := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	mnt := node + "/mnt"
	at(t, mnt)
	if out, err := as(binary(t), node+"/src", mnt); err != nil || out != "" {
		t.Fatal(err, out)
	}
	if out, err := as("sh", "-c", "cd "+mnt+" && echo content > file && cat file ../src/file && stat -c %u:%g file"); err != nil || out != "content\ncontent\n1000:1000\n" {
		t.Error(err, out)
	}
	if l := mountLine(mnt); !strings.Contains(l, "user_id=1000") {
		t.Error(l)
	}
	if out, err := as("fusermount3", "-u", mnt); err != nil {
		t.Error(err, out)
	}
	until(t, "the process ends", func() bool { return served(mnt) == 0 })
	// SIGTERM has fusermount3 unmount
	if out, err := as(binary(t), node+"/src", mnt); err != nil || out != "" {
		t.Fatal(err, out)
	}
	must(t, syscall.Kill(served(mnt), unix.SIGTERM))
	until(t, "the process ends", func() bool { return served(mnt) == 0 })
	if l := mountLine(mnt); l != "" {
		t.Error(l)
	}
	// without it
	for _, tool := range []string{"fusermount3", "fusermount"} {
		if p, err := exec.LookPath(tool); err == nil {
			p, _ = filepath.EvalSymlinks(p)
			must(t, unix.Mount("/dev/null", p, "", unix.MS_BIND, ""))
		}
	}
	out, err := as(binary(t), node+"/src", mnt)
	if err == nil || !strings.Contains(out, "mount(2): operation not permitted; fusermount3: not installed (apt install fuse3, or run as root)") || strings.Count(out, "\n") != 1 {
		t.Error(err, out)
	}
}

// proc is a server in the foreground.
type proc struct {
	*exec.Cmd
	mu  sync.Mutex
	err bytes.Buffer
}

func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.Write(b)
}

func (p *proc) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

func start(t *testing.T, args ...string) *proc {
	t.Helper()
	p := &proc{Cmd: exec.Command(binary(t), args...)}
	p.Stderr = p
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, p.Start())
	return p
}

// until is until for something the server does.
func (p *proc) until(t *testing.T, what string, f func() bool) {
	t.Helper()
	if !soon(f) {
		t.Fatalf("not within 30 s: %s; the server said %q", what, p.said())
	}
}

func (p *proc) ready(t *testing.T, mnt string) {
	t.Helper()
	p.until(t, "mounted", func() bool { return strings.Contains(mountLine(mnt), "fuse.passthrough") })
}

// end waits for the end and returns the exit status.
func (p *proc) end(t *testing.T) int {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { p.Process.Kill() })
	defer timer.Stop()
	p.Wait()
	return p.ProcessState.ExitCode()
}
