package faithful

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// seeds are the ones that run: FUSEWIRE_SEED alone if it is set, else some,
// times FUSEWIRE_LONG.
func seeds(t *testing.T) []uint64 {
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{n}
	}
	n := 2
	if s := os.Getenv("FUSEWIRE_LONG"); s != "" {
		f, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		n *= f
	}
	var l []uint64
	for i := range n {
		l = append(l, uint64(i+1))
	}
	return l
}

func TestPrograms(t *testing.T) {
	for i := range modes {
		m := &modes[i]
		t.Run(m.name, func(t *testing.T) {
			for _, seed := range seeds(t) {
				t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
					prog := program(m, seed, 1000)
					compare(t, m, prog, onReality(t, m, prog), onImitation(t, m, prog))
				})
			}
		})
	}
}
