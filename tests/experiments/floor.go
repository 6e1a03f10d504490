package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clients is how many work at once where it is not one.
const clients = 4

// floor is what conn costs: a file system of nothing, against the same in C.
func floor(b *bench) error {
	dir, err := os.MkdirTemp(b.mnt, "c-")
	if err != nil {
		return err
	}
	prog := filepath.Join(dir, "null")
	if out, err := exec.Command("gcc", "-O2", "-o", prog, "tests/experiments/testdata/null.c", "-lpthread").CombinedOutput(); err != nil {
		return fmt.Errorf("gcc, which needs gcc, libc6-dev and the root of this repository: %w\n%s", err, out)
	}
	for _, ring := range []bool{false, true} {
		name := "/dev/fuse"
		if ring {
			name = "io_uring"
		}
		b.head("the floor, "+name, "in C", "conn")
		for _, w := range b.nullLoads() {
			s := b.spec()
			s.Null, s.Ring = true, ring
			as, bs, err := b.alternate(
				func() (float64, error) { return inC(prog, s, w.run) },
				func() (float64, error) { return inGo(s, w.run) })
			if err != nil {
				return err
			}
			need := 0.0
			if ring {
				need = 0.93
			}
			b.atLeast(w.name, w.unit, as, bs, need)
		}
	}
	return nil
}

// nullLoad is a load on a mount of null: it returns how much a second.
type nullLoad struct {
	name, unit string
	run        func(dir string) (float64, error)
}

func (b *bench) nullLoads() []nullLoad {
	fio := func(args ...string) func(string) (float64, error) {
		return func(dir string) (float64, error) {
			r, err := runFio(dir, append(b.timed(args...), "--filename=f", "--size=1g", "--direct=1", "--norandommap", "--gtod_reduce=1")...)
			return r.IOPS, err
		}
	}
	return []nullLoad{
		{"stat, one client", "/s", func(dir string) (float64, error) { return statter(dir, 1, b.seconds) }},
		{fmt.Sprintf("stat, %d clients", clients), "/s", func(dir string) (float64, error) { return statter(dir, clients, b.seconds) }},
		{"4 KiB random reads, depth 1", "IOPS", fio("--ioengine=psync", "--rw=randread", "--bs=4k")},
		{"4 KiB random reads, depth 16", "IOPS", fio("--ioengine=libaio", "--iodepth=16", "--rw=randread", "--bs=4k")},
		{fmt.Sprintf("4 KiB random reads, %d jobs", clients), "IOPS", fio("--ioengine=psync", "--rw=randread", "--bs=4k", fmt.Sprintf("--numjobs=%d", clients))},
		{"1 MiB reads, depth 4", "IOPS", fio("--ioengine=libaio", "--iodepth=4", "--rw=read", "--bs=1m")},
		{"1 MiB writes, depth 4", "IOPS", fio("--ioengine=libaio", "--iodepth=4", "--rw=write", "--bs=1m")},
	}
}

// statter has n threads look a file up whose entry is never cached.
func statter(dir string, n int, seconds float64) (float64, error) {
	path := filepath.Join(dir, "f")
	var total atomic.Int64
	var failed atomic.Value
	var all sync.WaitGroup
	begin := time.Now()
	until := begin.Add(time.Duration(seconds * float64(time.Second)))
	for range n {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			calls, err := stats(path, until)
			if err != nil {
				failed.Store(err)
			}
			total.Add(calls)
		})
	}
	all.Wait()
	if err, ok := failed.Load().(error); ok {
		return 0, err
	}
	return float64(total.Load()) / time.Since(begin).Seconds(), nil
}

// stats asks about path again and again.
func stats(path string, until time.Time) (calls int64, err error) {
	var st unix.Stat_t
	for ; calls&63 != 0 || time.Now().Before(until); calls++ {
		if err := unix.Stat(path, &st); err != nil {
			return calls, err
		}
	}
	return calls, nil
}

// statOf is statter of one, on the calling thread.
func statOf(dir string, seconds float64) (float64, error) {
	begin := time.Now()
	n, err := stats(filepath.Join(dir, "f"), begin.Add(time.Duration(seconds*float64(time.Second))))
	return float64(n) / time.Since(begin).Seconds(), err
}

// onFirst runs f on a thread that stays on the first CPU.
func onFirst(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		var set unix.CPUSet
		set.Set(0)
		_ = unix.SchedSetaffinity(0, &set) // else the result is another
		f()
	}()
	<-done
}

// inGo runs a load on a server as s says.
func inGo(s spec, run func(string) (float64, error)) (float64, error) {
	v, err := s.start()
	if err != nil {
		return 0, err
	}
	x, err := run(v.Dir)
	_, err2 := v.stop()
	return x, errors.Join(err, err2)
}

// inC runs it on the C program.
func inC(prog string, s spec, run func(string) (float64, error)) (float64, error) {
	dir, err := os.MkdirTemp(s.Dir, "mnt-")
	if err != nil {
		return 0, err
	}
	how := "dev"
	if s.Ring {
		how = "uring"
	}
	cmd := exec.Command(prog, how, "8", dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // of the thread, which is locked
	runtime.LockOSThread()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	x := 0.0
	if line, err2 := bufio.NewReader(out).ReadString('\n'); line == "ready\n" {
		x, err = run(dir)
	} else {
		err = fmt.Errorf("null.c did not begin: %q: %w", line, err2)
	}
	err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH))
	limit := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	err = errors.Join(err, cmd.Wait())
	limit.Stop()
	return x, errors.Join(err, os.Remove(dir))
}
