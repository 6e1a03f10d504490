package conn

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/aio/uring"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// FUSE over io_uring (fs/fuse/dev_uring.c, 7.42). Each possible CPU has a queue
// in the kernel, and here a ring with a thread on that CPU. Entries, which are
// slots, are handed to the kernel with REGISTER; it fills one with a request and
// completes the command; COMMIT_AND_FETCH takes the answer and waits for the next
// request, in the same system call as all that wait.
//
// From the INIT reply that accepts it on, the kernel holds back every request
// until each queue has an entry. So all that can fail comes before that reply:
// memory, threads, rings. What fails after it makes the kernel fall back to the
// device with one command: a REGISTER that it refuses.

// The steps of a start, in rings.step.
const (
	ringWait  uint32 = iota // queues prepare
	ringGo                  // the INIT reply is out: all but one queue register
	ringGate                // that one does, and requests come
	ringServe               // all went well
	ringAbort               // nothing came of it
)

// rings are the queues of a connection.
type rings struct {
	_      [0]func() // not comparable: no code for it
	queues []*queue
	depth  int
	size   int        // bytes of payload the kernel asks of an entry
	report chan error // one of each queue after each step
	step   atomic.Uint32
	escape *uring.Ring   // for the command that is refused
	zero   bool          // queues are to be made for zero copy
	noZero atomic.Uint32 // the errno for which one was not
}

// prepareRings does all that can be done before the INIT reply.
func (c *Conn) prepareRings(out *protocol.InitOut, offered protocol.InitFlags) error {
	dev, ok := c.port.(Ringer)
	n := readPossibleCPUs()
	if !ok || n == 0 || n > 1<<16-1 {
		return &Error{Op: "io_uring", Err: unix.ENODEV}
	}
	pages := int(out.MaxPages)
	if pages == 0 {
		pages = 32 // the kernel's default
	}
	size := max(8192, int(out.MaxWrite), pages*unix.Getpagesize())
	// As many slots as there are entries are taken for good.
	depth := min(c.opt.RingDepth, (c.opt.Slots-c.opt.Threads)/n)
	if size > c.lay.in || size > c.lay.data || depth < 1 {
		return &Error{Op: "io_uring", Err: unix.ENOMEM, Detail: "slots"}
	}
	s := &rings{depth: depth, size: size, report: make(chan error, n)}
	if offered&protocol.InitHasIOUringBufpool == 0 {
		s.noZero.Store(uint32(unix.EOPNOTSUPP))
	} else {
		s.zero = c.opt.ZeroCopy != ZeroCopyOff
	}
	var err error
	s.escape, err = newRing(4, dev.RingFD(n))
	if err != nil {
		return err
	}
	for id := range n {
		s.queues = append(s.queues, newQueue(c, s, id, dev.RingFD(id)))
	}
	c.mu.Lock()
	c.rings = s
	c.mu.Unlock()
	for _, q := range s.queues {
		c.users.Add(1)
		go q.t.main()
	}
	if err := s.collect(); err != nil {
		c.endRings(s)
		return err
	}
	return nil
}

// newRing makes a ring for commands on the descriptor fd, which becomes its
// registered file 0.
func newRing(entries, fd int) (*uring.Ring, error) {
	if fd < 0 {
		return nil, &Error{Op: "io_uring", Err: unix.ENODEV}
	}
	const want = uring.SetupSingleIssuer | uring.SetupDeferTaskrun | uring.SetupNoSQArray | uring.SetupSubmitAll
	r, err := uring.SetupBest(uint32(entries), want, uring.SetupSQE128, uring.Options{CQEntries: uint32(4 * entries)})
	if err != nil {
		return nil, err
	}
	if err := r.RegisterFiles([]int32{int32(fd)}); err != nil {
		_ = r.Close()
		return nil, err
	}
	// Only a few cycles are lost without.
	_ = r.RegisterRingFD()
	return r, nil
}

// engageRings registers the queues, now that INIT is answered, and reports
// whether requests come on them.
func (c *Conn) engageRings(s *rings) bool {
	s.to(ringGo)
	err := s.collect()
	if err == nil {
		s.to(ringGate)
		err = <-s.report
	}
	if err == nil {
		s.to(ringServe)
		_ = s.escape.Close()
		c.zeroed(unix.Errno(s.noZero.Load()))
		return true
	}
	if e := s.flee(); e != nil {
		c.end(&Error{Op: "io_uring", Err: e, Detail: "no queue, and no way back: " + err.Error()})
	}
	c.endRings(s)
	c.params.Flags &^= protocol.InitOverIOUring
	c.noRings(err.Error())
	return false
}

// noRings tells that the device serves, and why.
func (c *Conn) noRings(why string) {
	c.log("io_uring is not used, /dev/fuse is: " + why)
}

// flee makes the kernel send requests to the device: it has no queue of this
// number, and whatever REGISTER fails ends its waiting for queues.
func (s *rings) flee() error {
	cmd := sqe(s.escape, protocol.IOUringCmdRegister, 0, uint16(len(s.queues)), 0)
	var iov [2]unix.Iovec // on the heap: its address goes into the entry
	keep := iov[:]
	cmd.Addr, cmd.Len = uint64(uring.IovecAddress(keep)), 2
	for range 1000 {
		_, e := s.escape.Enter(1)
		if p := s.escape.Peek(); p != nil {
			if p.Res < 0 {
				return nil
			}
			return unix.EIO
		}
		if e != 0 && e != unix.EINTR && e != unix.EAGAIN && e != unix.EBUSY {
			return e
		}
	}
	return unix.EIO
}

// endRings has the threads of rings that nothing came of end.
func (c *Conn) endRings(s *rings) {
	s.to(ringAbort)
	_ = s.escape.Close()
	c.mu.Lock()
	c.rings = nil
	c.mu.Unlock()
}

// to lets all queues make the next step.
func (s *rings) to(step uint32) {
	s.step.Store(step)
	for _, q := range s.queues {
		ring(q.t.wake)
	}
}

// collect waits for a report of each queue and returns the first error.
func (s *rings) collect() (first error) {
	for range s.queues {
		if err := <-s.report; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// wakeRings has every ring's thread look up. c.mu is held.
func (c *Conn) wakeRings() {
	if s := c.rings; s != nil {
		for _, q := range s.queues {
			q.mu.Lock()
			q.kick()
			q.mu.Unlock()
			ring(q.t.wake)
		}
	}
}

// sqe takes an entry of r and makes it a command, nil if there is no room.
func sqe(r *uring.Ring, cmd uint32, commit uint64, qid uint16, user uint64) *uring.SQE128 {
	s := r.SQE128()
	if s == nil {
		return nil
	}
	s.Opcode, s.Flags, s.UserData = uring.OpURingCmd, uring.SQEFixedFile, user
	s.SetCmdOp(cmd)
	a := protocol.ViewOf[protocol.UringCmdReq](s.Cmd()[:])
	a.CommitID, a.Qid = commit, qid
	return s
}
