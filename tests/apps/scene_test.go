package apps

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// scene is one run of a scene: dir is where it works (and its working
// directory), scratch is a native directory for the other end of copies.
type scene struct {
	dir, scratch string
	report       bytes.Buffer
}

type sceneFailed string

// fail ends the scene.
func (s *scene) fail(format string, args ...any) {
	panic(sceneFailed(fmt.Sprintf(format, args...)))
}

func (s *scene) check(err error) {
	if err != nil {
		s.fail("%v", err)
	}
}

// say adds a line to the report. Paths of this run become DIR and SCRATCH.
func (s *scene) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	line = strings.ReplaceAll(line, s.dir, "DIR")
	line = strings.ReplaceAll(line, s.scratch, "SCRATCH")
	s.report.WriteString(line)
	s.report.WriteByte('\n')
}

// sayErr reports the outcome of a call by its errno's name.
func (s *scene) sayErr(what string, err error) {
	var e unix.Errno
	switch {
	case err == nil:
		s.say("%s: ok", what)
	case errors.As(err, &e):
		s.say("%s: %s", what, unix.ErrnoName(e))
	default:
		s.say("%s: %v", what, err)
	}
}

// command prepares a program in the scene's directory.
func (s *scene) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = os.Environ()
	for i, e := range cmd.Env {
		if strings.HasPrefix(e, sceneVar+"=") {
			cmd.Env = append(cmd.Env[:i], cmd.Env[i+1:]...)
			break
		}
	}
	return cmd
}

// run runs a program that must succeed and returns its standard output.
func (s *scene) run(name string, args ...string) string {
	return s.runCmd(s.command(name, args...))
}

func (s *scene) runCmd(cmd *exec.Cmd) string {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.fail("%v: %v\n%s%s", cmd.Args, err, tail(errs.String(), 30), tail(out.String(), 30))
	}
	return out.String()
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) write(name string, data []byte, mode os.FileMode) {
	s.check(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.check(os.WriteFile(s.path(name), data, mode))
}

func (s *scene) stat(path string) unix.Stat_t {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		s.fail("lstat %s: %v", path, err)
	}
	return st
}

// A helper is another process of a scene: this same binary, told by helperVar
// which of the helpers to be.
const helperVar = "FUSEWIRE_SCENE_HELPER"

var helpers = map[string]func(args []string) error{}

func helperMain(name string, args []string) int {
	if err := helpers[name](args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func (s *scene) helper(name string, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	s.check(err)
	cmd := s.command(exe, args...)
	cmd.Env = append(cmd.Env, helperVar+"="+name)
	return cmd
}

// pattern fills n bytes that differ by seed and by place.
func pattern(seed uint64, n int) []byte {
	b := make([]byte, n)
	x := seed*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}
