package aio

import (
	"runtime"
	"sync"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio/uring"
	"github.com/fusewire/fusewire/sg"
)

// Ring is the back end that has the kernel carry ops out, through an io_uring of
// one thread's. That thread submits what others start, and finishes it. A copy
// between files, for which a ring has no operation, and data that is not in
// memory go to a few Workers.
type Ring struct {
	ring  *uring.Ring
	wake  int // an eventfd that the ring reads
	other *Workers

	mu      sync.Mutex
	slots   []slot
	free    []uint32
	pending []uint32 // slots to be submitted
	cancels []uint64 // what to cancel
	asleep  bool     // the thread is, or is about to be, in the kernel
	closed  bool
	ended   chan struct{}

	// The thread's own.
	todo  []uint32
	toend []uint64
	count *[8]byte // what the eventfd's read goes to
}

// slot is a request of the ring's.
type slot struct {
	op        *Op
	gen       uint32
	cancelled bool
	done      int // bytes
	rest      sg.Vec
	iov       []unix.Iovec
}

// UserData of what is not a slot's; a slot's has its generation in the upper half,
// its index in the lower.
const (
	userWake   = 1<<64 - 1
	userCancel = 1<<64 - 2
)

// nudge is what to add to the eventfd: the same in either byte order, and far from
// overflowing.
var nudge = [8]byte{1, 1, 1, 1, 1, 1, 1, 1}

// others is how many threads do what a ring cannot.
const others = 4

// NewRing returns a back end that has up to depth ops in the kernel. The error is
// an *uring.Error: ENOSYS or EPERM where there is no io_uring to be had.
func NewRing(depth int) (*Ring, error) {
	depth = min(max(depth, 1), 1<<14)
	r := &Ring{slots: make([]slot, depth), free: make([]uint32, depth), ended: make(chan struct{}),
		pending: make([]uint32, 0, depth), todo: make([]uint32, 0, depth), count: new([8]byte)}
	for i := range r.free {
		r.free[i] = uint32(i)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, &uring.Error{Op: "eventfd", Err: errno(err)}
	}
	r.wake = fd
	begun := make(chan error)
	go r.run(begun)
	if err := <-begun; err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	r.other = NewWorkers(others)
	return r, nil
}

// Depth is Backend's.
func (r *Ring) Depth() int { return len(r.slots) }

// Start is Backend's.
func (r *Ring) Start(op *Op) bool {
	if op.Kind == CopyRange || !inMemory(op) {
		return r.other.Start(op)
	}
	r.mu.Lock()
	n := len(r.free)
	if n == 0 { // more than Depth
		r.mu.Unlock()
		return r.other.Start(op)
	}
	i := r.free[n-1]
	r.free = r.free[:n-1]
	s := &r.slots[i]
	s.op, s.done, s.cancelled = op, 0, false
	s.gen = (s.gen + 1) & (1<<31 - 1)
	op.slot = s.user(i)
	r.pending = append(r.pending, i)
	r.rouse()
	return false
}

func (s *slot) user(i uint32) uint64 { return uint64(s.gen)<<32 | uint64(i) }

// rouse unlocks, and sees to it that the thread looks at what there is.
func (r *Ring) rouse() {
	wake := r.asleep
	r.asleep = false
	r.mu.Unlock()
	if wake {
		for {
			if _, err := unix.Write(r.wake, nudge[:]); err != unix.EINTR {
				return
			}
		}
	}
}

// Cancel is Backend's.
func (r *Ring) Cancel(op *Op) {
	r.mu.Lock()
	i := uint32(op.slot)
	if i >= uint32(len(r.slots)) || r.slots[i].op != op {
		r.mu.Unlock() // not started yet, finished, or not the ring's
		return
	}
	r.slots[i].cancelled = true
	r.cancels = append(r.cancels, op.slot)
	r.rouse()
}

// Close is Backend's.
func (r *Ring) Close() error {
	r.mu.Lock()
	r.closed = true
	r.rouse()
	<-r.ended
	_ = r.other.Close()
	return unix.Close(r.wake)
}

// run is the thread. It ends with its goroutine.
func (r *Ring) run(begun chan<- error) {
	runtime.LockOSThread()
	ring, err := uring.SetupBest(uint32(len(r.slots)), uring.SetupSingleIssuer|uring.SetupDeferTaskrun|
		uring.SetupNoSQArray|uring.SetupSubmitAll, 0, uring.Options{})
	if err == nil {
		r.ring = ring
		// Saves looking the descriptor up; old kernels go without.
		_ = ring.RegisterRingFD()
	}
	begun <- err
	if err != nil {
		return
	}
	r.listen()
	for r.round() {
	}
	_ = ring.Close()
	close(r.ended)
}

