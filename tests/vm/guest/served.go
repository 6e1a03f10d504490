package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	src = "/src"
	mnt = "/mnt"
)

// served is src, served on mnt by another process.
type served struct {
	cmd  *exec.Cmd
	out  output
	done chan error
}

// output collects what a server prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serve starts a server, and returns once it answers.
func serve(name string, args ...string) (*served, error) {
	s := &served{done: make(chan error, 1)}
	s.cmd = exec.Command(name, args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.done <- s.cmd.Wait() }()
	for range 20000 {
		if mounted() {
			var st unix.Statfs_t
			return s, ignoringEINTR(func() error { return unix.Statfs(mnt, &st) })
		}
		select {
		case err := <-s.done:
			return nil, fmt.Errorf("%s ended (%v) before it had mounted: %s", name, err, s.out.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
	s.dump()
	return nil, errors.New("not mounted: " + s.out.String())
}

// passthrough starts the program with more flags.
func passthrough(flags ...string) (*served, error) {
	return serve("/passthrough", append(append([]string{"-f", "-o", "allow_other"}, flags...), src, mnt)...)
}

func mounted() bool {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	return strings.Contains(string(b), " "+mnt+" ")
}

// stop unmounts and waits for the server, which has to end well.
func (s *served) stop() error {
	var err error
	for range 200 { // a file closed a moment ago may still be in use: its RELEASE is asynchronous
		if err = unix.Unmount(mnt, 0); err != unix.EBUSY {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("unmounting: %w", err)
	}
	select {
	case err := <-s.done:
		if err != nil {
			return fmt.Errorf("the server: %w: %s", err, s.out.String())
		}
		return nil
	case <-time.After(30 * time.Second):
		s.dump()
		return errors.New("the server does not end: " + s.out.String())
	}
}

// stats has the server print its counters and returns them.
func (s *served) stats() (map[string]uint64, error) {
	const line = "passthrough: requests="
	had := strings.Count(s.out.String(), line)
	if err := s.cmd.Process.Signal(unix.SIGUSR1); err != nil {
		return nil, err
	}
	for range 10000 {
		out := s.out.String()
		if i := strings.LastIndex(out, line); strings.Count(out, line) > had && strings.Contains(out[i:], "\n") {
			m := map[string]uint64{}
			for _, f := range strings.Fields(out[i:]) {
				k, v, _ := strings.Cut(f, "=")
				m[k], _ = strconv.ParseUint(v, 10, 64)
			}
			return m, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil, errors.New("no counters: " + s.out.String())
}

// dump prints where the server's threads are.
func (s *served) dump() {
	if s == nil {
		return
	}
	_ = s.cmd.Process.Signal(unix.SIGUSR1) // it may have ended
	time.Sleep(time.Second)
	fmt.Println(s.out.String())
	tasks := fmt.Sprintf("/proc/%d/task", s.cmd.Process.Pid)
	e, _ := os.ReadDir(tasks)
	for _, t := range e {
		b, _ := os.ReadFile(tasks + "/" + t.Name() + "/stack")
		fmt.Printf("thread %s\n%s", t.Name(), b)
	}
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
