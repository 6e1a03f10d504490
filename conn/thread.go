package conn

import (
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
)

// Thread is a reader: an OS thread that reads requests and serves them.
type Thread struct {
	_ [0]func() // not comparable: no code for it
	_ [64]byte  // its counters share no cache line with another's

	// Local is the handler's, for what it knows about this OS thread.
	Local any

	c      *Conn
	seat   int
	q      *queue   // whose ring it serves, instead of a device
	worker bool     // it serves what rings' threads hand it
	clone  Device   // its own channel, nil: Conn.port
	r      *Request // the slot it reads into, nil: needs one
	retire bool
	wake   chan struct{}

	cur    atomic.Pointer[Request] // what it is serving, nil once detached
	state  atomic.Uint32
	served atomic.Uint64

	_ [64]byte
}

// States of a thread. Starved counts as reading where readers are counted: what
// is missing then is a slot, and another thread would not have one either.
const (
	threadBusy uint32 = iota
	threadReading
	threadStarved
	threadParked
)

// parkFor is how long a surplus reader is kept.
const parkFor = 10 * clock.Second

// Retire ends this OS thread after the request it serves, and starts another in
// its place: for a handler that could not restore the thread's credentials. To
// be called by the handler, on that thread.
func (t *Thread) Retire() { t.retire = true }

func (t *Thread) device() Device {
	if t.clone != nil {
		return t.clone
	}
	return t.c.port
}

// startThread starts a reader in a free seat. c.mu is held.
func (c *Conn) startThread(seat int, clone Device) {
	t := &Thread{c: c, seat: seat, clone: clone, wake: make(chan struct{}, 1)}
	t.state.Store(threadReading) // as good as: nobody need start another
	c.seats[seat].Store(t)
	c.active.Add(1)
	c.users.Add(1)
	go t.main()
}

// main locks an OS thread other than the process's first. It ends without
// unlocking: the thread ends with it, whatever the handler did to it.
func (t *Thread) main() {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		t.start()
		return
	}
	locked := make(chan struct{})
	go func() {
		runtime.LockOSThread() // another thread: this one is taken
		close(locked)
		t.start()
	}()
	<-locked
	runtime.UnlockOSThread()
}

func (t *Thread) start() {
	switch {
	case t.q != nil:
		t.q.run()
	case t.worker:
		t.work()
	default:
		t.run()
	}
}

func (t *Thread) run() {
	c := t.c
	defer t.leave()
	if c.opt.Clone && t.clone == nil && c.inited.Load() {
		t.openClone()
	}
	for {
		if t.r == nil {
			if t.r = c.getSlot(t); t.r == nil {
				return
			}
		}
		if int(c.active.Load()) > c.opt.IdleThreads && !t.park() {
			return
		}
		if t.r == nil {
			continue
		}
		n := t.read(t.r)
		if n < 0 {
			return
		}
		if c.monIdle.Load() && c.monIdle.CompareAndSwap(true, false) {
			ring(c.monWake)
		}
		t.serve(t.r, n)
		t.served.Add(1)
		if t.retire {
			return
		}
	}
}

// openClone gives the thread a channel of its own, or leaves it on the shared
// one.
func (t *Thread) openClone() {
	d, ok := t.c.port.(Cloner)
	if !ok {
		return
	}
	dev, err := d.CloneDevice()
	if err != nil {
		t.c.log(err.Error())
		return
	}
	t.c.mu.Lock()
	t.c.clones = append(t.c.clones, dev)
	t.c.mu.Unlock()
	t.clone = dev
}

// leave gives up the seat; a thread that was retired has a successor.
func (t *Thread) leave() {
	c := t.c
	if r := t.r; r != nil {
		t.r = nil
		c.putSlot(r)
	}
	c.mu.Lock()
	c.seats[t.seat].Store(nil)
	if t.state.Load() != threadParked {
		c.active.Add(-1)
	}
	c.count.requests.Add(t.served.Load())
	if t.retire && !c.ended.Load() {
		c.startThread(t.seat, t.clone)
	} else if t.clone != nil && !c.ended.Load() {
		// Its channel may still hold detached requests: another thread takes it.
		c.spare = append(c.spare, t.clone)
	}
	c.mu.Unlock()
	c.exit()
}

