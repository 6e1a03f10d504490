package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// groups are the cases, by what they ask.
var groups = []struct {
	name string
	make func() []test
}{
	{"create", creating},
	{"use", reaching},
	{"chmod", changingMode},
	{"chown", changingOwner},
	{"utimens", changingTimes},
	{"setid", clearing},
	{"open", opening},
	{"rename", renaming},
	{"links", linkingAndRemoving},
	{"paths", paths},
	{"data", data},
	{"running", running},
	{"xattr", extended},
}

func everything() (all []test) {
	for _, g := range groups {
		all = append(all, g.make()...)
	}
	return all
}

// native is a side on ext4.
func native(t testing.TB) *side {
	dir := loopExt4(t)
	return newSide(t, dir, dir, dir)
}

// served is a side on a mount of another ext4 directory.
func served(t testing.TB, args ...string) *side {
	src := loopExt4(t)
	m := harness.Serve(t, src, append([]string{"-o", "allow_other,default_permissions,dev,suid"}, args...)...)
	return newSide(t, m.Dir, m.Dir, src)
}

// compare returns what differs, one report a case, and how many lines it has
// compared. In a full run every rule of permitted must be of use.
func compare(mode string, full bool, tests []test, want, got [][]string) (reports []string, lines int) {
	ms := matchers(mode)
	for i := range tests {
		lines += len(want[i])
		if d := difference(ms, tests[i].name, want[i], got[i]); d != "" {
			reports = append(reports, tests[i].name+"\n"+d)
		}
	}
	for _, m := range ms {
		if full && !m.used {
			reports = append(reports, "permitted, but there is no such difference any more: "+m.rule.why)
		}
	}
	return reports, lines
}

func difference(ms []*matcher, name string, want, got []string) string {
	var b strings.Builder
	for j := range max(len(want), len(got)) {
		var w, g string
		if j < len(want) {
			w = want[j]
		}
		if j < len(got) {
			g = got[j]
		}
		if w != g && !allowed(ms, name, w, g) {
			fmt.Fprintf(&b, "\text4:  %s\n\tmount: %s\n", w, g)
		}
	}
	return b.String()
}

// every returns each nth case, and with it its log: modes that differ only in
// what is cached need not run all. FUSEWIRE_CONFORMANCE=all runs all.
func every[T any](n int, all []T) []T {
	if os.Getenv("FUSEWIRE_CONFORMANCE") == "all" {
		return all
	}
	var out []T
	for i := 0; i < len(all); i += n {
		out = append(out, all[i])
	}
	return out
}

func report(t *testing.T, reports []string) {
	t.Helper()
	if out := os.Getenv("FUSEWIRE_CONFORMANCE_REPORT"); out != "" {
		name := filepath.Join(out, strings.ReplaceAll(t.Name(), "/", "-"))
		if err := os.WriteFile(name, []byte(strings.Join(reports, "\n")), 0o644); err != nil {
			t.Error(err)
		}
	}
	for i, r := range reports {
		if i == 40 {
			t.Errorf("and %d more", len(reports)-i)
			break
		}
		t.Error(r)
	}
}

// TestConformance compares ext4 with mounts in each cache mode; and with
// itself, for a comparison that found differences there would mean nothing.
func TestConformance(t *testing.T) {
	tests := everything()
	start := time.Now()
	want := native(t).play(t, tests)
	t.Logf("%d cases; ext4 took %v", len(tests), time.Since(start).Round(time.Millisecond))
	modes := []struct {
		name  string
		every int
		side  func(t testing.TB) *side
	}{
		{"ext4", 3, native},
		{"auto", 1, func(t testing.TB) *side { return served(t) }},
		{"never", 12, func(t testing.TB) *side { return served(t, "--cache=never") }},
		{"always", 9, func(t testing.TB) *side { return served(t, "--cache=always") }},
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			start := time.Now()
			tests, want := every(m.every, tests), every(m.every, want)
			reports, lines := compare(m.name, m.every == 1, tests, want, m.side(t).play(t, tests))
			t.Logf("%d cases, %d lines compared, %d differ, %v", len(tests), lines, len(reports), time.Since(start).Round(time.Millisecond))
			report(t, reports)
		})
	}
}

// TestReadOnly compares with an ext4 that is mounted read-only.
func TestReadOnly(t *testing.T) {
	tests := every(12, everything())
	want := readOnlyExt4(t).play(t, tests)
	src := loopExt4(t)
	s := newSide(t, src, "", src)
	s.seal = func() {
		s.view = harness.Serve(t, src, "-o", "allow_other,default_permissions,dev,suid,ro").Dir
	}
	reports, lines := compare("ro", false, tests, want, s.play(t, tests))
	t.Logf("%d cases, %d lines compared, %d differ", len(tests), lines, len(reports))
	report(t, reports)
}

// TestTmpfsIsFound: tmpfs is not ext4, and a comparison that does not notice
// is worth nothing.
func TestTmpfsIsFound(t *testing.T) {
	tests := everything()[:2000]
	want := native(t).play(t, tests)
	dir := harness.Tmpfs(t)
	reports, _ := compare("ext4", false, tests, want, newSide(t, dir, dir, dir).play(t, tests))
	if len(reports) < 100 {
		t.Errorf("only %d differences found", len(reports))
	}
}

// TestLieIsFound changes one thing behind one case's back.
func TestLieIsFound(t *testing.T) {
	lies := map[string]func(dir string) error{
		"mode":  func(d string) error { return unix.Chmod(filepath.Join(d, "n"), 0o640) },
		"owner": func(d string) error { return unix.Chown(filepath.Join(d, "n"), 1002, -1) },
		"text":  func(d string) error { return os.WriteFile(filepath.Join(d, "n"), []byte("TEXT"), 0o644) },
		"size":  func(d string) error { return os.Truncate(filepath.Join(d, "n"), 3) },
		"link":  func(d string) error { return unix.Link(filepath.Join(d, "n"), filepath.Join(d, "l")) },
		"atime": func(d string) error {
			return unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(d, "n"), []unix.Timespec{specNow, specOmit}, 0)
		},
		"ctime": func(d string) error { return unix.Chmod(filepath.Join(d, "n"), 0o644) },
		"xattr": func(d string) error { return unix.Lsetxattr(filepath.Join(d, "n"), "user.a", []byte("1"), 0) },
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			fix := func(f *fixture) { f.file("n", 0o644, "text") }
			honest := []test{{name: "lie", fix: fix, act: func(r *run) { r.by("other").stat("n", 0) }}}
			lying := []test{{name: "lie", fix: fix, act: func(r *run) {
				r.by("other").stat("n", 0)
				must(lie(r.dir))
			}}}
			if reports, _ := compare("ext4", false, honest, native(t).play(t, honest), native(t).play(t, lying)); len(reports) != 1 {
				t.Errorf("%d reports of a changed %s", len(reports), name)
			}
		})
	}
}

// readOnlyExt4 is a file system of its own on a loop device, which is sealed
// by remounting it.
func readOnlyExt4(t testing.TB) *side {
	dir := loopExt4(t)
	s := newSide(t, dir, dir, dir)
	s.seal = func() { must(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")) }
	return s
}
