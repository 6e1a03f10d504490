package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// allRows in the order of the table.
func allRows() []row { return append(metaRows(), dataRows()...) }

// metaRows are those about names and small files.
func metaRows() []row {
	return []row{
		{name: "create", unit: "files/s",
			before: emptyDir("made"),
			work: func(p *place) (float64, float64, error) {
				n := p.b.few(5000)
				return float64(n), 0, calls(p.dir+"/made", n, func(name *byte) error { return makeFile(name, nil) })
			}},
		{name: "stat cold", unit: "files/s",
			setup: filesIn("many", 20000, 0),
			work: func(p *place) (float64, float64, error) {
				n := p.b.few(20000)
				return float64(n), 0, calls(p.dir+"/many", n, statFile)
			}},
		{name: "stat warm", unit: "files/s",
			setup: filesIn("small", 1000, 4096),
			warm:  each("small", 1000, statFile),
			work:  times(10, "small", 1000, statFile)},
		{name: "open+read+close cold", unit: "files/s",
			setup: filesIn("some", 5000, 4096),
			work: func(p *place) (float64, float64, error) {
				n := p.b.few(5000)
				return float64(n), 0, calls(p.dir+"/some", n, readFile)
			}},
		{name: "open+read+close", unit: "files/s",
			setup: filesIn("small", 1000, 4096),
			warm:  each("small", 1000, readFile),
			work:  times(4, "small", 1000, readFile)},
		{name: "unlink", unit: "files/s",
			before: emptyDir("made"),
			warm:   each("made", 2000, func(name *byte) error { return makeFile(name, nil) }),
			work:   times(1, "made", 2000, unlinkFile)},
		{name: "untar", unit: "s", lower: true,
			setup:  makeTar,
			before: emptyDir("untar"),
			work: tool("tar-files", func(p *place) []string {
				return []string{"tar", "-xf", p.b.work + "/tree.tar", "-C", p.dir + "/untar"}
			}),
			after: gone("untar")},
		{name: "find cold", unit: "s", lower: true,
			setup: makeTree,
			work:  tool("tree-files", func(p *place) []string { return []string{"find", p.dir + "/tree", "-size", "+100M"} })},
		{name: "du", unit: "s", lower: true,
			setup: makeTree,
			work:  tool("tree-files", func(p *place) []string { return []string{"du", "-s", p.dir + "/tree"} })},
		{name: "grep -r cold", unit: "s", lower: true,
			setup: makeTree,
			work:  tool("tree-files", grep)},
		{name: "grep -r warm", unit: "s", lower: true,
			setup: makeTree,
			warm: func(p *place) error {
				_, _, err := tool("tree-files", grep)(p)
				return err
			},
			work: tool("tree-files", grep)},
		{name: "rm -r", unit: "s", lower: true,
			setup: makeTree,
			before: func(p *place) error {
				return errors.Join(gone("copy")(p), command("cp", "-a", p.src+"/tree", p.src+"/copy"))
			},
			work: tool("tree-files", func(p *place) []string { return []string{"rm", "-r", p.dir + "/copy"} })},
		{name: "git clone", unit: "s", lower: true,
			setup:  makeRepo,
			before: gone("clone"),
			work: tool("repo-files", func(p *place) []string {
				return []string{"git", "clone", "-q", "--no-hardlinks", p.b.work + "/repo", p.dir + "/clone"}
			}),
			after: gone("clone")},
		{name: "git status", unit: "s", lower: true,
			setup: func(p *place) error {
				if err := makeRepo(p); err != nil {
					return err
				}
				return once(p.src+"/repo", func(dir string) error {
					return command("git", "clone", "-q", "--no-hardlinks", p.b.work+"/repo", dir)
				})
			},
			// The index notes inode numbers and times as they are seen here.
			warm: func(p *place) error { return command("git", "-C", p.dir+"/repo", "status", "--porcelain") },
			work: tool("repo-files", func(p *place) []string {
				return []string{"git", "-C", p.dir + "/repo", "status", "--porcelain"}
			})},
	}
}

