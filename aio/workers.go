package aio

import (
	"sync"

	"github.com/fusewire/fusewire/sg/clock"
)

// Workers is the back end of blocking system calls on a bounded number of
// threads. They are begun as they are needed, the one that rested for the shortest
// time is woken first, and those that had nothing to do for a while end.
type Workers struct {
	max  int
	rest clock.Nanos
	do   func(*Op)

	mu      sync.Mutex
	gone    sync.Cond
	queue   ops
	idle    *worker // the warmest first
	n, most int
	begun   uint64
	closed  bool

	timer *clock.Timer // goes off every rest while there are idle ones
	armed bool
	tick  uint64
}

// worker is one that rests.
type worker struct {
	next  *worker
	wake  chan *Op // nil: end
	since uint64   // tick
}

// restFor is how long a worker stays without work at least, and half of how long
// it does at most.
const restFor = 5 * clock.Second

// NewWorkers returns a back end of at most n threads, 1 or more.
func NewWorkers(n int) *Workers { return newWorkers(n, restFor, Do) }

// NewWorkersFunc returns one that calls do instead of Do. It sets N and Err.
func NewWorkersFunc(n int, do func(*Op)) *Workers { return newWorkers(n, restFor, do) }

func newWorkers(n int, rest clock.Nanos, do func(*Op)) *Workers {
	w := &Workers{max: max(n, 1), rest: rest, do: do}
	w.gone.L = &w.mu
	return w
}

// Start is Backend's.
func (w *Workers) Start(op *Op) bool {
	w.mu.Lock()
	switch r := w.idle; {
	case r != nil:
		w.idle, r.next = r.next, nil
		w.mu.Unlock()
		r.wake <- op // has room
	case w.n < w.max:
		w.n++
		w.most = max(w.most, w.n)
		w.begun++
		w.mu.Unlock()
		go w.work(op)
	default:
		w.queue.push(op)
		w.mu.Unlock()
	}
	return false
}

// work is a worker's life.
func (w *Workers) work(op *Op) {
	self := &worker{wake: make(chan *Op, 1)}
	for op != nil {
		w.do(op)
		op.Finish()
		op = w.take(self)
	}
	w.mu.Lock()
	w.n--
	if w.n == 0 {
		w.gone.Broadcast()
	}
	w.mu.Unlock()
}

// take returns what to do next, nil to end.
func (w *Workers) take(self *worker) *Op {
	w.mu.Lock()
	if op := w.queue.pop(); op != nil || w.closed {
		w.mu.Unlock()
		return op
	}
	self.since, self.next = w.tick, w.idle
	w.idle = self
	if !w.armed {
		w.armed = true
		if w.timer == nil {
			w.timer = clock.AfterFunc(w.rest, w.reap)
		} else {
			w.timer.Reset(w.rest)
		}
	}
	w.mu.Unlock()
	return <-self.wake
}

// reap ends who has rested since before the tick before this.
func (w *Workers) reap() {
	w.mu.Lock()
	w.tick++
	for p := &w.idle; *p != nil; {
		r := *p
		if r.since+1 < w.tick {
			*p = r.next
			r.wake <- nil // has room
		} else {
			p = &r.next
		}
	}
	if w.armed = w.idle != nil; w.armed {
		w.timer.Reset(w.rest)
	}
	w.mu.Unlock()
}

// Depth is Backend's.
func (w *Workers) Depth() int { return w.max }

// Cancel is Backend's. System calls on files are left alone.
func (w *Workers) Cancel(*Op) {}

// Close is Backend's. It waits until every thread has ended.
func (w *Workers) Close() error {
	w.mu.Lock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	for w.idle != nil {
		r := w.idle
		w.idle = r.next
		r.wake <- nil
	}
	for w.n > 0 {
		w.gone.Wait()
	}
	w.mu.Unlock()
	return nil
}
