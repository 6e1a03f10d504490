package passfs

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"golang.org/x/sys/unix"
)

// randomly runs f n times with seeds from 0 on, FUSEWIRE_LONG times as often,
// or once with the seed FUSEWIRE_SEED. The seed is in the subtest's name.
func randomly(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand)) {
	t.Helper()
	first := uint64(0)
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatalf("FUSEWIRE_SEED=%s: %v", s, err)
		}
		first, n = seed, 1
	} else if s := os.Getenv("FUSEWIRE_LONG"); s != "" {
		factor, err := strconv.Atoi(s)
		if err != nil || factor < 1 {
			t.Fatalf("FUSEWIRE_LONG=%s is not a factor", s)
		}
		n *= factor
	}
	for i := range uint64(n) {
		seed := first + i
		t.Run("seed="+strconv.FormatUint(seed, 10), func(t *testing.T) {
			f(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

// ourselves is a process of k's with the ids of this one.
func ourselves(k *conntest.Kernel) *conntest.Client {
	return k.Process(uint32(os.Geteuid()), uint32(os.Getegid()))
}

// balanced is forgotten, and that nothing was forgotten that was not counted.
func balanced(t *testing.T, fs *FS, k *conntest.Kernel) {
	t.Helper()
	forgotten(t, fs, k)
	if n := fs.nodes.OverForgets(); n != 0 {
		t.Errorf("%d FORGETs of more than was counted", n)
	}
	if v := k.Violations(); len(v) > 0 {
		t.Error(v[0])
	}
}

// until repeats a call whose replies may be lost.
func until(f func() error) error {
	for {
		if err := f(); err != unix.ECONNABORTED {
			return err
		}
	}
}

// tail is the end of a log, for a message.
func tail(log []string) string { return strings.Join(log[max(0, len(log)-40):], "\n") }
