package wb

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
)

// tape is a source of numbers that are somebody's bytes, and then others: rand
// draws again and again what it does not like.
type tape struct {
	b    []byte
	over bool
	rest *rand.PCG
}

func (t *tape) Uint64() uint64 {
	var x [8]byte
	if t.over {
		return t.rest.Uint64()
	}
	n := copy(x[:], t.b)
	t.b, t.over = t.b[n:], n < 8
	return binary.LittleEndian.Uint64(x[:])
}

// FuzzCache reads the program of TestModel, and which writes fail, from its input.
func FuzzCache(f *testing.F) {
	for i := range uint64(4) {
		b := make([]byte, 0, 4096)
		for rng := rand.NewPCG(i, 3); len(b) < 4096; {
			b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
		}
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, fails uint8, b []byte) {
		src := &tape{b: b[:min(len(b), 1<<15)], rest: rand.NewPCG(1, 1)}
		m := newModel(t, rand.New(src), small)
		n := uint8(0)
		if fails != 0 {
			m.failing(unix.EIO, func(op *aio.Op) bool {
				n++
				return n == fails // of 256
			})
		}
		for !src.over {
			m.step()
		}
		m.drain()
		m.end()
	})
}
