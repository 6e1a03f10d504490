package module

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const path = "github.com/fusewire/fusewire"

func goCmd(t *testing.T, args ...string) []byte { return goCmdFor(t, runtime.GOARCH, args...) }

func goCmdFor(t *testing.T, arch string, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.Bytes()
}

// TestRequirements: one module is required, by tests alone, and nothing is replaced.
func TestRequirements(t *testing.T) {
	var mod struct {
		Module  struct{ Path string }
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
		Tool    []struct{ Path string }
	}
	if err := json.Unmarshal(goCmd(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != path {
		t.Errorf("module %s", mod.Module.Path)
	}
	if len(mod.Require) != 1 || mod.Require[0].Path != "golang.org/x/sys" {
		t.Errorf("go.mod requires %v, not golang.org/x/sys alone", mod.Require)
	}
	if len(mod.Replace)+len(mod.Tool) > 0 {
		t.Errorf("go.mod replaces %v and has tools %v", mod.Replace, mod.Tool)
	}
	sum, err := os.ReadFile(filepath.Join("..", "..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(sum)); sc.Scan(); {
		if !strings.HasPrefix(sc.Text(), "golang.org/x/sys ") {
			t.Errorf("go.sum: %s", sc.Text())
		}
	}
}

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(goCmd(t, "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")))
	for {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is the part of the module that a package belongs to: "ops" for
// ops/passfs, "" for what is not of this module.
func room(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, path+"/")
	if !ok {
		return ""
	}
	top, _, _ := strings.Cut(rest, "/")
	return top
}

// may says which rooms a room may import, its own aside. Arrows go down only.
var may = map[string][]string{
	"protocol": {},
	"sg":       {},
	"aio":      {"sg"},
	"wb":       {"aio", "sg"},
	"conn":     {"aio", "protocol", "sg"},
	"ops":      {"conn", "wb", "aio", "protocol", "sg"},
	"cmd":      {"ops", "conn", "wb", "aio", "protocol", "sg"},
}

// TestArrows: imports between the rooms follow the design.
func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		seen[from] = true
		if from == "tests" {
			continue
		}
		allowed, ok := may[from]
		if !ok {
			t.Errorf("%s: no such room", p.ImportPath)
			continue
		}
		for _, i := range p.Imports {
			to := room(i)
			switch {
			case to != "" && to != from && !slices.Contains(allowed, to):
				t.Errorf("%s imports %s", p.ImportPath, i)
			case to == "" && strings.Contains(i, "."):
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
		// Tests may use the harness, and nothing above their room besides; but what
		// conntest tests is file systems, so its own tests have some.
		if from == "conn" && strings.HasSuffix(p.ImportPath, "/conntest") {
			allowed = may["cmd"]
		}
		for _, i := range append(p.TestImports, p.XTestImports...) {
			if to := room(i); to != "" && to != from && to != "tests" && !slices.Contains(allowed, to) {
				t.Errorf("a test of %s imports %s", p.ImportPath, i)
			}
		}
	}
	for _, r := range []string{"protocol", "sg", "conn", "ops", "cmd", "tests"} {
		if !seen[r] {
			t.Errorf("no package in %s", r)
		}
	}
}

// heavy are packages of the standard library that would double the program. (time
// alone is 100 KB: what is to be small uses sg/clock.)
var heavy = []string{"fmt", "log", "flag", "net", "reflect", "regexp", "sort", "context", "bufio", "math/big", "time"}

// arches are what Go knows of Linux.
var arches = []string{"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle",
	"ppc64", "ppc64le", "riscv64", "s390x"}

// TestLinked: what is linked into the small program, on any architecture and with
// all that its packages import, has neither package time nor golang.org/x/sys.
func TestLinked(t *testing.T) {
	for _, arch := range arches {
		deps := strings.Fields(string(goCmdFor(t, arch, "list", "-deps", "./cmd/passthrough")))
		for _, p := range deps {
			if slices.Contains(heavy, p) || strings.HasPrefix(p, "golang.org/") {
				t.Errorf("%s: cmd/passthrough has %s in it", arch, p)
			}
		}
		if !slices.Contains(deps, path+"/sg/unix") {
			t.Errorf("%s: not cmd/passthrough's packages: %v", arch, deps)
		}
	}
}

// TestLight: what the small program is made of leaves the heavy packages out.
func TestLight(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath == path+"/cmd/fusewire" || room(p.ImportPath) == "tests" || strings.HasSuffix(p.ImportPath, "/conntest") ||
			strings.HasSuffix(p.ImportPath, "/slow") {
			continue
		}
		for _, i := range p.Imports {
			top, _, _ := strings.Cut(i, "/")
			if slices.Contains(heavy, i) || top == "log" || top == "net" || top == "encoding" || top == "text" {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if (i == "os" || i == "os/signal") && p.ImportPath != path+"/cmd/passthrough" {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}
