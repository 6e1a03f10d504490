package conn

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/aio/uring"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/unix"
)

// queue is the kernel's queue of one CPU and the ring that serves it. All but
// what mu guards belongs to its thread, the only one that may enter the ring.
type queue struct {
	_     [0]func() // not comparable: no code for it
	c     *Conn
	s     *rings
	t     *Thread
	id    int
	dev   int // descriptor of the device
	ring  *uring.Ring
	all   []*Request // its entries
	regd  int        // of those, registered: the first ones
	held  int        // of those, away: detached, or with a worker
	armed int        // of those, the kernel's
	dry   bool       // requests may wait for an entry though there are some, see uringgrow.go
	hot   int        // bytes of entries' memory, as last seen
	keep  int        // what hot should not exceed
	turn  uint64     // of loop
	due   []*Request // entries to give back memory
	// For Stats: regd and hot.
	entries, memory atomic.Int64

	pool      []byte // with zero copy: payload buffers, which the kernel hands out
	poolBuf   *sg.Buf
	poolArena *sg.Arena
	moving    int // transfers in flight
	// For Stats: bytes that the kernel copied from and to payloads, and that it moved.
	copied, zeroBytes atomic.Uint64
	idle              bool // since the last request its entries gave back what they held

	tainted bool // the thread must not run handlers: they panicked, or it is somebody else
	goexit  bool // the goroutine is on its way out, see run

	// Entries answered elsewhere. The eventfd, on which a read is always pending in
	// the ring, gets the thread out of the kernel: written to if it sleeps.
	// No wake-up is lost: the thread says that it sleeps, then looks at doneLen;
	// the others add, then look whether it sleeps.
	event    int
	count    []byte // what is read from event
	sleeping atomic.Bool
	doneLen  atomic.Int32
	mu       mutex
	done     *Request // linked by next
	dead     bool     // the thread is gone
}

const (
	ringEvent = 0       // UserData of the eventfd's read; of entries, 1 + the slot
	ringMoved = 1 << 32 // UserData of a transfer, + the slot
	// ringKeep bytes of an entry do so when there is nothing to do.
	ringKeep = 16 << 10
	// ringSoon is a reply's length from which it is not kept waiting for what else
	// came with its request.
	ringSoon = 16 << 10
)

func newQueue(c *Conn, s *rings, id, dev int) *queue {
	q := &queue{c: c, s: s, id: id, dev: dev, event: -1, count: make([]byte, 8), idle: true}
	q.t = &Thread{c: c, q: q, seat: id, wake: make(chan struct{}, 1)}
	return q
}

// run is the thread, but for Goexit in a handler: then the deferred function is,
// for what is left of it. The ring must be entered by this very thread.
func (q *queue) run() {
	defer func() {
		if q.goexit {
			q.loop()
		}
		q.leave()
	}()
	err := q.prepare()
	q.s.report <- err
	if err != nil || q.await(ringWait) != ringGo {
		return
	}
	// The first queue comes last: with its first entry requests may come.
	step := ringGo
	if q.id == 0 {
		q.s.report <- nil
		if q.await(ringGo) != ringGate {
			return
		}
		step = ringGate
		err = q.submit(1)
		if err == nil {
			// What fails now is missing, no more. What came since the first one was
			// there may have found no other.
			_ = q.submit(q.s.depth)
			q.dry = q.ring.Ready() > 0
		}
	} else {
		err = q.submit(q.s.depth)
	}
	q.s.report <- err
	for step = q.await(step); step == ringGate; step = q.await(step) {
	}
	if step == ringServe {
		q.loop()
	}
}

// await waits for the end of a step and returns the next.
func (q *queue) await(step uint32) uint32 {
	for {
		if now := q.s.step.Load(); now != step {
			return now
		}
		<-q.t.wake
	}
}

// prepare does what can fail.
func (q *queue) prepare() (err error) {
	q.pin()
	q.keep = keepIdle / len(q.s.queues)
	if q.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		q.event = -1
		return &Error{Op: "eventfd", Err: err}
	}
	if q.ring, err = newRing(2*q.s.depth+8, q.dev); err != nil {
		return err
	}
	if q.s.zero {
		q.makePool()
	}
	for len(q.all) < q.s.depth {
		if !q.take() {
			return &Error{Op: "io_uring", Err: unix.ENOMEM, Detail: "slots"}
		}
	}
	return nil
}

// pin ties the thread to the queue's CPU. Where that is not one of those it may
// run on, it serves from where it is: a requests's way is longer then.
func (q *queue) pin() {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil && set.IsSet(q.id) && set.Count() > 1 {
		set.Zero()
		set.Set(q.id)
		_ = unix.SchedSetaffinity(0, &set)
	}
}

// submit registers entries until there are n. All that can be in the completion
// queue by then are failures, or requests that came at once.
func (q *queue) submit(n int) error {
	if q.pool != nil && q.regd == 0 {
		if err := q.addPool(); err != nil {
			return err
		}
	}
	for q.regd < n && q.add() {
	}
	for {
		_, e := q.ring.Enter(0)
		switch p := q.ring.Peek(); {
		case p != nil && p.Res < 0:
			return &Error{Op: "io_uring register", Err: unix.Errno(-p.Res)}
		case e == 0:
			return nil
		case e != unix.EINTR && e != unix.EAGAIN && e != unix.EBUSY:
			return &Error{Op: "io_uring enter", Err: e}
		}
	}
}

