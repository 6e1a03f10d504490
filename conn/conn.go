package conn

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
)

// Conn is one connection to the kernel, from INIT to unmount. Its methods may be
// called from any goroutine.
type Conn struct {
	opt  Options
	h    Handler
	port Device // the device given to New; clones belong to threads

	params   protocol.Params // final once ready is closed
	maxWrite int
	ready    chan struct{}
	inited   atomic.Bool

	lay   layout
	arena *sg.Arena
	reqs  []atomic.Pointer[Request] // by slot index

	rings    *rings // guarded by mu; nil unless requests come on rings
	workers  workers
	zero     atomic.Bool
	seats    []atomic.Pointer[Thread] // up to Threads
	active   atomic.Int32             // threads that are not parked
	monIdle  atomic.Bool              // the monitor is parked
	monWake  chan struct{}            // by readers, its alarm, the end
	starved  atomic.Int32             // readers that wait for a slot
	slotFree chan struct{}            // what they wait on
	early    earlyInterrupts
	count    counters

	// users counts those who may touch the device or a slot: Serve, threads,
	// requests that outlive their thread, notifications in progress. Whoever
	// leaves last tears down.
	users atomic.Int64
	ended atomic.Bool
	quit  chan struct{} // closed for Serve

	mu       mutex
	parked   []*Thread
	clones   []Device // every clone opened
	spare    []Device // clones whose thread left
	started  bool
	cause    error
	drained  chan struct{} // for Serve: torn, or DrainTimeout
	torn     bool
	gaveUp   bool
	wantDone bool // Init succeeded
}

// New prepares a connection over dev, which it owns from here on: it is closed
// at the end of Serve. o may be nil.
func New(dev Device, o *Options) *Conn {
	c := &Conn{
		opt:      o.withDefaults(),
		port:     dev,
		ready:    make(chan struct{}),
		quit:     make(chan struct{}),
		drained:  make(chan struct{}, 1),
		monWake:  make(chan struct{}, 1),
		slotFree: make(chan struct{}, 1),
	}
	c.maxWrite = int(c.opt.MaxWrite)
	c.seats = make([]atomic.Pointer[Thread], c.opt.Threads)
	return c
}

// Ready returns a channel that is closed once INIT has been answered. It stays
// open if the connection ends before.
func (c *Conn) Ready() <-chan struct{} { return c.ready }

// Params returns what was negotiated. Before INIT its fields are zero.
func (c *Conn) Params() *protocol.Params {
	if !c.inited.Load() {
		return new(protocol.Params)
	}
	return &c.params
}

// Flags returns the INIT flags in force; none before INIT.
func (c *Conn) Flags() protocol.InitFlags { return c.Params().Flags }

// MaxWrite returns the size in bytes of the largest WRITE: the option before
// INIT, what was negotiated after it.
func (c *Conn) MaxWrite() int {
	if c.inited.Load() {
		return c.maxWrite
	}
	return int(c.opt.MaxWrite)
}

// Serve answers INIT and then requests until the end of the mount. It returns
//
//   - nil when the file system was unmounted, or the other end of a socket closed;
//   - ErrAborted when the connection was aborted and the kernel says so (flag
//     InitAbortError);
//   - an *Error otherwise: INIT refused, the device failing, a handler still
//     running DrainTimeout after the end (ETIMEDOUT; Detail lists its requests).
//
// It returns after the last handler did, bar that last case. The calling
// goroutine only waits: requests are served on threads of their own, never on
// the process's first (which could not be ended, and to which the kernel prefers
// to deliver signals).
func (c *Conn) Serve(h Handler) error {
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return &Error{Op: "serve", Err: unix.EALREADY, Detail: "a connection serves once"}
	}
	c.started = true
	c.h = h
	c.mu.Unlock()
	if err := c.makeSlots(); err != nil {
		c.ended.Store(true)
		close(c.quit)
		_ = c.port.Close()
		return err
	}
	c.users.Store(1)
	c.mu.Lock()
	c.startThread(0, nil)
	c.mu.Unlock()

	<-c.quit
	// The kernel waits for nobody any more; those who asked are told, so that
	// waits of theirs (for locks) end.
	c.interruptAll()
	c.exit()
	timer := newAlarm(c.drained, clock.Of(c.opt.DrainTimeout))
	<-c.drained
	timer.Stop()
	c.mu.Lock()
	torn := c.torn
	c.mu.Unlock()
	if !torn {
		list := string(c.AppendInflight(nil))
		c.mu.Lock()
		c.gaveUp = !c.torn
		gaveUp := c.gaveUp
		c.mu.Unlock()
		if gaveUp {
			return &Error{Op: "serve", Err: unix.ETIMEDOUT, Detail: "still in service after the end: " + list}
		}
	}
	c.done()
	return c.cause
}

// end ends the connection for the reason cause, nil being an unmount. Only the
// first call counts.
func (c *Conn) end(cause error) {
	defer c.mu.hold()()
	if c.ended.Load() {
		return
	}
	c.cause = cause
	c.ended.Store(true)
	close(c.quit)
	ring(c.slotFree)
	ring(c.monWake)
	for _, t := range c.parked {
		ring(t.wake)
	}
	c.wakeRings()
	c.workers.end()
	c.port.Wake()
	for _, d := range c.clones {
		d.Wake()
	}
}

// enter takes part in the connection; it fails once that has ended.
func (c *Conn) enter() bool {
	for {
		n := c.users.Load()
		if n <= 0 || c.ended.Load() {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// exit undoes enter. The last one out closes the device, so that its descriptor
// number cannot be reused while anybody might still write to it, and frees the
// slots.
func (c *Conn) exit() {
	if c.users.Add(-1) != 0 {
		return
	}
	_ = c.port.Close()
	for _, d := range c.clones {
		_ = d.Close()
	}
	_ = c.arena.Close()
	c.mu.Lock()
	c.torn = true
	late := c.gaveUp
	c.mu.Unlock()
	ring(c.drained)
	if late {
		c.done()
	}
}

func (c *Conn) done() {
	if c.wantDone {
		c.h.Done()
	}
}

// now is a monotonic time in nanoseconds.
func (c *Conn) now() int64 { return clock.Now() }

func (c *Conn) log(s string) {
	if c.opt.Log != nil {
		c.opt.Log(s)
	}
}
