// Command guest is all that runs in a machine of tests/vm, as its /init: it sets
// the machine up, serves directories with /passthrough, checks the mounts, prints
// PASS or FAIL for each check, and DONE, and powers off.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// args is what the host asks for.
type args struct {
	minor uint32 // of the protocol that the kernel speaks
	seed  uint64
	ops   int // operations of a model
}

func main() {
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

// runAll is everything that is checked.
func runAll(a *args) {
	check("init", nil, func() error { return checkInit(a) })
	for _, m := range []struct {
		name  string
		flags []string
	}{
		{"plain", nil},
		{"direct", []string{"--direct-io"}},
		{"writeback", []string{"--writeback"}},
	} {
		onMount(m.name, a, m.flags, nil)
	}
}

func readArgs(path string) (*args, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	a := &args{}
	for _, f := range strings.Fields(string(b)) {
		k, v, _ := strings.Cut(f, "=")
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
		fail(name, fmt.Errorf("hangs"))
		s.dump()
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	fmt.Printf("PASS %s\n     after %.1fs\n", name, time.Since(start).Seconds())
	return true
}

func fail(name string, err error) { fmt.Printf("FAIL %s: %v\n", name, err) }

// note prints something that the host repeats even if all is well.
func note(format string, a ...any) { fmt.Printf("NOTE "+format+"\n", a...) }
