package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// The syntax of package protocol's comment, as far as a line's frame and the
// nesting of its parts go.
var (
	number    = `-?(?:0x[0-9a-f]+|[0-9]+)`
	str       = `"(?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*"`
	flagSet   = `(?:[A-Z][A-Z0-9_]*|0x[0-9a-f]+)(?:\|(?:[A-Z][A-Z0-9_]*|0x[0-9a-f]+))*`
	field     = `[a-z_0-9]+=(?:` + number + `|` + flagSet + `|` + str + `|\([^()]*\))`
	strct     = `\((?:` + field + `(?: ` + field + `)*)?\)`
	list      = `\[[^\]]*\]`
	opcode    = `[A-Z][A-Z0-9_]*`
	rest      = `(?: (?:data|forgets|mappings|name|newname|target|ext|names|entries|rest)=(?:` + number + `|` + str + `|` + list + `))*`
	requestRE = regexp.MustCompile(`^> (` + opcode + `) unique=(\d+)(?:\|RESEND)? nodeid=\d+ uid=\d+ gid=\d+ pid=\d+(?: ` + strct + `)?` + rest + `$`)
	replyRE   = regexp.MustCompile(`^< (` + opcode + `) unique=(\d+)(?:\|RESEND)? (?:error=(?:E[A-Z0-9]+|-\d+)|ok(?: ` + strct + `){0,2}` + rest + `)(?: refused: .*)?$`)
	notifyRE  = regexp.MustCompile(`^< NOTIFY (` + opcode + `)(?: ` + strct + `)?` + rest + `(?: refused: .*)?$`)
)

// TestDebugOutput: with -d every message is a line, and every line follows the
// documented syntax.
func TestDebugOutput(t *testing.T) {
	src := harness.Disk(t)
	put(t, filepath.Join(src, "file"), "contents")
	m := harness.Serve(t, src, "-d", "--nopassthrough")
	sh := exec.Command("sh", "-ec", `
cat file; stat missing 2>&1 || true; echo data > 'odd "name" \'; ln -s file sym; readlink sym; mkdir -p d/e; mv d/e d/f; ls -la d .
mkfifo p; ln file hard; setfattr -n user.a -v value file; getfattr -d file; setfattr -x user.a file
flock file true; truncate -s 100000 file; fallocate -p -o 4096 -l 4096 file; cp --sparse=auto file copy; chmod 600 copy; touch copy
rm -r d copy; rmdir p 2>&1 || rm p; df . ; sync -f .; lsattr file 2>&1 || true`)
	sh.Dir = m.Dir
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	// Output keeps the end; the first line may be cut.
	_, out, _ := strings.Cut(m.Output(), "\n")
	seen := map[string]int{}
	open := map[string]string{} // unique -> opcode
	lines := 0
	for l := range strings.Lines(out) {
		lines++
		l = strings.TrimSuffix(l, "\n")
		if r := requestRE.FindStringSubmatch(l); r != nil {
			seen["> "+r[1]]++
			open[r[2]] = r[1]
		} else if r := replyRE.FindStringSubmatch(l); r != nil {
			seen["< "+r[1]]++
			if op, ok := open[r[2]]; ok && op != r[1] {
				t.Errorf("unique %s: request %s, reply %s", r[2], op, r[1])
			}
			delete(open, r[2])
		} else if notifyRE.FindStringSubmatch(l) == nil {
			t.Errorf("not in the documented syntax: %s", l)
		}
	}
	for u, op := range open {
		if op != "FORGET" && op != "BATCH_FORGET" && op != "INTERRUPT" {
			t.Errorf("%s unique=%s has no reply", op, u)
		}
	}
	for _, op := range []string{"LOOKUP", "GETATTR", "SETATTR", "READ", "WRITE", "OPEN", "CREATE", "RELEASE", "FLUSH", "OPENDIR", "READDIRPLUS",
		"SYMLINK", "READLINK", "MKDIR", "MKNOD", "RENAME2", "LINK", "UNLINK", "RMDIR", "SETXATTR", "GETXATTR", "STATFS", "FALLOCATE"} {
		if seen["> "+op] == 0 || seen["< "+op] == 0 {
			t.Errorf("%s: %d requests, %d replies", op, seen["> "+op], seen["< "+op])
		}
	}
	t.Logf("%d lines, %d kinds", lines, len(seen))
}

