package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Variables by which the test binary inside the namespace learns that it is
// there, and where its scratch directory is.
const (
	insideVar = "FUSEWIRE_HARNESS_INSIDE"
	workVar   = "FUSEWIRE_HARNESS_WORK"
)

// Main runs m inside a mount namespace of its own and does not return. Mounts
// made there are invisible outside and end with the last process inside, even
// when a test crashes; the scratch directory is removed from outside.
func Main(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "harness:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "harness:", err)
		code = 1
	}
	os.Exit(code)
}

// outside starts this binary again in a new mount namespace and waits for it.
func outside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("these tests mount file systems and act as several users: run them as root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return 1, fmt.Errorf("these tests need the fuse module: %w", err)
	}
	work, err := os.MkdirTemp(scratchRoot(), "fusewire-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return 1, err
	}
	exe, err := os.Executable()
	if err != nil {
		return 1, err
	}
	// Pdeathsig follows the thread that forked, not the process.
	runtime.LockOSThread()
	cmd := exec.Command(exe, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=1", workVar+"="+work)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNS, // the runtime makes "/" private, recursively
		Pdeathsig:    syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("a private mount namespace: %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	default:
		return 1, fmt.Errorf("the tests ended early: %w", err)
	}
}

// prepare makes sure that the namespace is the private one it should be.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making all mounts private: %w", err)
	}
	self, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	if err != nil {
		return err
	}
	if self == parent {
		return errors.New(insideVar + " is set, but the mount namespace is the parent's")
	}
	// Processes started by tests must not take themselves for insiders.
	work := os.Getenv(workVar)
	if work == "" || !strings.HasPrefix(work, "/") {
		return errors.New(workVar + " is not set")
	}
	workDir = work
	os.Unsetenv(insideVar)
	os.Unsetenv(workVar)
	// Modes in tests are meant as written.
	unix.Umask(0o022)
	return nil
}
