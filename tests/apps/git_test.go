package apps

import (
	"bytes"
	"fmt"
	"strings"
)

// gitScene: history of some hundred commits, cloned in two ways, checked,
// packed, branched, merged and checked again.
func gitScene(s *scene) {
	git := func(dir string, args ...string) string {
		cmd := s.command("git", args...)
		cmd.Dir = s.path(dir)
		cmd.Env = append(cmd.Env, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
			"GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com", "GIT_COMMITTER_DATE=1700000000 +0000")
		return s.runCmd(cmd)
	}
	git("", "init", "-q", "--bare", "-b", "main", "origin.git")

	const commits, files = 300, 250
	var in bytes.Buffer
	for i := range commits {
		msg := fmt.Sprintf("commit %d\n", i)
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter C <c@example.com> %d +0000\ndata %d\n%s", 1600000000+i, len(msg), msg)
		for _, f := range []int{i % files, i * 7 % files, i * 31 % files} {
			body := strings.Repeat(fmt.Sprintf("line of file %d in commit %d\n", f, i), 1+f%50)
			mode := "100644"
			if f%10 == 3 {
				mode = "100755"
			}
			fmt.Fprintf(&in, "M %s inline d%d/e%d/file%d\ndata %d\n%s\n", mode, f%7, f%3, f, len(body), body)
		}
		if i == 0 {
			in.WriteString("M 120000 inline link\ndata 8\nd0/e0/f1\n")
		}
	}
	imp := s.command("git", "fast-import", "--quiet")
	imp.Dir = s.path("origin.git")
	imp.Stdin = &in
	s.runCmd(imp)

	git("", "clone", "-q", "origin.git", "hard")               // objects by hard link
	git("", "clone", "-q", "--no-local", "origin.git", "copy") // by the pack protocol
	for _, d := range []string{"hard", "copy"} {
		s.say("%s fsck: %q", d, git(d, "fsck", "--full", "--strict", "--no-dangling"))
		s.say("%s status: %q", d, git(d, "status", "--porcelain"))
		s.say("%s tree: %s", d, git(d, "ls-files", "-s"))
		git(d, "checkout", "-q", "-b", "side", "HEAD~50")
		s.write(d+"/new/file", []byte("new\n"), 0o644)
		git(d, "add", "new")
		git(d, "commit", "-q", "-m", "side")
		git(d, "mv", "d0", "moved")
		git(d, "commit", "-q", "-m", "move")
		git(d, "checkout", "-q", "main")
		git(d, "merge", "-q", "-m", "merge", "side")
		git(d, "gc", "-q", "--prune=now")
		s.say("%s fsck after gc: %q", d, git(d, "fsck", "--full", "--strict", "--no-dangling"))
		s.say("%s status: %q", d, git(d, "status", "--porcelain"))
		s.say("%s head: %s", d, git(d, "rev-parse", "HEAD", "HEAD^{tree}", "side"))
		s.say("%s objects: %s", d, strings.Join(grep(git(d, "count-objects", "-v"), "count:", "in-pack:", "packs:", "garbage:"), " "))
		s.say("%s log: %d", d, strings.Count(git(d, "log", "--oneline"), "\n"))
	}
	git("hard", "worktree", "add", "-q", "../tree", "side")
	s.say("worktree: %q", git("tree", "status", "--porcelain"))
	git("copy", "push", "-q", "origin", "main", "side")
	git("hard", "fetch", "-q")
	s.say("fetched: %s", git("hard", "rev-parse", "origin/main", "origin/side"))
	s.say("origin fsck: %q", git("origin.git", "fsck", "--full", "--strict", "--no-dangling"))
}

// grep keeps the lines that begin with one of the prefixes.
func grep(text string, prefixes ...string) []string {
	var out []string
	for l := range strings.Lines(text) {
		for _, p := range prefixes {
			if strings.HasPrefix(l, p) {
				out = append(out, strings.TrimSpace(l))
			}
		}
	}
	return out
}

// goScene builds a module, the part of the standard library it needs
// included, with source, build cache and temporary files in the directory.
func goScene(s *scene) {
	s.write("go.mod", []byte("module example.com/m\n\ngo 1.26\n"), 0o644)
	s.write("main.go", []byte(`package main

import (
	_ "embed"
	"strconv"

	"example.com/m/fib"
)

//go:embed text
var text string

func main() {
	println(text + strconv.Itoa(fib.Of(20)))
}
`), 0o644)
	s.write("text", []byte("fib 20 = "), 0o644)
	s.write("fib/fib.go", []byte("package fib\n\nfunc Of(n int) int {\n\tif n < 2 {\n\t\treturn n\n\t}\n\treturn Of(n-1) + Of(n-2)\n}\n"), 0o644)
	s.write("tmp/keep", nil, 0o644)
	// Without optimisation: the compiler is not what is being tried.
	gocmd := func(args ...string) string {
		cmd := s.command("go", args...)
		cmd.Env = append(cmd.Env, "GOCACHE="+s.path("cache"), "GOPATH="+s.path("gopath"), "GOTMPDIR="+s.path("tmp"), "TMPDIR="+s.path("tmp"),
			"GOTOOLCHAIN=local", "GOPROXY=off", "GOFLAGS=-trimpath", "GOTELEMETRY=off", "CGO_ENABLED=0", "GOENV=off")
		return s.runCmd(cmd)
	}
	gocmd("build", "-gcflags=all=-N -l", "-o", "app", ".")
	s.say("app: %s", s.run("sh", "-c", "./app 2>&1"))
	s.say("sum: %s", s.run("sha256sum", "app"))
	// All of it cached now: nothing is compiled again.
	cmd := s.command("touch", "main.go")
	s.runCmd(cmd)
	s.say("stale: %q", gocmd("list", "-gcflags=all=-N -l", "-f", "{{if .Stale}}{{.ImportPath}} {{.StaleReason}}{{end}}", "./fib", "strconv", "runtime"))
	// A change of one file is seen, through the cache's and git's kind of stat.
	s.write("text", []byte("Fib 20 = "), 0o644)
	gocmd("build", "-gcflags=all=-N -l", "-o", "app", ".")
	s.say("app: %s", s.run("sh", "-c", "./app 2>&1"))
	s.say("sum: %s", s.run("sha256sum", "app"))
}
