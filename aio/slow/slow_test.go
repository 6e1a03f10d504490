package slow

import (
	"testing"
	"time"

	"github.com/fusewire/fusewire/aio"
)

// TestStore: n ops at a time, each for as long as it was told, and counted.
func TestStore(t *testing.T) {
	const each, n, total = 5 * time.Millisecond, 4, 16
	s := New(each, n, func(op *aio.Op) { op.N, op.Err = 10, 0 })
	e := aio.New(s, aio.Config{})
	begin := time.Now()
	for range total {
		e.Submit(&aio.Op{Kind: aio.Fsync})
	}
	e.Drain()
	if took := time.Since(begin); took < total/n*each {
		t.Errorf("%d ops, %d at a time, %v each, took %v", total, n, each, took)
	}
	most := e.Stats().PeakDepth
	if most != n || s.Calls() != total || s.Bytes() != 10*total {
		t.Errorf("%d at a time, %d calls, %d bytes", most, s.Calls(), s.Bytes())
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
