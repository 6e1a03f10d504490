package wb

import (
	"github.com/fusewire/fusewire/aio"
)

// Engine carries out what the cache has written and read: a part of aio.Engine.
// Ops that the cache has submitted and that are not done never overlap, unless
// all of them read.
type Engine interface {
	// Submit starts op. It may wait, and call op.Done.
	Submit(op *aio.Op)
	// TrySubmit is Submit that returns false instead of waiting.
	TrySubmit(op *aio.Op) bool
}

// Threads is a small Engine: a goroutine for each op, up to a number, and a queue.
// What it queues is bounded by who submits.
type Threads struct {
	_   [0]func() // not comparable: no code for it
	max int
	do  func(*aio.Op)

	mu    mutex
	n     int
	queue []*aio.Op
}

// NewThreads returns an engine that has up to n ops carried out at once, by system
// calls, or by f, which sets N and Err, if that is not nil.
func NewThreads(n int, f func(*aio.Op)) *Threads {
	if f == nil {
		f = do
	}
	return &Threads{max: max(n, 1), do: f}
}

// Submit is Engine's. It does not wait.
func (t *Threads) Submit(op *aio.Op) {
	t.mu.Lock()
	if t.n >= t.max {
		t.queue = append(t.queue, op)
		t.mu.Unlock()
		return
	}
	t.n++
	t.mu.Unlock()
	go t.work(op)
}

// TrySubmit is Engine's, and always true.
func (t *Threads) TrySubmit(op *aio.Op) bool {
	t.Submit(op)
	return true
}

func (t *Threads) work(op *aio.Op) {
	for op != nil {
		op.N, op.Err = 0, 0
		t.do(op)
		op.Done(op)
		t.mu.Lock()
		if op = nil; len(t.queue) > 0 {
			op = t.queue[0]
			n := copy(t.queue, t.queue[1:])
			t.queue[n] = nil
			t.queue = t.queue[:n]
		} else {
			t.n--
		}
		t.mu.Unlock()
	}
}
