package conn

import "slices"

// Workers serve what the threads of rings must not: requests whose handler would
// block ([Request.Elsewhere]), and all of a thread that handlers may not use any
// more. There are none until they are needed, up to Options.Threads; after parkFor
// without work one ends.

// workers is their list of requests, and those that wait for one.
type workers struct {
	mu          mutex
	first, last *Request // linked by next
	idle        []*Thread
	n           int
	moved       uint64 // requests so far
	ended       bool
}

// work has a worker serve r.
func (c *Conn) work(r *Request) {
	w := &c.workers
	w.mu.Lock()
	w.moved++
	r.next = nil
	if w.last != nil {
		w.last.next = r
	} else {
		w.first = r
	}
	w.last = r
	if n := len(w.idle); n > 0 {
		t := w.idle[n-1]
		w.idle = w.idle[:n-1]
		ring(t.wake)
	} else {
		c.startWorker()
	}
	w.mu.Unlock()
}

// startWorker starts one if there may be another. workers.mu is held, and the
// caller is in the connection.
func (c *Conn) startWorker() {
	if c.workers.n == c.opt.Threads {
		return
	}
	c.workers.n++
	c.users.Add(1)
	t := &Thread{c: c, worker: true, wake: make(chan struct{}, 1)}
	go t.main()
}

// work is a worker's life.
func (t *Thread) work() {
	c := t.c
	w := &c.workers
	defer func() {
		w.mu.Lock()
		w.n--
		if w.first != nil { // given up in the midst of it
			c.startWorker()
		}
		w.mu.Unlock()
		c.exit()
	}()
	for !t.retire {
		w.mu.Lock()
		r := w.first
		if r == nil && !w.ended {
			w.idle = append(w.idle, t)
			w.mu.Unlock()
			alarm := newAlarm(t.wake, parkFor)
			<-t.wake
			alarm.Stop()
			w.mu.Lock()
			if i := slices.Index(w.idle, t); i >= 0 { // nobody took it off
				w.idle = append(w.idle[:i], w.idle[i+1:]...)
			}
			r = w.first
		}
		if r == nil {
			w.mu.Unlock()
			return
		}
		if w.first = r.next; w.first == nil {
			w.last = nil
		}
		w.mu.Unlock()
		r.next = nil
		r.move = false
		r.worker.Store(t)
		t.handle(r)
	}
}

// end has those that wait end.
func (w *workers) end() {
	w.mu.Lock()
	w.ended = true
	for _, t := range w.idle {
		ring(t.wake)
	}
	w.mu.Unlock()
}
