package aio

import (
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/sg/clock"
)

// TestWorkers: threads are begun as they are needed, up to the limit, are reused
// while warm, and end when there is nothing to do.
func TestWorkers(t *testing.T) {
	var mu sync.Mutex
	at, most := 0, 0
	let := make(chan bool)
	w := newWorkers(4, clock.Nanos(20*time.Millisecond), func(op *Op) {
		mu.Lock()
		at++
		most = max(most, at)
		mu.Unlock()
		<-let
		mu.Lock()
		at--
		mu.Unlock()
		op.N, op.Err = 0, 0
	})
	s := New(w, Config{Depth: 100})
	l := newLog()
	threads := func() (n int, begun uint64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.n, w.begun
	}
	if n, _ := threads(); n != 0 {
		t.Errorf("%d threads before there is work", n)
	}
	for i := range 3 {
		s.Submit(&Op{Kind: Fsync, Done: l.add})
		if n, _ := threads(); n != i+1 {
			t.Errorf("%d threads for %d ops", n, i+1)
		}
	}
	for range 7 {
		s.Submit(&Op{Kind: Fsync, Done: l.add})
	}
	soon(t, "four at work", func() bool { mu.Lock(); defer mu.Unlock(); return at == 4 })
	for range 10 {
		let <- true
	}
	l.wait(10)
	if most != 4 {
		t.Errorf("%d at a time", most)
	}
	// One after the other, the warm one is enough.
	for i := range 5 {
		s.Submit(&Op{Kind: Fsync, Done: l.add})
		let <- true
		l.wait(11 + i)
	}
	if n, begun := threads(); n > 4 || begun > 4+5 || w.most != 4 {
		t.Errorf("%d threads, %d begun, %d at most", n, begun, w.most)
	}
	soon(t, "threads end", func() bool { n, _ := threads(); return n == 0 })
	s.Submit(&Op{Kind: Fsync, Done: l.add})
	let <- true
	s.Close()
	if n, _ := threads(); n != 0 || l.len() != 16 {
		t.Errorf("%d threads, %d done", n, l.len())
	}
}
