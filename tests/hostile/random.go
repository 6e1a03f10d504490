package hostile

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Random runs f on random programs: n of them, times FUSEWIRE_LONG, or for as
// long as budget allows. FUSEWIRE_SEED is the first one's seed; a failure names
// the seed of its program.
func Random(t *testing.T, n int, budget time.Duration, f func(t testing.TB, in []byte)) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("FUSEWIRE_SEED: %v", err)
		}
		seed = v
	}
	if s := os.Getenv("FUSEWIRE_LONG"); s != "" {
		v, err := strconv.Atoi(s)
		if err != nil || v < 1 {
			t.Fatalf("FUSEWIRE_LONG=%q is no factor", s)
		}
		n *= v
		budget *= time.Duration(v)
	}
	end := time.Now().Add(budget)
	i := 0
	for ; i < n && time.Now().Before(end); i++ {
		f(t, Program(seed+uint64(i)))
		if t.Failed() {
			t.Fatalf("FUSEWIRE_SEED=%d runs this again", seed+uint64(i))
		}
	}
	t.Logf("%d programs, seed %d", i, seed)
}

// Program returns the program of a seed.
func Program(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 16+r.IntN(600))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if r.IntN(4) > 0 { // mostly something that gets beyond INIT
		b[0] &^= 0xfd
	}
	return b
}
