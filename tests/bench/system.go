package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// system is what is compared: the source itself, a peer, or ours.
type system struct {
	name string
	ours bool
	// argv is its command line, to run in the foreground; nil is native.
	argv func(src, mnt string) []string
}

func (s *system) native() bool { return s.argv == nil }

// kinds of ours: columns with other arguments. One that this binary does not
// have the option for is left out.
var kinds = []struct{ name, args string }{
	{"ours", ""},
	{"ours-local", "--local-locks --no-default-permissions"},
	{"ours-nopt", "--nopassthrough"},
	{"ours-uring", "--transport=uring"},
	{"ours-uring-nopt", "--transport=uring --nopassthrough"},
	{"ours-wb", "--writeback"},
}

// systems installs and returns those whose names match.
func (b *bench) systems(re *regexp.Regexp, add []string) ([]system, error) {
	sys := []system{{name: "native"}}
	bin := filepath.Join(b.work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if !re.MatchString(p.name) {
			continue
		}
		argv, err := p.install(bin)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		sys = append(sys, system{name: p.name, argv: argv})
	}
	prog, err := buildOurs(bin)
	if err != nil {
		return nil, err
	}
	help, err := exec.Command(prog, "--help").Output()
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		if re.MatchString(k.name) && hasOptions(string(help), k.args) {
			sys = append(sys, ours(k.name, prog, strings.Fields(k.args)))
		}
	}
	for _, a := range add {
		name, args, ok := strings.Cut(a, "=")
		if !ok {
			return nil, fmt.Errorf("-add %s: not NAME=ARGUMENTS", a)
		}
		sys = append(sys, ours(name, prog, strings.Fields(args)))
	}
	return sys, nil
}

// hasOptions reports whether the help text tells of each option in args.
func hasOptions(help, args string) bool {
	for _, a := range strings.Fields(args) {
		name, _, _ := strings.Cut(a, "=")
		if !strings.Contains(help, name+" ") && !strings.Contains(help, name+"=") {
			return false
		}
	}
	return true
}

func ours(name, prog string, args []string) system {
	return system{name: name, ours: true, argv: func(src, mnt string) []string {
		return append(append([]string{prog, "-f"}, args...), src, mnt)
	}}
}

// buildOurs builds the program as it is released.
func buildOurs(bin string) (string, error) {
	if p := os.Getenv("FUSEWIRE_PASSTHROUGH"); p != "" {
		return filepath.Abs(p)
	}
	prog := filepath.Join(bin, "passthrough")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w -funcalign=1",
		"-o", prog, "github.com/fusewire/fusewire/cmd/passthrough")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cmd/passthrough: %w\n%s", err, out)
	}
	return prog, nil
}

// peers in the order of the table, each as it comes: for root alone; permissions
// left to the source but by bindfs, where ours has the kernel check them unless
// told otherwise, and locks kept to the mount, where ours takes them in the
// source. Names and attributes are kept for a second, but by the one with
// write-back, which trusts its cache. "ours-local" is ours in their settings.
var peers = []struct {
	name    string
	install func(bin string) (func(src, mnt string) []string, error)
}{
	{"go-fuse", func(bin string) (func(src, mnt string) []string, error) {
		cmd := exec.Command("go", "install", "github.com/hanwen/go-fuse/v2/example/loopback@latest")
		cmd.Dir = bin
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go install: %w\n%s", err, out)
		}
		return func(src, mnt string) []string {
			return []string{filepath.Join(bin, "loopback"), "-q", "-directmount", mnt, src}
		}, nil
	}},
	{"libfuse-ll", func(bin string) (func(src, mnt string) []string, error) {
		prog, err := buildLL(bin)
		return func(src, mnt string) []string {
			return []string{prog, "-f", "-o", "source=" + src + "", mnt}
		}, err
	}},
	{"libfuse-ll-wb", func(bin string) (func(src, mnt string) []string, error) {
		prog, err := buildLL(bin)
		return func(src, mnt string) []string {
			return []string{prog, "-f", "-o", "source=" + src + ",writeback,cache=always", mnt}
		}, err
	}},
	{"bindfs", func(string) (func(src, mnt string) []string, error) {
		if err := packages("bindfs", "fuse3"); err != nil {
			return nil, err
		}
		return func(src, mnt string) []string {
			return []string{"bindfs", "-f", "--multithreaded", "-o", "attr_timeout=1,entry_timeout=1", src, mnt}
		}, nil
	}},
}

// buildLL compiles libfuse's passthrough_ll, once.
func buildLL(bin string) (string, error) {
	prog := filepath.Join(bin, "passthrough_ll")
	if _, err := os.Stat(prog); err == nil {
		return prog, nil
	}
	if err := packages("libfuse3-dev", "gcc", "libc6-dev", "pkg-config"); err != nil {
		return "", err
	}
	// Images that leave /usr/share/doc out have the package without its examples.
	const examples = "usr/share/doc/libfuse3-dev/examples"
	sh := exec.Command("sh", "-ec", `
		dir=/`+examples+`
		if ! ls "$dir"/passthrough_ll.c* >/dev/null 2>&1; then
			apt-get -qq download libfuse3-dev
			dpkg-deb -x libfuse3-dev_*.deb deb
			dir=deb/`+examples+`
		fi
		mkdir ll
		cp "$dir"/passthrough_ll.c* "$dir"/passthrough_helpers.h* ll
		gunzip -q ll/*.gz 2>/dev/null || true
		gcc -O2 -D_GNU_SOURCE ll/passthrough_ll.c $(pkg-config --cflags --libs fuse3) -o passthrough_ll`)
	sh.Dir = bin
	if out, err := sh.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling passthrough_ll: %w\n%s", err, out)
	}
	return prog, nil
}

// packages installs what of Debian or Ubuntu is missing.
func packages(names ...string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/fusewire/fusewire").Output()
	if err != nil {
		return errors.New("the module's directory is not known: run this with go run, in it")
	}
	return command("bash", append([]string{filepath.Join(strings.TrimSpace(string(dir)), ".ci/packages")}, names...)...)
}