// read waits for a request and returns its length, or -1 at the end.
func (t *Thread) read(r *Request) int {
	c := t.c
	dev := t.device()
	off := c.lay.lead - headRoom
	buf := r.mem[off : c.lay.lead+c.lay.in]
	t.state.Store(threadReading)
	aborted := false
	for fails := 0; ; {
		if c.ended.Load() {
			return -1
		}
		if r.buf.High() > keepBytes+c.lay.lead && !dev.WaitRequest(settleMs) {
			r.buf.Release(keepBytes)
		}
		n, err := dev.ReadRequest(buf)
		switch err {
		case nil:
			if n <= 0 {
				c.end(nil)
				return -1
			}
			t.state.Store(threadBusy)
			r.buf.Touched(off + n)
			return n
		case unix.EINTR, unix.ENOENT: // a signal; the request was aborted while it was copied
		case unix.EAGAIN: // a non-blocking descriptor
			dev.WaitRequest(-1)
		case unix.ENODEV, unix.ECONNRESET:
			c.end(nil)
			return -1
		case unix.ECONNABORTED:
			// A read that an unmount meets while it copies a request gets this
			// as well (fs/fuse/dev.c: fuse_dev_do_read); the next one knows.
			if !aborted {
				aborted = true
				continue
			}
			c.end(ErrAborted)
			return -1
		case unix.EPERM:
			// A descriptor that was given to us and is not mounted yet.
			if fails++; c.inited.Load() || fails == 500 {
				c.end(&Error{Op: "read", Err: err, Detail: "the device is not mounted"})
				return -1
			}
			clock.Sleep(20 * clock.Millisecond)
		case unix.ENOMEM, unix.EFAULT:
			// The kernel failed that request (EIO) and is fine otherwise.
			c.count.readErrors.Add(1)
			if fails++; fails == 1000 {
				c.end(&Error{Op: "read", Err: err, Detail: "again and again"})
				return -1
			}
			clock.Sleep(min(clock.Nanos(fails), 50) * clock.Millisecond)
		default:
			c.end(&Error{Op: "read", Err: err})
			return -1
		}
	}
}

// readers counts the threads that wait for a request, other than t.
func (c *Conn) readers(t *Thread) int {
	n := 0
	for i := range c.seats {
		if o := c.seats[i].Load(); o != nil && o != t {
			if s := o.state.Load(); s == threadReading || s == threadStarved {
				n++
			}
		}
	}
	return n
}

// ensureReader sees to it that somebody waits for requests, now that the calling
// thread will not for a while.
func (c *Conn) ensureReader() {
	if c.readers(nil) == 0 {
		c.promote()
	}
}

// promote wakes a parked reader, or starts one if there may be another.
func (c *Conn) promote() {
	defer c.mu.hold()()
	if c.ended.Load() || !c.inited.Load() || c.readers(nil) > 0 {
		return
	}
	if n := len(c.parked); n > 0 {
		t := c.parked[n-1]
		c.parked = c.parked[:n-1]
		c.unpark(t)
		return
	}
	for i := range c.seats {
		if c.seats[i].Load() == nil {
			var clone Device
			if n := len(c.spare); n > 0 {
				clone, c.spare = c.spare[n-1], c.spare[:n-1]
			}
			c.startThread(i, clone)
			return
		}
	}
}

func (c *Conn) unpark(t *Thread) {
	t.state.Store(threadReading)
	c.active.Add(1)
	ring(t.wake)
}

// park has the thread wait, without a slot, if there are readers enough. It
// returns false if the thread shall end, which is at the end of the connection
// or after parkFor.
//
// No wake-up is lost: a thread is put on the list first, then readers are
// counted; a reader turns busy first, then (if it blocks) looks at the list.
func (t *Thread) park() bool {
	c := t.c
	if c.readers(t) < c.opt.IdleThreads {
		return true
	}
	c.mu.Lock()
	if c.ended.Load() {
		c.mu.Unlock()
		return false
	}
	t.state.Store(threadParked)
	if c.readers(t) < c.opt.IdleThreads {
		t.state.Store(threadReading)
		c.mu.Unlock()
		return true
	}
	c.active.Add(-1)
	c.parked = append(c.parked, t)
	r := t.r
	t.r = nil
	c.mu.Unlock()
	c.putSlot(r)

	until := c.now() + int64(parkFor)
	timer := newAlarm(t.wake, parkFor)
	defer timer.Stop()
	for {
		<-t.wake
		c.mu.Lock()
		i := slices.Index(c.parked, t)
		late := c.ended.Load() || c.now() >= until
		if i >= 0 && late {
			c.parked = append(c.parked[:i], c.parked[i+1:]...)
		}
		c.mu.Unlock()
		if i < 0 {
			return true // taken off the list by unpark
		}
		if late {
			return false
		}
	}
}
