// Command guest is all that runs in a machine of tests/vm, as its /init: it sets
// the machine up, serves directories with /passthrough, checks the mounts, prints
// PASS or FAIL for each check, and DONE, and powers off.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// self runs this program once more, as a user of the mount.
func self(args ...string) *exec.Cmd { return exec.Command("/proc/self/exe", args...) }

// args is what the host asks for.
type args struct {
	minor uint32 // of the protocol that the kernel speaks
	seed  uint64
	ops   int // operations of a model
	modes []string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "write" { // as somebody else
		if err := os.WriteFile(os.Args[2], []byte("after"), 0); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	defer unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	if err := setUp(); err != nil {
		fail("boot", err)
		return
	}
	a, err := readArgs("/args")
	if err != nil {
		fail("boot", err)
		return
	}
	checkWithin += time.Duration(a.ops) * 20 * time.Millisecond
	runAll(a)
	fmt.Print("\nDONE\n")
}

// mode is a way to serve, and what there is to check about it in particular.
type mode struct {
	name  string
	flags []string
	names bool // namespace operations too, which are the same in others
	also  func(s *served, a *args)
}

// modes are all of them; the host says which.
var modes = []mode{
	{"plain", nil, true, nil},
	{"direct", []string{"--direct-io"}, false, nil},
	{"writeback", []string{"--writeback"}, false, nil},
	{"fallback", []string{"--transport=uring", "--zero-copy=on", "--nopassthrough"}, false, func(s *served, a *args) {
		check("fallback/said", s, func() error {
			for _, want := range []string{"io_uring is not used, /dev/fuse is: the kernel does not offer it", "zero copy is not used ("} {
				if strings.Count(s.out.String(), want) != 1 {
					return fmt.Errorf("not said once: %q, but %q", want, s.out.String())
				}
			}
			n, err := s.stats()
			if err == nil && n["queues"] != 0 {
				err = fmt.Errorf("%d queues", n["queues"])
			}
			return err
		})
	}},
	{"uring", []string{"--transport=uring", "--nopassthrough"}, true, func(s *served, a *args) {
		check("uring/used", s, func() error { return onRing(s, false) })
		check("uring/many", s, func() error { return checkMany(rng(a)) })
		check("uring/seen", s, func() error { return checkUnseen(s, rng(a), true) })
	}},
	{"zero", []string{"--transport=uring", "--zero-copy=on", "--nopassthrough"}, true, func(s *served, a *args) { alsoZero("zero", s, a) }},
	{"zero-direct", []string{"--transport=uring", "--zero-copy=auto", "--direct-io"}, false, func(s *served, a *args) { alsoZero("zero-direct", s, a) }},
	{"zero-writeback", []string{"--transport=uring", "--zero-copy=on", "--writeback"}, false, func(s *served, a *args) { alsoZero("zero-writeback", s, a) }},
}

func alsoZero(name string, s *served, a *args) {
	check(name+"/used", s, func() error { return onRing(s, true) })
	check(name+"/many", s, func() error { return checkMany(rng(a)) })
	check(name+"/truncated", s, func() error { return checkTruncated(rng(a)) })
	check(name+"/unseen", s, func() error { return checkUnseen(s, rng(a), false) })
	check(name+"/full", s, func() error { return checkFull(rng(a)) })
	check(name+"/bits", s, func() error { return checkBits() })
}

// onRing has the requests so far have come on a ring, and data have been moved.
func onRing(s *served, zero bool) error {
	n, err := s.stats()
	if err != nil {
		return err
	}
	if n["queues"] == 0 || (n["zerobytes"] > 0) != zero || n["refused"] != 0 || strings.Contains(s.out.String(), "not used") {
		return errors.New(s.out.String())
	}
	return nil
}

// runAll is everything that is checked.
func runAll(a *args) {
	check("init", nil, func() error { return checkInit(a) })
	for i := range modes {
		if m := &modes[i]; slices.Contains(a.modes, m.name) {
			onMount(m, a)
		}
	}
	if slices.Contains(a.modes, "zero") {
		check("zero/killed", nil, func() error { return checkKilled(rng(a)) })
	}
	if slices.Contains(a.modes, "cost") {
		check("cost", nil, checkCost)
	}
	check("kernel", nil, checkKernel)
}

func readArgs(path string) (*args, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a := &args{}
	for _, f := range strings.Fields(string(b)) {
		k, v, _ := strings.Cut(f, "=")
		if k == "modes" {
			a.modes = strings.Split(v, ",")
			continue
		}
		n, err := strconv.ParseUint(v, 0, 64)
		if err != nil {
			return nil, err
		}
		switch k {
		case "minor":
			a.minor = uint32(n)
		case "seed":
			a.seed = n
		case "ops":
			a.ops = int(n)
		default:
			return nil, fmt.Errorf("%s: not known", f)
		}
	}
	return a, nil
}

// checkWithin bounds a check. What takes longer hangs, and nothing else can run.
var checkWithin = 4 * time.Minute

// check runs f and prints how it ended.
func check(name string, s *served, f func() error) bool {
	done := make(chan error, 1)
	start := time.Now()
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		if err != nil {
			fail(name, err)
			return false
		}
	case <-time.After(checkWithin):
		fail(name, errors.New("hangs"))
		s.dump()
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	fmt.Printf("PASS %s\n     after %.1fs\n", name, time.Since(start).Seconds())
	return true
}

func fail(name string, err error) { fmt.Printf("FAIL %s: %v\n", name, err) }

// note prints something that the host repeats even if all is well.
func note(format string, a ...any) { fmt.Printf("NOTE "+format+"\n", a...) }
