package aio

import (
	"testing"
)

// TestAllocs: nothing allocates once pools have grown, on any way an op can go.
func TestAllocs(t *testing.T) {
	fd := open(t, t.TempDir(), 0, make([]byte, 1<<20))
	engines(t, func(name string, s *Scheduler) {
		const batch = 12
		ended := make(chan struct{}, batch)
		var all [batch]*Op
		for i := range all {
			op := &Op{Kind: Kind(i / 6), FD: fd, Key: 1, Off: int64(i * 4096), Done: func(*Op) { ended <- struct{}{} }}
			if i == batch-1 {
				op.Kind = Fdatasync
			}
			_ = op.Vec.AppendMem(make([]byte, 4096))
			all[i] = op
		}
		run := func() {
			for _, op := range all {
				s.Submit(op)
			}
			for range all {
				<-ended
			}
		}
		for range 50 {
			run()
		}
		if n := testing.AllocsPerRun(50, run); n != 0 {
			t.Errorf("%s: %v allocations for %d ops", name, n, batch)
		}
	})
}