// round submits, waits and finishes, once.
func (r *Ring) round() bool {
	r.mu.Lock()
	r.todo, r.pending = r.pending, r.todo[:0]
	r.toend, r.cancels = r.cancels, r.toend[:0]
	closed := r.closed
	r.asleep = !closed
	r.mu.Unlock()
	if closed {
		return false
	}
	for _, i := range r.todo {
		r.submit(i)
	}
	for _, user := range r.toend {
		r.sqe().Cancel(user, userCancel)
	}
	_, e := r.ring.Enter(1)
	r.mu.Lock()
	r.asleep = false
	r.mu.Unlock()
	if e != 0 && e != unix.EINTR && e != unix.EBUSY {
		clock.Sleep(clock.Millisecond) // the kernel has no memory; nothing is lost
	}
	for {
		c, ok := r.ring.Next()
		if !ok {
			return true
		}
		switch c.UserData {
		case userWake:
			r.listen()
		case userCancel:
		default:
			r.completed(uint32(c.UserData), c)
		}
	}
}

// sqe returns an entry, submitting what there is if the queue is full.
func (r *Ring) sqe() *uring.SQE {
	for {
		if s := r.ring.SQE(); s != nil {
			return s
		}
		if _, e := r.ring.Submit(); e != 0 && e != unix.EINTR {
			clock.Sleep(clock.Millisecond)
		}
	}
}

// listen has the ring wait for rouse.
func (r *Ring) listen() {
	r.sqe().Rw(uring.OpRead, r.wake, uring.Address(r.count[:]), len(r.count), 0, userWake)
}

// submit fills an entry with what is left of a slot's op.
func (r *Ring) submit(i uint32) {
	s := &r.slots[i]
	op, user := s.op, s.user(i)
	q := r.sqe()
	switch op.Kind {
	case Fsync:
		q.Fsync(op.FD, 0, user)
	case Fdatasync:
		q.Fsync(op.FD, uring.FsyncDatasync, user)
	case Fallocate:
		q.Fallocate(op.FD, op.Mode, op.Off, op.Len, user)
	default:
		r.transfer(q, s, user)
	}
}

func (r *Ring) transfer(q *uring.SQE, s *slot, user uint64) {
	op, vec := s.op, &s.op.Vec
	if s.done > 0 {
		vec = &s.rest
	}
	one, many := uint8(uring.OpRead), uint8(uring.OpReadv)
	if op.Kind == Write {
		one, many = uring.OpWrite, uring.OpWritev
	}
	off := op.Off + int64(s.done)
	if segs := vec.Segs(); len(segs) == 1 && len(segs[0].Mem) <= 1<<30 {
		q.Rw(one, op.FD, uring.Address(segs[0].Mem), len(segs[0].Mem), off, user)
	} else {
		if want := min(len(segs), sg.MaxIovecs); len(s.iov) < want {
			s.iov = make([]unix.Iovec, min(2*want, sg.MaxIovecs))
		}
		n := vec.Iovecs(s.iov, 0)
		q.Rw(many, op.FD, uring.IovecAddress(s.iov), n, off, user)
	}
	q.OpFlags = uint32(op.Flags)
}

// completed finishes a slot's op, or goes on with it.
func (r *Ring) completed(i uint32, c uring.CQE) {
	s := &r.slots[i]
	op := s.op
	n, e := c.Result()
	if op.Kind <= Write {
		s.done += n
		switch left := op.Vec.Len() - s.done; {
		case e == 0 && n > 0 && left > 0:
			s.rest.Reset()
			if err := op.Vec.Slice(&s.rest, s.done, left); err == nil {
				r.submit(i)
				return
			}
		case e == 0 && n == 0 && left > 0 && op.Kind == Write:
			e = unix.EIO // a back end that takes nothing and does not say why: as sg.Pwritev
		case e == unix.EINVAL && s.done > 0 && op.Kind == Read && atEnd(op.FD, op.Off+int64(s.done)):
			e = 0 // a direct read cannot ask at an odd offset whether this is the end
		case e == unix.EAGAIN && op.Flags&unix.RWF_NOWAIT == 0 && s.done == 0:
			// A file that cannot be waited for. A thread can.
			r.drop(i)
			r.other.Start(op)
			return
		}
	}
	r.mu.Lock()
	cancelled := s.cancelled
	r.mu.Unlock()
	if e == unix.EINTR {
		if !cancelled {
			r.submit(i)
			return
		}
		e = unix.ECANCELED
	}
	op.N, op.Err = s.done, e
	r.drop(i)
	op.Finish()
}

// drop makes a slot free.
func (r *Ring) drop(i uint32) {
	s := &r.slots[i]
	s.rest.Reset()
	clear(s.iov)
	r.mu.Lock()
	s.op = nil
	r.free = append(r.free, i)
	r.mu.Unlock()
}

// atEnd reports whether a file has nothing at off or beyond.
func atEnd(fd int, off int64) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && off >= st.Size
}
