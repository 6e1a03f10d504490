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

// writeback is a side on a mount where the kernel owns the times.
func writeback(t testing.TB) *side {
	s := served(t, "--writeback")
	s.coarse = true
	return s
}

// compare returns what differs, one report a case, and how many lines it has
// compared.
func compare(ms []*matcher, tests []test, want, got [][]string) (reports []string, lines int) {
	for i := range tests {
		lines += len(want[i])
		if d := difference(ms, tests[i].name, want[i], got[i]); d != "" {
			reports = append(reports, tests[i].name+"\n"+d)
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

// part returns the cases that a mode takes, and their logs, if there are any:
// modes that differ only in what is cached need not run all.
// FUSEWIRE_CONFORMANCE=all runs all.
func part(take func(i int, name string) bool, tests []test, logs [][]string) (ts []test, ls [][]string) {
	if os.Getenv("FUSEWIRE_CONFORMANCE") == "all" {
		return tests, logs
	}
	for i := range tests {
		if take(i, tests[i].name) {
			ts = append(ts, tests[i])
			if logs != nil {
				ls = append(ls, logs[i])
			}
		}
	}
	return ts, ls
}

// every is each nth case.
func every(n int) func(int, string) bool {
	return func(i int, _ string) bool { return i%n == 0 }
}

// Most cases are the same whether data is passed through or sent in requests.
// Those about opening, which are many, are divided between the two.

func passed(i int, name string) bool { return i%2 == 0 || !strings.HasPrefix(name, "open/") }

func requested(i int, name string) bool {
	return !passed(i, name) || strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "setid/") || strings.HasPrefix(name, "running/")
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

// TestConformance compares ext4 with mounts in each cache mode, with kernel
// passthrough (auto) and without; and with itself, for a comparison that found
// differences there would mean nothing. Every rule of permitted must be of use
// in one of the two modes that together run everything.
func TestConformance(t *testing.T) {
	tests := everything()
	start := time.Now()
	want := native(t).play(t, tests)
	t.Logf("%d cases; ext4 took %v", len(tests), time.Since(start).Round(time.Millisecond))
	modes := []struct {
		name string
		take func(i int, name string) bool
		full bool
		side func(t testing.TB) *side
	}{
		{"ext4", every(3), false, native},
		{"auto", passed, true, func(t testing.TB) *side { return served(t) }},
		{"requests", requested, true, func(t testing.TB) *side { return served(t, "--nopassthrough") }},
		{"never", every(12), false, func(t testing.TB) *side { return served(t, "--cache=never") }},
		{"always", every(9), false, func(t testing.TB) *side { return served(t, "--cache=always", "--nopassthrough") }},
		{"writeback", every(24), false, writeback},
	}
	used, full := map[string]bool{}, 0
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			start := time.Now()
			tests, want := part(m.take, tests, want)
			ms := matchers(m.name)
			if m.full {
				full++
			}
			reports, lines := compare(ms, tests, want, m.side(t).play(t, tests))
			for _, r := range ms {
				used[r.why] = used[r.why] || m.full && r.used
			}
			t.Logf("%d cases, %d lines compared, %d differ, %v", len(tests), lines, len(reports), time.Since(start).Round(time.Millisecond))
			report(t, reports)
		})
	}
	for _, r := range permitted {
		if full == 2 && (r.in("auto") || r.in("requests")) && !used[r.why] {
			t.Error("permitted, but there is no such difference any more:", r.why)
		}
	}
}

// TestReadOnly compares with an ext4 that is mounted read-only.
func TestReadOnly(t *testing.T) {
	tests, _ := part(every(12), everything(), nil)
	want := readOnlyExt4(t).play(t, tests)
	src := loopExt4(t)
	s := newSide(t, src, "", src)
	s.seal = func() {
		s.view = harness.Serve(t, src, "-o", "allow_other,default_permissions,dev,suid,ro").Dir
	}
	reports, lines := compare(matchers("ro"), tests, want, s.play(t, tests))
	t.Logf("%d cases, %d lines compared, %d differ", len(tests), lines, len(reports))
	report(t, reports)
}

// TestTmpfsIsFound: tmpfs is not ext4, and a comparison that does not notice
// is worth nothing.
func TestTmpfsIsFound(t *testing.T) {
	tests := everything()[:2000]
	want := native(t).play(t, tests)
	dir := harness.Tmpfs(t)
	reports, _ := compare(matchers("ext4"), tests, want, newSide(t, dir, dir, dir).play(t, tests))
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
			if reports, _ := compare(matchers("ext4"), honest, native(t).play(t, honest), native(t).play(t, lying)); len(reports) != 1 {
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