// loop serves until the end of the connection.
func (q *queue) loop() {
	c := q.c
	if !q.goexit {
		q.listen()
	}
	for {
		q.sleeping.Store(true)
		wait := 1
		if q.doneLen.Load() != 0 {
			wait = 0
		}
		if c.ended.Load() && q.moving == 0 {
			return
		}
		q.turn++
		e := q.enter(wait)
		q.sleeping.Store(false)
		switch e {
		case 0, unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ETIME:
		default:
			c.end(&Error{Op: "io_uring enter", Err: e})
			return
		}
		quiet := e == unix.ETIME
		for {
			e, ok := q.ring.Next()
			if !ok {
				break
			}
			q.complete(&e)
			quiet = false
		}
		if quiet && q.moving == 0 && !q.ring.Overflowed() {
			q.cool()
		} else if len(q.due) > 0 && !q.ring.Overflowed() {
			q.shed()
		}
		q.drain()
		if q.dry {
			q.stir()
		}
	}
}

// enter submits, and waits for a completion; if entries hold memory, for no
// longer than until that is given back.
func (q *queue) enter(wait int) unix.Errno {
	if q.idle || wait == 0 {
		_, e := q.ring.Enter(wait)
		return e
	}
	_, e := q.ring.EnterTimeout(wait, settleMs*1e6)
	return e
}

// complete deals with one completion.
func (q *queue) complete(e *uring.CQE) {
	if e.UserData == ringEvent {
		q.listen()
		return
	}
	if e.UserData >= ringMoved {
		n, errno := e.Result()
		q.moved(q.c.reqs[e.UserData-ringMoved].Load(), n, errno)
		return
	}
	r := q.c.reqs[e.UserData-1].Load()
	q.armed--
	if e.Res == 0 {
		q.serve(r)
		return
	}
	q.lost(r, unix.Errno(-e.Res))
}

// lost deals with an entry that the kernel did not take, or gave back without a
// request.
func (q *queue) lost(r *Request, e unix.Errno) {
	switch c := q.c; {
	case c.ended.Load():
	case e == unix.ENOTCONN, e == unix.ECONNABORTED, e == unix.ECANCELED:
		// The end of the mount, which the device's reader is told about.
	case r.fresh:
		c.log("io_uring register: " + e.Error())
		if q.armed+q.held == 0 {
			c.end(&Error{Op: "io_uring register", Err: e})
		}
	case e == unix.EOPNOTSUPP:
		c.end(&Error{Op: "io_uring", Err: e})
	default:
		// ENOENT: there is no such request. Its caller is none of ours any more.
		c.count.refused.Add(1)
		c.log("reply to " + r.op.String() + " refused (" + e.Error() + ")")
		q.register(r)
	}
}

// add registers one more entry.
func (q *queue) add() bool {
	if q.pool != nil && q.regd == poolSeats || q.regd == len(q.all) && !q.take() {
		return false
	}
	q.regd++
	q.entries.Store(int64(q.regd))
	q.register(q.all[q.regd-1])
	return true
}

// drain takes back what was answered elsewhere.
func (q *queue) drain() {
	if q.doneLen.Load() == 0 {
		return
	}
	q.mu.Lock()
	r := q.done
	q.done = nil
	q.doneLen.Store(0)
	q.mu.Unlock()
	for r != nil {
		next := r.next
		r.next = nil
		if r.xfer.wants {
			q.move(r)
			r = next
			continue
		}
		r.away = false
		q.held--
		q.commit(r)
		r = next
	}
}

// push hands an answered entry, or one that wants a Transfer, to the queue's thread.
// Called by any other.
func (q *queue) push(r *Request) {
	q.mu.Lock()
	dead := q.dead
	if !dead {
		r.next = q.done
		q.done = r
		q.doneLen.Add(1)
		if q.sleeping.Load() {
			q.kick()
		}
	} else if !r.xfer.wants {
		q.held--
		q.dropPool()
	}
	q.mu.Unlock()
	switch {
	case !dead:
	case r.xfer.wants:
		r.noMove()
	default:
		q.c.putSlot(r)
	}
}

// kick gets the thread out of the kernel. mu is held, so that event is open.
func (q *queue) kick() {
	if q.event >= 0 && !q.dead {
		_, _ = unix.Write(q.event, protocol.BytesOf(&protocol.ForgetIn{Nlookup: 1}))
	}
}

// listen reads the eventfd, once it has been written to.
func (q *queue) listen() {
	q.next().Rw(uring.OpRead, q.event, uring.Address(q.count), len(q.count), -1, ringEvent)
}

// next takes a submission entry. The kernel consumes all that are there, so there
// is room.
func (q *queue) next() *uring.SQE {
	for {
		if s := q.ring.SQE128(); s != nil {
			return &s.SQE
		}
		_, _ = q.ring.Submit()
	}
}

// command takes a submission entry for a command about r.
func (q *queue) command(r *Request, cmd uint32, commit uint64) *uring.SQE128 {
	for {
		if s := sqe(q.ring, cmd, commit, uint16(q.id), uint64(r.buf.Index())+1); s != nil {
			q.armed++
			return s
		}
		_, _ = q.ring.Submit()
	}
}

// leave gives back the ring and the entries that are not away.
func (q *queue) leave() {
	if q.ring != nil {
		_ = q.ring.Close() // the kernel lets go of its entries
	}
	q.mu.Lock()
	q.dead = true
	late := q.done
	q.done = nil
	for r := late; r != nil; r = r.next {
		if !r.xfer.wants {
			r.away = false
			q.held--
		}
	}
	q.dropPool()
	if q.event >= 0 {
		_ = unix.Close(q.event)
	}
	q.mu.Unlock()
	for _, r := range q.all {
		if !r.away {
			r.q = nil
			q.c.putSlot(r)
		}
	}
	for r := late; r != nil; {
		next := r.next
		if r.xfer.wants {
			r.noMove()
		}
		r = next
	}
	q.c.count.requests.Add(q.t.served.Swap(0))
	q.c.exit()
}
