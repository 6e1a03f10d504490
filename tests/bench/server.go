package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a system at work: its mount and its process.
type server struct {
	dir   string // the mount point; the source, if native
	ready time.Duration
	conn  uint32 // the connection, as tracepoints call it
	cmd   *exec.Cmd
	out   bytes.Buffer
	done  chan error
}

// patience is how long anything may take that takes milliseconds.
const patience = 20 * time.Second

// start serves src on mnt, and returns when the mount answers.
func (s *system) start(src, mnt string) (*server, error) {
	v := &server{dir: src}
	if s.native() {
		return v, nil
	}
	v.dir = mnt
	before, err := device(mnt)
	if err != nil {
		return nil, err
	}
	argv := s.argv(src, mnt)
	v.cmd = exec.Command(argv[0], argv[1:]...)
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
	v.cmd.WaitDelay = time.Second
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	started := make(chan error)
	v.done = make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig follows the thread
		err := v.cmd.Start()
		started <- err
		if err == nil {
			v.done <- v.cmd.Wait()
		}
		runtime.UnlockOSThread()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	for {
		// On a FUSE mount this waits for INIT and asks the server.
		dev, err := device(mnt)
		if err != nil && err != unix.EACCES {
			return nil, errors.Join(fmt.Errorf("%s: %w", s.name, err), v.stop())
		}
		if err == nil && dev != before {
			v.ready, v.conn = time.Since(began), uint32(dev)
			return v, nil
		}
		select {
		case err := <-v.done:
			return nil, fmt.Errorf("%s ended early: %v\n%s", s.name, err, v.out.Bytes())
		case <-time.After(50 * time.Microsecond):
		}
		if time.Since(began) > patience {
			return nil, errors.Join(fmt.Errorf("%s does not mount", s.name), v.stop())
		}
	}
}

func device(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return uint64(st.Dev), err
}

// stop unmounts and sees the server end.
func (v *server) stop() error {
	if v.cmd == nil {
		return nil
	}
	deadline := time.Now().Add(patience)
	var err error
	for {
		if err = unix.Unmount(v.dir, 0); err != unix.EBUSY || time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil && err != unix.EINVAL {
		err = errors.Join(fmt.Errorf("unmounting %s: %w", v.dir, err), unix.Unmount(v.dir, unix.MNT_DETACH))
	} else {
		err = nil
	}
	select {
	case <-v.done:
	case <-time.After(time.Until(deadline)):
		err = errors.Join(err, errors.New("the server does not end"), v.cmd.Process.Kill())
		<-v.done
	}
	return err
}

// usage is what a server has cost so far.
type usage struct {
	ticks     time.Duration // user and system, of all threads there were, in ticks of 10 ms
	tasks     map[string]time.Duration
	rss, peak int64 // bytes
	threads   int
}

func (v *server) usage() (usage, error) {
	var u usage
	if v.cmd == nil {
		return u, nil
	}
	proc := filepath.Join("/proc", strconv.Itoa(v.cmd.Process.Pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			u.rss = n << 10
		case "VmHWM:":
			u.peak = n << 10
		case "Threads:":
			u.threads = int(n)
		}
	}
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return u, err
	}
	// comm, in parentheses, may contain anything.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return u, fmt.Errorf("%s/stat: %q", proc, stat)
	}
	for _, s := range f[11:13] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return u, err
		}
		u.ticks += time.Duration(n) * 10 * time.Millisecond
	}
	u.tasks = map[string]time.Duration{}
	tasks, err := os.ReadDir(filepath.Join(proc, "task"))
	for _, task := range tasks {
		b, err := os.ReadFile(filepath.Join(proc, "task", task.Name(), "schedstat"))
		if err != nil {
			continue // it has ended
		}
		var ns int64
		fmt.Sscan(string(b), &ns)
		u.tasks[task.Name()] = time.Duration(ns)
	}
	return u, err
}

// since is the processor time from before to u: exact, as far as the threads
// are still there.
func (u *usage) since(before *usage) time.Duration {
	var d time.Duration
	for id, t := range u.tasks {
		d += t - before.tasks[id]
	}
	return max(d, u.ticks-before.ticks-20*time.Millisecond)
}
