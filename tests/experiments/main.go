package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// block is what most experiments read and write at a time, and a page.
const block = 4096

// insideVar tells the binary that its mount namespace is its own.
const insideVar = "FUSEWIRE_EXPERIMENTS_INSIDE"

// bench is what an experiment is given.
type bench struct {
	*table
	src, mnt string // on tmpfs; where mount points are made
	seconds  float64
}

// experiment is one of them.
type experiment struct {
	name, what string
	run        func(*bench) error
}

// experiments in the order of the descriptions they follow.
var experiments = []experiment{
	{"seed1", "asynchronous direct I/O", seed1},
	{"merge", "merging before the store", merge},
	{"seed3", "scatter-gather direct I/O", seed3},
	{"seed4", "parallel direct writes on one file", seed4},
	{"shared", "the same, against a file per job", shared},
	{"cost", "the server's processor time, and copies", cost},
	{"floor", "conn alone, against the same in C", floor},
	{"ring", "/dev/fuse and io_uring", ring},
	{"backing", "kernel passthrough", backing},
}

func main() {
	if role() {
		return
	}
	names := make([]string, len(experiments))
	for i, e := range experiments {
		names[i] = e.name
	}
	which := flag.String("run", strings.Join(names, ","), "experiments to run")
	rounds := flag.Int("rounds", 3, "times each side of a comparison is measured")
	seconds := flag.Float64("seconds", 2, "time of one measurement")
	flag.Parse()
	err := errors.New("usage: experiments [-run names] [-rounds n] [-seconds s]")
	if flag.NArg() == 0 && *rounds > 0 && *seconds > 0 {
		err = inside(func() error { return runAll(strings.Split(*which, ","), *rounds, *seconds) })
	}
	if err != nil {
		if _, child := err.(*exec.ExitError); !child { // which has said why
			fmt.Fprintln(os.Stderr, "experiments:", err)
		}
		os.Exit(1)
	}
}

// role does what a child is for, and reports whether this is one.
func role() bool {
	var err error
	if s, ok := os.LookupEnv(serverVar); ok {
		err = serve(s)
	} else if s, ok := os.LookupEnv(writerVar); ok {
		err = write(s)
	} else {
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// inside calls f in a mount namespace of its own: in this process, if that is
// there already.
func inside(f func() error) error {
	if os.Getenv(insideVar) != "" {
		os.Unsetenv(insideVar)
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
		_ = cmd.Process.Kill() // its mounts end with it
	}()
	return cmd.Wait()
}

// runAll runs the experiments called so.
func runAll(names []string, rounds int, seconds float64) error {
	for _, n := range names {
		if !slices.ContainsFunc(experiments, func(e experiment) bool { return e.name == n }) {
			return fmt.Errorf("no experiment is called %q", n)
		}
	}
	dir, err := os.MkdirTemp("", "fusewire-experiments-")
	if err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return errors.Join(fmt.Errorf("tmpfs: %w", err), os.Remove(dir))
	}
	b := &bench{table: &table{w: os.Stdout, rounds: rounds}, seconds: seconds,
		src: filepath.Join(dir, "src"), mnt: filepath.Join(dir, "mnt")}
	err = errors.Join(os.Mkdir(b.src, 0o755), os.Mkdir(b.mnt, 0o755))
	for _, e := range experiments {
		if err == nil && slices.Contains(names, e.name) {
			if err = e.run(b); err != nil {
				err = fmt.Errorf("%s (%s): %w", e.name, e.what, err)
			}
		}
	}
	err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir))
	if err == nil && b.failed > 0 {
		err = fmt.Errorf("%d of what is required is not so", b.failed)
	}
	return err
}

// spec begins the description of a server.
func (b *bench) spec() spec { return spec{Source: b.src, Dir: b.mnt} }

// timed returns fio's arguments to go on for the time of a measurement.
func (b *bench) timed(args ...string) []string {
	return append(args, "--norandommap", "--time_based", fmt.Sprintf("--runtime=%dms", int(b.seconds*1000)))
}