// TestUsr1: SIGUSR1 prints what is in service, and the counters.
func TestUsr1(t *testing.T) {
	src := harness.Disk(t)
	put(t, filepath.Join(src, "file"), "contents")
	m := harness.Serve(t, src)
	path := filepath.Join(m.Dir, "file")
	holder, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	waiter := exec.Command("flock", path, "true")
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	var out string
	within(t, 10*time.Second, "SIGUSR1 lists the waiting SETLKW", func() bool {
		if err := m.Process.Signal(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		out = m.Output()
		return strings.Contains(out, "SETLKW") && strings.Contains(out, "requests=")
	})
	last := out[:strings.LastIndex(strings.TrimSpace(out), "\n")+1] + "…"
	t.Logf("it printed, among others:\n%s", last[max(0, len(last)-600):])
	if !regexp.MustCompile(`(?m)^\d+(?:\.\d+)?(?:ns|us|µs|ms|s) (?:detached|thread \d+) SETLKW unique=\d+ .*$`).MatchString(out) {
		t.Error("no line like \"12.3ms detached SETLKW unique=...\"")
	}
	if !regexp.MustCompile(`(?m)^passthrough: (?:[a-z_-]+=\d+ ?)+$`).MatchString(out) {
		t.Error("no line of counters")
	}
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := waiter.Wait(); err != nil {
		t.Errorf("the waiter: %v", err)
	}
	holder.Close()
}

// TestSignals: each of the signals unmounts, and the program ends with 0.
func TestSignals(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			src := harness.Disk(t)
			put(t, filepath.Join(src, "file"), "contents")
			m := harness.Serve(t, src)
			if _, err := os.ReadFile(filepath.Join(m.Dir, "file")); err != nil {
				t.Fatal(err)
			}
			if err := m.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			select {
			case <-m.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
			if n := mounted(t, m.Dir); n != 0 {
				t.Errorf("%d mounts are left", n)
			}
			if out := m.Output(); out != "" {
				t.Errorf("it printed %q", out)
			}
		})
	}
	// Written data is in the source when the program has ended.
	src := harness.Disk(t)
	m := harness.Serve(t, src)
	put(t, filepath.Join(m.Dir, "written"), strings.Repeat("w", 1<<20))
	if err := m.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-m.Done()
	if b, err := os.ReadFile(filepath.Join(src, "written")); err != nil || len(b) != 1<<20 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	noServers(t)
}

// program runs the program to its end; out is what it printed on stderr.
func program(t *testing.T, cred *syscall.Credential, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("timeout", append([]string{"30", harness.Binary(t)}, args...)...)
	cmd.Dir = "/"
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	return status(cmd.Run()), out.String(), errs.String()
}

