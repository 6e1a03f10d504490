package wb

import (
	"testing"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/sg/clock"
)

// sink is an engine that has written everything at once.
type sink struct{ bytes int64 }

func (s *sink) Submit(op *aio.Op) { s.TrySubmit(op) }

func (s *sink) TrySubmit(op *aio.Op) bool {
	op.N, op.Err = op.Vec.Len(), 0
	s.bytes += int64(op.N)
	op.Done(op)
	return true
}

// TestAllocs: writing, reading back and syncing allocate nothing in the long run.
func TestAllocs(t *testing.T) {
	e := new(sink)
	b, _ := newBack(t, 1, Config{})
	c, err := New(e, Config{Bytes: 64 * chunkSize, Age: clock.Nanos(-1)})
	if err != nil {
		t.Fatal(err)
	}
	f := c.File(1)
	var h Handle
	f.Open(&h)
	for _, n := range []int{100, 4096, 128 << 10} {
		data := make([]byte, n)
		w := &Task{Data: data, Owner: b.files[0]}
		r := &Task{Data: make([]byte, n), Owner: b.files[0]}
		s := &Task{Len: -1, Handle: &h, Done: func(*Task) {}}
		i := 0
		do := func() {
			w.Off = int64(i * n % (8 << 20))
			if !f.Write(w) || w.N != n {
				t.Fatal("a write waits", w.N)
			}
			if r.Off = w.Off; !f.Read(r) || r.N != n && !r.Through {
				t.Fatal("a read waits", r.N)
			}
			if i++; i%100 == 0 && !f.Sync(s) { // the engine is called behind it
				f.Wait(s)
			}
		}
		for range 1000 {
			do()
		}
		if a := testing.AllocsPerRun(1000, do); a != 0 {
			t.Errorf("%d bytes: %v allocations", n, a)
		}
	}
	if e.bytes == 0 {
		t.Error("nothing was written")
	}
}
