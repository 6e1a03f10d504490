package apps

import (
	"bytes"
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

// scenes lists what runs, in this order. A name is a directory name.
var scenes = []struct {
	name string
	run  func(s *scene)
}{
	{"git", gitScene},
	{"gobuild", goScene},
	{"rsync", rsyncScene},
	{"sqlite", sqliteScene},
	{"tar", tarScene},
	{"sparse", sparseScene},
	{"links", linksScene},
	{"fifo", fifoScene},
	{"mmap", mmapScene},
	{"unlinked", unlinkedScene},
	{"tmpfile", tmpfileScene},
	{"exec", execScene},
	{"dirdelete", dirDeleteScene},
}

// Variables by which a scene's process learns that it is one.
const (
	sceneVar   = "FUSEWIRE_SCENE"
	dirVar     = "FUSEWIRE_SCENE_DIR"
	scratchVar = "FUSEWIRE_SCENE_SCRATCH"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(sceneVar); name != "" {
		os.Exit(sceneMain(name, os.Getenv(dirVar), os.Getenv(scratchVar)))
	}
	if os.Getenv(helperVar) != "" {
		os.Exit(helperMain(os.Getenv(helperVar), os.Args[1:]))
	}
	harness.Main(m)
}

// sceneMain is a scene's process: 0 and a report on standard output, or 1 and
// a reason on standard error.
func sceneMain(name, dir, scratch string) int {
	if err := os.Chdir(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, sc := range scenes {
		if sc.name != name {
			continue
		}
		s := &scene{dir: dir, scratch: scratch}
		code := s.play(sc.run)
		os.Stdout.Write(s.report.Bytes())
		return code
	}
	fmt.Fprintln(os.Stderr, "no such scene:", name)
	return 1
}

// play runs a scene and turns its failure into an exit status.
func (s *scene) play(run func(*scene)) (code int) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case sceneFailed:
			fmt.Fprintln(os.Stderr, string(e))
			code = 1
		default:
			panic(e)
		}
	}()
	run(s)
	return 0
}

// user is who runs a scene.
type user struct {
	name   string
	uid    uint32
	groups []uint32
}

var users = []user{
	{"root", 0, []uint32{0}},
	{"user", 1000, []uint32{1000, 1001}},
}

func TestApps(t *testing.T) {
	st := newStage(t)
	m := harness.Serve(t, harness.Disk(t), "-o", "allow_other,default_permissions")
	for _, sc := range scenes {
		for _, u := range users {
			t.Run(sc.name+"/"+u.name, func(t *testing.T) {
				t.Parallel()
				st.play(t, m, sc.name, u)
			})
		}
	}
}

// TestModes repeats the scenes that feel the caches most, in the other ways of
// caching.
func TestModes(t *testing.T) {
	for _, opt := range []string{"--cache=never", "--cache=metadata", "--cache=always", "--direct-io", "--writeback"} {
		t.Run(opt, func(t *testing.T) {
			st := newStage(t)
			m := harness.Serve(t, harness.Disk(t), opt, "-o", "allow_other")
			for _, name := range []string{"mmap", "sqlite", "links", "unlinked", "tmpfile", "exec", "fifo", "tar"} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					st.play(t, m, name, users[1])
				})
			}
		})
	}
}

// stage is where scenes run natively, and what they are run with.
type stage struct{ base, self string }

func newStage(t *testing.T) *stage {
	t.Helper()
	base := harness.Disk(t)
	for _, d := range []string{"native", "scratch"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &stage{base: base, self: copySelf(t, base)}
}

// play runs a scene natively and on m and compares the reports.
func (st *stage) play(t *testing.T, m *harness.Mount, name string, u user) {
	t.Helper()
	sub := name + "-" + u.name
	scratch := filepath.Join(st.base, "scratch", sub)
	native, nt := runScene(t, st.self, name, u, filepath.Join(st.base, "native", sub), scratch+"-n")
	served, mt := runScene(t, st.self, name, u, filepath.Join(m.Dir, sub), scratch+"-m")
	t.Logf("native %.2fs, mount %.2fs, report of %d lines", nt.Seconds(), mt.Seconds(), bytes.Count(native, []byte("\n")))
	if d := diff(native, served); d != "" {
		t.Errorf("the mount (+) differs from native (-):\n%s", d)
	}
}

// copySelf puts this test's binary where every user may execute it.
func copySelf(t *testing.T, dir string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(dir, "apps.test")
	if err := os.WriteFile(dst, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return dst
}

func runScene(t *testing.T, self, name string, u user, dir, scratch string) ([]byte, time.Duration) {
	t.Helper()
	for _, d := range []string{dir, scratch} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(d, int(u.uid), int(u.uid)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "TZ=UTC",
		sceneVar + "=" + name, dirVar + "=" + dir, scratchVar + "=" + scratch,
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true,
		Credential: &syscall.Credential{Uid: u.uid, Gid: u.groups[0], Groups: u.groups},
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pgid := cmd.Process.Pid
	stop := time.AfterFunc(2*time.Minute, func() { syscall.Kill(-pgid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !stop.Stop() {
		err = fmt.Errorf("killed after two minutes: %w", err)
	}
	if err != nil {
		t.Fatalf("%s in %s: %v\n%s\nreport so far:\n%s", name, dir, err, errs.Bytes(), tail(out.String(), 20))
	}
	return out.Bytes(), time.Since(start)
}

// diff shows the first lines in which two reports differ; "" if none.
func diff(a, b []byte) string {
	if bytes.Equal(a, b) {
		return ""
	}
	count := map[string]int{}
	for l := range strings.Lines(string(a)) {
		count[l]++
	}
	var out strings.Builder
	var plus []string
	for l := range strings.Lines(string(b)) {
		if count[l]--; count[l] < 0 {
			plus = append(plus, l)
		}
	}
	n := 0
	for l := range strings.Lines(string(a)) {
		if count[l] > 0 && n < 30 {
			count[l]--
			out.WriteString("-" + l)
			n++
		}
	}
	for i, l := range plus {
		if i == 30 {
			break
		}
		out.WriteString("+" + l)
	}
	if out.Len() == 0 {
		return "the same lines in another order\n"
	}
	return out.String()
}

func tail(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}
