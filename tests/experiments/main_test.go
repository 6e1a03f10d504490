package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) {
	if role() {
		return
	}
	harness.Main(m)
}

// on returns the beginning of a server's description: a new tmpfs, counted.
func on(t *testing.T) spec {
	return spec{Source: harness.Tmpfs(t), Dir: harness.Disk(t), Count: true}
}

// up starts a server. The function returned stops it, once, and so does the end
// of the test.
func up(t *testing.T, s spec) (*server, func() counts) {
	t.Helper()
	v, err := s.start()
	if err != nil {
		t.Fatal(err)
	}
	var n counts
	var once sync.Once
	down := func() counts {
		once.Do(func() {
			if n, err = v.stop(); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	t.Cleanup(func() { down() })
	return v, down
}

// dice returns a random source. A failed test says how to throw the same again.
func dice(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 0, 64); err != nil {
			t.Fatal("FUSEWIRE_SEED:", err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("FUSEWIRE_SEED=%d", seed)
		}
	})
	return seed
}

// crowd runs n of f at once, each with dice of its own, and collects errors.
func crowd(t *testing.T, n int, f func(me int, r *rand.Rand) error) {
	t.Helper()
	seed := dice(t)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for me := range n {
		wg.Go(func() { errs[me] = f(me, rand.New(rand.NewPCG(seed, uint64(me)))) })
	}
	wg.Wait()
	for me, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", me, err)
		}
	}
}

// open opens a file until the test ends, or done is called.
func open(t *testing.T, path string, flags int) (fd int, done func()) {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(path, err)
	}
	var once sync.Once
	done = func() {
		once.Do(func() {
			if err := unix.Close(fd); err != nil {
				t.Error("close:", err)
			}
		})
	}
	t.Cleanup(done)
	return fd, done
}

// zeros makes a file of n blocks, all of them zero but none a hole.
func zeros(t *testing.T, path string, n int) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, n*block), 0o644); err != nil {
		t.Fatal(err)
	}
}

// whole calls pwrite(2) or pread(2), and says so if it is short. Signals come often,
// for Go's scheduler makes use of them; no file system's read or write ends with
// EINTR for that.
func whole(call func(int, []byte, int64) (int, error), fd int, b []byte, off int64) error {
	n, err := call(fd, b, off)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes of %d", n, len(b))
	}
	return err
}