// TestDaemon: without -f the program returns when the mount answers, not
// before, and lets go of everything it was started with.
func TestDaemon(t *testing.T) {
	for i := range 10 {
		src, dir := harness.Disk(t), newDir(t)
		put(t, filepath.Join(src, "file"), "contents")
		// program collects both outputs: it returns when nobody holds the pipes.
		start := time.Now()
		code, out, errs := program(t, nil, src, dir)
		if code != 0 || out+errs != "" {
			t.Fatalf("status %d: %s%s", code, out, errs)
		}
		took := time.Since(start)
		if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "contents" {
			t.Fatalf("at once: %q, %v", b, err)
		}
		if i == 0 {
			t.Logf("returned after %v", took)
			pids := servers(t)
			if len(pids) != 1 {
				t.Fatalf("servers: %v", pids)
			}
			daemonised(t, pids[0])
		}
		if err := unix.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
		noServers(t)
	}
	// SIGTERM to the daemon.
	src, dir := harness.Disk(t), newDir(t)
	if code, _, errs := program(t, nil, src, dir); code != 0 {
		t.Fatalf("status %d: %s", code, errs)
	}
	for _, pid := range servers(t) {
		if err := unix.Kill(pid, unix.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	noServers(t)
	if n := mounted(t, dir); n != 0 {
		t.Errorf("%d mounts are left", n)
	}
}

// daemonised checks session, directory, terminal and descriptors.
func daemonised(t *testing.T, pid int) {
	t.Helper()
	sid, err := unix.Getsid(pid)
	if err != nil || sid != pid {
		t.Errorf("session %d of process %d, %v", sid, pid, err)
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || cwd != "/" {
		t.Errorf("working directory %q, %v", cwd, err)
	}
	for fd := range 3 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err != nil || to != "/dev/null" {
			t.Errorf("descriptor %d: %q, %v", fd, to, err)
		}
	}
}

// TestMountCommand: mount(8) finds the program through mount.fuse, from a
// command line and from a file like /etc/fstab.
func TestMountCommand(t *testing.T) {
	// mount.fuse calls the program by its type's name, with a PATH of its own:
	// it is installed in this mount namespace.
	const installed = "/usr/local/sbin"
	if err := unix.Mount(filepath.Dir(harness.Binary(t)), installed, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(installed, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	src, dir := harness.Disk(t), newDir(t)
	put(t, filepath.Join(src, "file"), "contents")
	fstab := filepath.Join(harness.Disk(t), "fstab")
	put(t, fstab, fmt.Sprintf("%s %s fuse.passthrough ro,allow_other,noatime,_netdev,nofail,x-systemd.automount,cache=never 0 0\n", src, dir))
	for _, c := range []struct {
		args    []string
		options []string // that the kernel then shows
		source  string
	}{
		{[]string{"-t", "fuse.passthrough", src, dir, "-o", "allow_other,fsname=over there,subtype=sub"}, []string{"rw", "allow_other"}, `over\040there`},
		{[]string{"-t", "fuse.passthrough", src, dir, "-o", "ro,noexec,nosuid,nodev,max_read=65536"}, []string{"ro", "noexec", "nosuid", "nodev", "max_read=65536"}, src},
		{[]string{"-T", fstab, dir}, []string{"ro", "allow_other", "noatime"}, src},
	} {
		cmd := exec.Command("timeout", append([]string{"30", "mount"}, c.args...)...)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("mount %q: %v\n%s", c.args, err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "file"))
		if err != nil || string(b) != "contents" {
			t.Errorf("mount %q: %q, %v", c.args, b, err)
		}
		var line []string
		for _, l := range mountinfo(t) {
			if f := strings.Fields(l); f[4] == dir {
				line = f
			}
		}
		all := strings.Split(line[5]+","+line[len(line)-1], ",")
		for _, o := range c.options {
			if !strings.Contains(","+strings.Join(all, ",")+",", ","+o+",") {
				t.Errorf("mount %q: %s is missing in %v", c.args, o, line)
			}
		}
		if line[len(line)-2] != c.source {
			t.Errorf("mount %q: source %s, want %s", c.args, line[len(line)-2], c.source)
		}
		werr := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600)
		if ro := all[0] == "ro"; ro != errors.Is(werr, unix.EROFS) {
			t.Errorf("mount %q: write: %v", c.args, werr)
		}
		cmd = exec.Command("timeout", "30", "umount", dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
		noServers(t)
	}
}

// TestErrors: what goes wrong is one clear line on stderr and a status.
func TestErrors(t *testing.T) {
	harness.OpenFuse(t)
	src, dir := harness.Disk(t), newDir(t)
	file := filepath.Join(src, "file")
	put(t, file, "contents")
	inside := filepath.Join(src, "inside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	closed := harness.Disk(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	user := &syscall.Credential{Uid: 1000, Gid: 1000}
	for _, c := range []struct {
		args   []string
		cred   *syscall.Credential
		status int
		words  []string // in the line
	}{
		{nil, nil, 2, []string{"SRC"}},
		{[]string{src}, nil, 2, []string{"MNT"}},
		{[]string{src, dir, "third"}, nil, 2, []string{"third"}},
		{[]string{"--nonsense", src, dir}, nil, 2, []string{"--nonsense"}},
		{[]string{"-x", src, dir}, nil, 2, []string{"-x"}},
		{[]string{"-o", "nonsense", src, dir}, nil, 2, []string{"nonsense"}},
		{[]string{"-o", "ro,cache=some", src, dir}, nil, 2, []string{"cache", "some"}},
		{[]string{"--cache", "some", src, dir}, nil, 2, []string{"some"}},
		{[]string{"--entry-timeout=x", src, dir}, nil, 2, []string{"--entry-timeout"}},
		{[]string{"--num-threads=0", src, dir}, nil, 2, []string{"--num-threads"}},
		{[]string{"--xattr=perhaps", src, dir}, nil, 2, []string{"perhaps"}},
		{[]string{"/no/such/source", dir}, nil, 1, []string{"/no/such/source", "no such file"}},
		{[]string{src, "/no/such/mountpoint"}, nil, 1, []string{"/no/such/mountpoint", "no such file"}},
		{[]string{file, dir}, nil, 1, []string{"file", "not a directory"}},
		{[]string{src, file}, nil, 1, []string{"file"}},
		{[]string{src, inside}, nil, 1, []string{"inside"}},
		{[]string{closed, dir}, user, 1, []string{"source", "permission denied"}},
		{[]string{src, dir}, user, 1, []string{dir, "mount(2)", "fusermount3"}},
		{[]string{src, "/dev/fd/99"}, nil, 1, []string{"/dev/fd/99"}},
	} {
		for _, how := range []string{"background", "-f"} {
			args := c.args
			if how == "-f" {
				args = append([]string{"-f"}, args...)
			}
			code, out, errs := program(t, c.cred, args...)
			if code != c.status || out != "" {
				t.Errorf("%q (%s): status %d, want %d; stdout %q", c.args, how, code, c.status, out)
			}
			if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "passthrough: ") {
				t.Errorf("%q (%s): not one line: %q", c.args, how, errs)
			}
			for _, w := range c.words {
				if !strings.Contains(errs, w) {
					t.Errorf("%q (%s): %q is not in %q", c.args, how, w, errs)
				}
			}
			if n := mounted(t, dir) + mounted(t, src); n != 0 {
				t.Fatalf("%q (%s): left %d mounts", c.args, how, n)
			}
		}
	}
	for _, o := range []string{"--help", "-h", "--version", "-V"} {
		if code, out, errs := program(t, nil, o); code != 0 || out == "" || errs != "" {
			t.Errorf("%s: status %d, %d bytes, stderr %q", o, code, len(out), errs)
		}
	}
	noServers(t)
}
