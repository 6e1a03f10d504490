package sg

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestArenaModel runs random programs of Get, Put, Release and Trim against a
// naive account of what each slot holds.
func TestArenaModel(t *testing.T) {
	page := unix.Getpagesize()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		slots := 1 + rnd.IntN(8)
		size := 1 + rnd.IntN(4*page)
		a, err := NewArena(size, slots)
		if err != nil {
			t.Fatal(err)
		}
		if a.SlotSize() < size || a.SlotSize()%page != 0 {
			t.Fatalf("seed %d: slot of %d bytes for %d", seed, a.SlotSize(), size)
		}
		model := map[int][]byte{} // contents by index
		zero := make([]byte, a.SlotSize())
		var held, put []*Buf
		peak := 0
		for range 500 {
			switch op := rnd.IntN(5); {
			case op <= 1:
				b, ok := a.Get()
				if ok != (len(held) < slots) {
					t.Fatalf("seed %d: Get with %d of %d taken: %v", seed, len(held), slots, ok)
				}
				if !ok {
					continue
				}
				for _, h := range held {
					if h == b || h.Index() == b.Index() {
						t.Fatalf("seed %d: slot %d twice", seed, b.Index())
					}
				}
				if b.Index() < 0 || b.Index() >= slots || len(b.Bytes()) != a.SlotSize() {
					t.Fatalf("seed %d: slot %d of %d bytes", seed, b.Index(), len(b.Bytes()))
				}
				if n := len(put); n > 0 && put[n-1] != b {
					t.Fatalf("seed %d: not the slot put back last", seed)
				} else if n > 0 {
					put = put[:n-1]
				}
				held = append(held, b)
				peak = max(peak, len(held))
			case op == 2 && len(held) > 0:
				i := rnd.IntN(len(held))
				b := held[i]
				held = append(held[:i], held[i+1:]...)
				a.Put(b)
				a.Put(b) // does nothing
				put = append(put, b)
			case op == 3 && len(held) > 0:
				b := held[rnd.IntN(len(held))]
				n := rnd.IntN(len(b.Bytes()) + 1)
				m := model[b.Index()]
				if m == nil {
					m = make([]byte, a.SlotSize())
					model[b.Index()] = m
				}
				for i := range n {
					m[i] = byte(rnd.Uint32())
				}
				copy(b.Bytes(), m[:n])
				b.Touched(n)
			case op == 4:
				keep := rnd.IntN(a.SlotSize() + 1)
				forget := func(b *Buf) {
					if m := model[b.Index()]; m != nil {
						clear(m[min((keep+page-1)/page*page, len(m)):])
					}
				}
				if rnd.IntN(2) == 0 {
					a.Trim(keep)
					for _, b := range put {
						forget(b)
					}
				} else if len(held) > 0 {
					b := held[rnd.IntN(len(held))]
					b.Release(keep)
					forget(b)
					if b.High() > (keep+page-1)/page*page {
						t.Fatalf("seed %d: High %d after Release(%d)", seed, b.High(), keep)
					}
				}
			}
			for _, b := range held {
				m := model[b.Index()]
				if m == nil {
					m = zero
				}
				if !bytes.Equal(b.Bytes(), m) {
					t.Fatalf("seed %d: slot %d changed", seed, b.Index())
				}
			}
			idle := 0
			for _, b := range put {
				idle += b.High()
			}
			if n, _ := a.Memory(); n != idle {
				t.Fatalf("seed %d: %d bytes idle, want %d", seed, n, idle)
			}
			if n, use, top := a.Stats(); n != slots || use != len(held) || top != peak {
				t.Fatalf("seed %d: Stats %d %d %d, want %d %d %d", seed, n, use, top, slots, len(held), peak)
			}
		}
		for _, b := range held {
			a.Put(b)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestArenaMemory checks that memory is used when touched, and given back.
func TestArenaMemory(t *testing.T) {
	const size, slots = 1 << 20, 4
	a, err := NewArena(size, slots)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, _ := a.Get()
	resident := func() (n int) {
		t.Helper()
		page := unix.Getpagesize()
		vec := make([]byte, size/page)
		if err := mincore(b.Bytes(), vec); err != nil {
			t.Fatal(err)
		}
		for _, v := range vec {
			n += int(v&1) * page
		}
		return n
	}
	if n := resident(); n != 0 {
		t.Errorf("%d bytes resident before use", n)
	}
	for i := range b.Bytes() {
		b.Bytes()[i] = 1
	}
	b.Touched(size)
	if n := resident(); n != size {
		t.Errorf("%d bytes resident of %d written", n, size)
	}
	b.Release(64 << 10)
	if n := resident(); n != 64<<10 {
		t.Errorf("%d bytes resident after Release(64 KiB)", n)
	}
	if b.Bytes()[0] != 1 || b.Bytes()[size-1] != 0 {
		t.Error("wrong part released")
	}
}

// TestArenaKeepIdle checks that free slots keep no more than they may.
func TestArenaKeepIdle(t *testing.T) {
	page := unix.Getpagesize()
	a, err := NewArena(4*page, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	use := func() {
		var bufs [3]*Buf
		for i := range bufs {
			bufs[i], _ = a.Get()
			clear(bufs[i].Bytes())
			bufs[i].Touched(4 * page)
		}
		for _, b := range bufs {
			a.Put(b)
		}
	}
	for _, c := range []struct{ keep, idle, returned int }{
		{12 * page, 12 * page, 0}, {11 * page, 8 * page, 4 * page}, {4 * page, 4 * page, 8 * page}, {-1, 0, 12 * page},
	} {
		_, before := a.Memory()
		a.KeepIdle(c.keep)
		use()
		if idle, after := a.Memory(); idle != c.idle || int(after-before) != c.returned {
			t.Errorf("KeepIdle(%d): %d idle, %d returned", c.keep, idle, after-before)
		}
	}
}

// TestArenaClose checks that the memory lives as long as a slot is taken.
func TestArenaClose(t *testing.T) {
	a, err := NewArena(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := a.Get()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b.Bytes()[0] = 1 // still there
	if _, ok := a.Get(); ok {
		t.Error("Get after Close")
	}
	a.Trim(0)
	a.Put(b)
	if b.Bytes() != nil {
		t.Error("memory after the last Put")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	other, _ := NewArena(1, 1)
	defer other.Close()
	c, _ := other.Get()
	a.Put(c)
	a.Put(nil)
	if _, n, _ := other.Stats(); n != 1 {
		t.Error("another arena's slot was put back")
	}
}

// TestArenaErrors checks what NewArena refuses.
func TestArenaErrors(t *testing.T) {
	const huge = int(^uint(0) >> 1)
	for _, c := range []struct{ size, slots int }{{0, 1}, {1, 0}, {-1, 1}, {huge, 1}, {huge / 2, 3}, {4096, huge}} {
		a, err := NewArena(c.size, c.slots)
		var e *Error
		if a != nil || !errors.As(err, &e) || !errors.Is(err, unix.EINVAL) {
			t.Errorf("NewArena(%d, %d): %v", c.size, c.slots, err)
		}
	}
	if _, err := NewArena(0, 1); err == nil || err.Error() != "arena 0 bytes: invalid argument" {
		t.Errorf("%v", err)
	}
	// 2^62 bytes; 32-bit processes may well get all they can name
	if _, err := NewArena(huge/4, 2); bits.UintSize == 64 && !errors.Is(err, unix.ENOMEM) {
		t.Errorf("half the address space: %v", err)
	}
}

// TestArenaConcurrent takes and puts from many goroutines at once.
func TestArenaConcurrent(t *testing.T) {
	a, err := NewArena(4096, 3)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 2000 {
				b, ok := a.Get()
				if !ok {
					continue
				}
				b.Bytes()[0] = byte(id)
				b.Touched(1)
				if b.Bytes()[0] != byte(id) {
					t.Error("shared slot")
				}
				a.Put(b)
				a.Trim(0)
			}
		}()
	}
	wg.Wait()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestArenaAllocs gates Get and Put.
func TestArenaAllocs(t *testing.T) {
	a, err := NewArena(4096, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if n := testing.AllocsPerRun(1000, func() {
		b, _ := a.Get()
		a.Put(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
