package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// tracer counts by tracepoints, in a tracefs instance of its own.
type tracer struct {
	root, dir string
}

// tally is what was counted. FORGETs are not in requests: they cost the caller
// nothing, and when they are sent is up to the kernel's memory.
type tally struct {
	requests int
	opcodes  map[protocol.Opcode]int
	syscalls int
	numbers  map[int]int // system calls by number
}

// housekeeping are system calls by which a server's threads, or a language's
// runtime, see to each other and to memory. How many there are depends on time
// and on the other load, so they are left out of what is counted.
var housekeeping = []int{
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_EPOLL_PWAIT, unix.SYS_SCHED_YIELD,
	unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_TGKILL, unix.SYS_SIGALTSTACK,
	unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_EXIT,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_GETRANDOM,
}

func newTracer(work string) (*tracer, error) {
	t := &tracer{root: filepath.Join(work, "tracing")}
	if err := os.MkdirAll(t.root, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount("tracefs", t.root, "tracefs", 0, ""); err != nil {
		return nil, fmt.Errorf("tracefs: %w", err)
	}
	// Instances are the kernel's, not the namespace's: whoever was killed left his.
	old, _ := filepath.Glob(filepath.Join(t.root, "instances/fusewire-bench-*"))
	for _, dir := range old {
		_, pid, _ := strings.Cut(filepath.Base(dir), "bench-")
		if _, err := os.Stat("/proc/" + pid); err != nil {
			_ = os.Remove(dir)
		}
	}
	t.dir = filepath.Join(t.root, "instances", "fusewire-bench-"+strconv.Itoa(os.Getpid()))
	err := os.Mkdir(t.dir, 0o755)
	if err == nil {
		err = errors.Join(t.write("buffer_size_kb", "32768"), t.write("options/event-fork", "1"))
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *tracer) write(file, text string) error {
	return os.WriteFile(filepath.Join(t.dir, file), []byte(text), 0)
}

func (t *tracer) close() error {
	return errors.Join(t.end(), os.Remove(t.dir), unix.Unmount(t.root, unix.MNT_DETACH))
}

func (t *tracer) end() error {
	return errors.Join(t.write("events/enable", "0"),
		t.write("set_event_pid", ""), t.write("events/fuse/fuse_request_send/filter", "0"))
}

// count calls f and returns what the server was asked and did meanwhile:
// requests, or system calls if those are wanted. Not both at once, for the
// process whose requests are counted is not the one whose calls are.
func (t *tracer) count(v *server, syscalls bool, f func() error) (tally, error) {
	n := tally{opcodes: map[protocol.Opcode]int{}, numbers: map[int]int{}}
	event := "events/fuse/fuse_request_send"
	err := t.write("trace", "")
	if syscalls {
		event = "events/raw_syscalls/sys_enter"
		var tids []string
		tasks, err2 := os.ReadDir(fmt.Sprintf("/proc/%d/task", v.cmd.Process.Pid))
		for _, e := range tasks {
			tids = append(tids, e.Name())
		}
		err = errors.Join(err, err2, t.write("set_event_pid", strings.Join(tids, " ")))
	} else {
		err = errors.Join(err, t.write(event+"/filter", fmt.Sprintf("connection == %d", v.conn)))
	}
	err = errors.Join(err, t.write(event+"/enable", "1"))
	if err != nil {
		return n, fmt.Errorf("tracing: %w", errors.Join(err, t.end()))
	}
	err = f()
	if err = errors.Join(err, t.write(event+"/enable", "0")); err == nil {
		err = t.read(&n)
	}
	return n, errors.Join(err, t.end())
}

var (
	sentRE = regexp.MustCompile(`fuse_request_send: .*opcode (\d+) `)
	sysRE  = regexp.MustCompile(`sys_enter: NR (-?\d+) `)
	lostRE = regexp.MustCompile(`(?m)^(?:commit )?overrun: [1-9]`)
)

func (t *tracer) read(n *tally) error {
	stats, err := filepath.Glob(filepath.Join(t.dir, "per_cpu/cpu*/stats"))
	if err != nil {
		return err
	}
	for _, s := range stats {
		if b, err := os.ReadFile(s); err != nil {
			return err
		} else if lostRE.Match(b) {
			return errors.New("more was traced than there is room for")
		}
	}
	f, err := os.Open(filepath.Join(t.dir, "trace"))
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if m := sentRE.FindSubmatch(sc.Bytes()); m != nil {
			code, _ := strconv.Atoi(string(m[1]))
			op := protocol.Opcode(code)
			if op != protocol.OpForget && op != protocol.OpBatchForget && op != protocol.OpInterrupt {
				n.requests++
				n.opcodes[op]++
			}
		} else if m := sysRE.FindSubmatch(sc.Bytes()); m != nil {
			nr, _ := strconv.Atoi(string(m[1]))
			if !slices.Contains(housekeeping, nr) {
				n.syscalls++
			}
			n.numbers[nr]++
		}
	}
	return sc.Err()
}
