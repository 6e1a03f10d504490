package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideVar tells the binary that its mount namespace is its own.
const insideVar = "FUSEWIRE_BENCH_INSIDE"

// bench is one run of the command.
type bench struct {
	work    string // scratch, a tmpfs of its own
	base    string // the back end: on tmpfs or ext4
	quick   bool
	rounds  int
	seconds float64 // of a measurement by fio
	counts  bool
	verbose bool // which requests and calls, too
	trace   *tracer
	sizes   map[string]int // files in what tools work on
}

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	which := flag.String("run", "", "regular expression: rows to run (default: all)")
	sys := flag.String("systems", "", "regular expression: systems to compare (default: all)")
	rounds := flag.Int("rounds", 0, "times each system does each row (default: 5, with -quick 1)")
	quick := flag.Bool("quick", false, "small trees, short measurements")
	seconds := flag.Float64("seconds", 0, "time of a measurement by fio (default: 2, with -quick 0.5)")
	backend := flag.String("backend", "tmpfs", "tmpfs or ext4 (on a loop device, in memory)")
	counts := flag.Bool("counts", true, "count requests and system calls, in runs of their own")
	verbose := flag.Bool("v", false, "print which requests, and which system calls by number, were counted")
	svg := flag.String("svg", "", "file to draw the ratios in")
	var add list
	flag.Var(&add, "add", "NAME=ARGUMENTS: one more system, ours with these arguments; may be repeated")
	flag.Parse()
	b := &bench{quick: *quick, rounds: *rounds, seconds: *seconds, counts: *counts, verbose: *verbose}
	if b.rounds == 0 {
		b.rounds = 5
		if b.quick {
			b.rounds = 1
		}
	}
	if b.seconds == 0 {
		b.seconds = 2
		if b.quick {
			b.seconds = 0.5
		}
	}
	rowsRE, err := regexp.Compile(*which)
	sysRE, err2 := regexp.Compile(*sys)
	if err = errors.Join(err, err2); err == nil {
		switch {
		case flag.NArg() > 0:
			err = errors.New("arguments that are no flags: " + strings.Join(flag.Args(), " "))
		case b.rounds < 1 || b.seconds <= 0:
			err = errors.New("-rounds and -seconds are at least something")
		default:
			err = inside(func() error { return b.main(rowsRE, sysRE, *backend, *svg, add) })
		}
	}
	if err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || os.Getenv(insideVar) != "" {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// inside calls f in a mount namespace of its own: in this process, if that is
// there already.
func inside(f func() error) error {
	if os.Getenv(insideVar) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("making all mounts private: %w", err)
		}
		return f()
	}
	if os.Geteuid() != 0 {
		return errors.New("this mounts file systems: run it as root")
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	runtime.LockOSThread() // Pdeathsig follows the thread
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("a mount namespace of our own: %w", err)
	}
	go func() {
		<-signals
		_ = cmd.Process.Kill() // its mounts and servers end with it
	}()
	return cmd.Wait()
}

// main is the command, inside.
func (b *bench) main(rowsRE, sysRE *regexp.Regexp, backend, svg string, add []string) (err error) {
	b.work, err = os.MkdirTemp("", "fusewire-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(b.work)) }()
	if err := unix.Mount("tmpfs", b.work, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(b.work, unix.MNT_DETACH)) }()
	rows := chosen(allRows(), rowsRE)
	if len(rows) == 0 {
		return fmt.Errorf("no row is called like %q", rowsRE)
	}
	sys, err := b.systems(sysRE, add)
	if err != nil {
		return err
	}
	if err := b.mountBackend(backend); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.unmountBackend()) }()
	if b.counts {
		if b.trace, err = newTracer(b.work); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.trace.close()) }()
	}
	t := &table{w: os.Stdout}
	t.head(b, backend)
	for i := range rows {
		r, err := b.runRow(&rows[i], sys)
		if err != nil {
			return fmt.Errorf("%s: %w", rows[i].name, err)
		}
		t.add(r, b.verbose)
	}
	t.summary()
	if svg == "" {
		return nil
	}
	return os.WriteFile(svg, t.svg(), 0o644)
}

func chosen(rows []row, re *regexp.Regexp) []row {
	var out []row
	for _, r := range rows {
		if re.MatchString(r.name) {
			out = append(out, r)
		}
	}
	return out
}

// mountBackend makes b.base a directory on the file system to be served.
func (b *bench) mountBackend(kind string) error {
	b.base = filepath.Join(b.work, "base")
	if err := os.Mkdir(b.base, 0o755); err != nil {
		return err
	}
	switch kind {
	case "tmpfs":
		return unix.Mount("tmpfs", b.base, "tmpfs", 0, "mode=0755")
	case "ext4":
		img := filepath.Join(b.work, "ext4.img")
		f, err := os.Create(img)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(6<<30), f.Close()); err != nil {
			return err
		}
		if err := command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", img); err != nil {
			return err
		}
		return command("mount", "-o", "loop", img, b.base)
	}
	return fmt.Errorf("no back end is called %q", kind)
}

func (b *bench) unmountBackend() error { return unix.Unmount(b.base, 0) }

// command runs a program; what it said is in the error.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