func grep(p *place) []string {
	return []string{"grep", "-r", "-F", "that nobody has written", p.dir + "/tree"}
}

// few is n, or less in a hurry.
func (b *bench) few(n int) int {
	if b.quick {
		return max(n/5, 200)
	}
	return n
}

// once makes path, unless it has been made.
func once(path string, f func(path string) error) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return f(path)
}

func gone(name string) func(*place) error {
	return func(p *place) error { return os.RemoveAll(filepath.Join(p.src, name)) }
}

func emptyDir(name string) func(*place) error {
	return func(p *place) error {
		return errors.Join(gone(name)(p), os.Mkdir(filepath.Join(p.src, name), 0o755))
	}
}

// filesIn makes n files in directory name of the source.
func filesIn(name string, n int, size int) func(*place) error {
	return func(p *place) error {
		dir := filepath.Join(p.src, name)
		if _, err := os.Stat(fmt.Sprintf("%s/f%06d", dir, p.b.few(n)-1)); err == nil {
			return nil
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		data := make([]byte, size)
		err := calls(dir, p.b.few(n), func(name *byte) error { return makeFile(name, data) })
		time.Sleep(200 * time.Millisecond) // their times are those of another tick from now on
		return err
	}
}

func each(dir string, n int, f func(*byte) error) func(*place) error {
	return func(p *place) error { return calls(filepath.Join(p.dir, dir), p.b.few(n), f) }
}

func times(k int, dir string, n int, f func(*byte) error) func(*place) (float64, float64, error) {
	return func(p *place) (float64, float64, error) {
		for range k {
			if err := each(dir, n, f)(p); err != nil {
				return 0, 0, err
			}
		}
		return float64(k * p.b.few(n)), 0, nil
	}
}

// goTree is the tree that rows about trees use: the Go sources, or a part.
func goTree(p *place) (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "src")
	if p.b.quick {
		dir = filepath.Join(dir, "net")
	}
	return dir, err
}

func makeTree(p *place) error {
	return once(p.src+"/tree", func(path string) error {
		from, err := goTree(p)
		if err != nil {
			return err
		}
		return errors.Join(command("cp", "-a", from, path), p.b.note("tree-files", path))
	})
}

func makeTar(p *place) error {
	return once(p.b.work+"/tree.tar", func(path string) error {
		from, err := goTree(p)
		if err != nil {
			return err
		}
		return errors.Join(command("tar", "-cf", path, "-C", from, "."), p.b.note("tar-files", from))
	})
}

// makeRepo makes a repository of some thousand files, outside of the source.
func makeRepo(p *place) error {
	return once(p.b.work+"/repo", func(path string) error {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return err
		}
		src := strings.TrimSpace(string(out)) + "/src/"
		return errors.Join(command("mkdir", path),
			command("cp", "-a", src+"net", src+"os", src+"runtime", path),
			p.b.note("repo-files", path),
			command("git", "-C", path, "init", "-q"),
			command("git", "-C", path, "add", "."),
			command("git", "-C", path, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "x"))
	})
}

// note remembers how many files and directories there are in dir.
func (b *bench) note(name, dir string) error {
	n := 0
	err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error {
		n++
		return err
	})
	if b.sizes == nil {
		b.sizes = map[string]int{}
	}
	b.sizes[name] = n
	return err
}

// tool is work done by a program; an operation is a file of what was noted.
func tool(noted string, argv func(*place) []string) func(*place) (float64, float64, error) {
	return func(p *place) (float64, float64, error) {
		a := argv(p)
		cmd := exec.Command(a[0], a[1:]...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if a[0] == "grep" && errors.As(err, &exit) && exit.ExitCode() == 1 {
			err = nil // nothing found, as it should be
		}
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", strings.Join(a, " "), err, out)
		}
		return float64(p.b.sizes[noted]), 0, err
	}
}
