package passfs

import (
	"math"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// Locks are taken in the source, so that processes that use it directly see
// them and are seen. There an owner has a descriptor:
//
//   - POSIX locks: one per (inode, owner), with open-file-description locks
//     (fcntl(2), F_OFD_SETLK), whose owner is the open file. The server's own
//     process-wide POSIX locks could not tell owners apart.
//   - flock(2): the open file's own, as for the caller.
//
// What our owners hold is also remembered here (ranges.go), to know who is in
// whose way. A SETLKW that has to wait becomes a waiter in its inode's queue;
// no thread waits with it. Whatever frees something in that inode tries the
// queue again, first come first served, under the inode's lock, so no wake-up
// is lost. A waiter that only somebody outside is in the way of is tried again
// by one goroutine for all, at growing intervals (poll): the source tells
// nobody when a lock is gone.
//
// Deadlock (EDEADLK): the kernel finds cycles of POSIX locks it manages
// itself, which these are not, and it does not for open-file-description
// locks. Cycles between owners of this mount are found here as it does
// (fs/locks.c: posix_locks_deadlock); those that go through a process outside
// are not. flock(2) has no such check anywhere.

// maxWaiters bounds the requests that wait for locks, see lockTable.maxWaiters.
// More get ENOLCK.
const maxWaiters = 1024

// lockTable holds the inodes that have locks or waiters.
type lockTable struct {
	sets    atomic.Int32 // len(m): none is the usual case
	waiters atomic.Int32
	limit   atomic.Int32 // of waiters; 0: not known yet

	mu mutex
	m  map[uint64]*lockSet // by nodeid

	graph waitGraph
	poll  poller
}

// lockSet is the locks of one inode.
type lockSet struct {
	t     *lockTable
	i     *inode
	users int // guarded by lockTable.mu: requests and waiters that hold it

	mu     mutex
	owners map[uint64]*lockOwner
	flocks map[uint64]uint32 // by fh: F_RDLCK or F_WRLCK
	queue  []*waiter
}

// lockOwner is one owner's POSIX locks. Its descriptor stays until the owner
// closes the file (FLUSH; or RELEASE, see release), since it is likely to lock
// again.
type lockOwner struct {
	fd   int
	f    *file // what it last asked for a lock by
	held ranges
}

// lockReq is one request for a lock.
type lockReq struct {
	_          [0]func() // not comparable: no code for it
	f          *file     // flock(2) if flock is set; else only to open by
	flock      bool
	owner      uint64
	typ        uint32 // F_RDLCK, F_WRLCK, F_UNLCK
	start, end uint64 // both included
	pid        uint32

	// Of the last attempt: somebody here is in the way (blocker, if POSIX),
	// or somebody outside.
	local   bool
	blocker uint64
}

// hold returns i's set; nil if there is none and create is false.
func (t *lockTable) hold(i *inode, create bool) *lockSet {
	if !create && t.sets.Load() == 0 {
		return nil
	}
	defer t.mu.hold()()
	s := t.m[i.nodeid]
	if s == nil {
		if !create {
			return nil
		}
		if t.m == nil {
			t.m = make(map[uint64]*lockSet)
		}
		s = &lockSet{t: t, i: i}
		t.m[i.nodeid] = s
		t.sets.Store(int32(len(t.m)))
	}
	s.users++
	return s
}

// let ends hold. s.mu must not be held.
func (t *lockTable) let(s *lockSet) {
	defer t.mu.hold()()
	s.users--
	// With no user left nobody is inside s.mu, or can get there.
	if s.users == 0 && len(s.owners) == 0 && len(s.flocks) == 0 && len(s.queue) == 0 && t.m[s.i.nodeid] == s {
		delete(t.m, s.i.nodeid)
		t.sets.Store(int32(len(t.m)))
	}
}

// lockReq reads a request; the file comes with a reference.
func (fs *FS) lockReq(r *ops.Request, in *protocol.LkIn) (lockReq, error) {
	q := lockReq{
		flock: in.LkFlags&protocol.LkFlock != 0,
		owner: in.Owner,
		typ:   in.Lk.Type,
		start: in.Lk.Start,
		end:   in.Lk.End,
		pid:   in.Lk.Pid,
	}
	switch q.typ {
	case unix.F_RDLCK, unix.F_WRLCK, unix.F_UNLCK:
	default:
		return q, unix.EINVAL
	}
	if q.start > q.end || q.end > math.MaxInt64 {
		return q, unix.EINVAL
	}
	f, err := fs.file(in.Fh)
	if err != nil {
		return q, err
	}
	q.f = f
	return q, nil
}

// Setlk answers SETLK: now or EAGAIN.
func (fs *FS) Setlk(r *ops.Request, in *protocol.LkIn) error {
	q, err := fs.lockReq(r, in)
	if err != nil {
		return err
	}
	s := fs.locks.hold(q.f.i, true)
	s.mu.Lock()
	err = s.try(fs, &q)
	done := s.retry(fs, nil)
	s.mu.Unlock()
	fs.locks.let(s)
	fs.put(q.f)
	fs.finish(done)
	return err
}

// Setlkw answers SETLKW: when it can be had, or EINTR.
func (fs *FS) Setlkw(r *ops.Request, in *protocol.LkIn) error {
	q, err := fs.lockReq(r, in)
	if err != nil {
		return err
	}
	t := &fs.locks
	s := t.hold(q.f.i, true)
	s.mu.Lock()
	err = s.try(fs, &q)
	if err == unix.EAGAIN && t.graph.cycle(&q) {
		err = unix.EDEADLK
	}
	done := s.retry(fs, nil)
	s.mu.Unlock()
	if err == unix.EAGAIN {
		if t.mayWait(r) {
			fs.finish(done)
			fs.wait(r, s, &q)
			return ops.Later
		}
		err = unix.ENOLCK
	}
	t.let(s)
	fs.put(q.f)
	fs.finish(done)
	return err
}

// mayWait counts one more request that waits for what another request brings
// about, or reports that there are too many.
func (t *lockTable) mayWait(r *ops.Request) bool {
	if t.waiters.Add(1) <= t.maxWaiters(r) {
		return true
	}
	t.waiters.Add(-1)
	return false
}

// maxWaiters is how many requests may wait: not so many that the connection's
// slots are all theirs, since one that unlocks needs one too.
func (t *lockTable) maxWaiters(r *ops.Request) int32 {
	n := t.limit.Load()
	if n == 0 {
		n = int32(r.Conn().Stats().Slots)
		n = min(max(n-16, n/2), maxWaiters)
		t.limit.Store(n)
	}
	return n
}

// wait makes a waiter of the request, which is answered by it from now on.
func (fs *FS) wait(r *ops.Request, s *lockSet, q *lockReq) {
	w := &waiter{lockReq: *q, r: r, s: s}
	r.Shrink()
	r.Detach()
	// Before it is in the queue: once there it may be answered at any time,
	// and r be somebody else's.
	r.OnInterrupt(func(*conn.Request) { fs.interrupt(w) })
	s.mu.Lock()
	var done []*waiter
	if w.interrupted {
		done = s.end(w, unix.EINTR, done)
	} else {
		w.queued = true
		s.queue = append(s.queue, w)
		done = s.retry(fs, w)
	}
	s.mu.Unlock()
	fs.finish(done)
}

// Getlk answers GETLK with a lock in the way. Locks of our own owners are
// reported with the pid that set them; those from outside with theirs, or 0
// where the source does not say (open-file-description locks).
func (fs *FS) Getlk(r *ops.Request, in *protocol.LkIn, out *protocol.LkOut) error {
	q, err := fs.lockReq(r, in)
	if err != nil {
		return err
	}
	defer fs.put(q.f)
	if q.flock || q.typ == unix.F_UNLCK {
		return unix.EINVAL
	}
	out.Lk = protocol.FileLock{Type: unix.F_UNLCK}
	fd := q.f.fd
	if s := fs.locks.hold(q.f.i, false); s != nil {
		defer fs.locks.let(s)
		defer s.mu.hold()()
		if _, l := s.inTheWay(&q); l != nil {
			out.Lk = protocol.FileLock{Start: l.start, End: l.end, Type: l.typ, Pid: l.pid}
			return nil
		}
		// Seen from the owner's descriptor, its own locks are not in the way.
		if o := s.owners[q.owner]; o != nil {
			fd = o.fd
		}
	}
	lk := q.flockT()
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lk); err != nil {
		return err
	}
	if lk.Type == unix.F_UNLCK {
		return nil
	}
	out.Lk = protocol.FileLock{Start: uint64(lk.Start), End: math.MaxInt64, Type: uint32(lk.Type)}
	if lk.Len > 0 {
		out.Lk.End = uint64(lk.Start + lk.Len - 1)
	}
	if lk.Pid > 0 {
		out.Lk.Pid = uint32(lk.Pid)
	}
	return nil
}

// flockT is the request as fcntl(2) takes it; length 0 is "to the end".
func (q *lockReq) flockT() unix.Flock_t {
	lk := unix.Flock_t{Type: int16(q.typ), Whence: unix.SEEK_SET, Start: int64(q.start)}
	if q.end < math.MaxInt64 {
		lk.Len = int64(q.end-q.start) + 1
	}
	return lk
}

// inTheWay returns the first lock of another owner that q conflicts with.
func (s *lockSet) inTheWay(q *lockReq) (owner uint64, l *lockRange) {
	for o, x := range s.owners {
		if o == q.owner {
			continue
		}
		if c := x.held.conflict(q.typ, q.start, q.end); c != nil && (l == nil || c.start < l.start) {
			owner, l = o, c
		}
	}
	return owner, l
}

// try does what q asks for if that is possible now. EAGAIN: it is not; q
// knows then who is in the way. s.mu is held.
func (s *lockSet) try(fs *FS, q *lockReq) error {
	if q.flock {
		return s.tryFlock(q)
	}
	o := s.owners[q.owner]
	if q.typ == unix.F_UNLCK {
		if o == nil {
			return nil
		}
	} else if b, l := s.inTheWay(q); l != nil {
		q.local, q.blocker = true, b
		return unix.EAGAIN
	}
	q.local, q.blocker = false, 0
	if o == nil {
		fd, err := fs.lockFD(s.i)
		if err != nil {
			return err
		}
		o = &lockOwner{fd: fd}
		if s.owners == nil {
			s.owners = make(map[uint64]*lockOwner)
		}
		s.owners[q.owner] = o
	}
	if q.typ != unix.F_UNLCK {
		o.f = q.f
		q.f.locked.Store(true)
	}
	lk := q.flockT()
	for {
		switch err := unix.FcntlFlock(uintptr(o.fd), unix.F_OFD_SETLK, &lk); err {
		case nil:
			o.held.set(lockRange{q.start, q.end, q.typ, q.pid})
			return nil
		case unix.EINTR:
		case unix.EACCES:
			return unix.EAGAIN
		default:
			return err
		}
	}
}

// lockFD opens i for an owner's locks. A write lock takes a descriptor that
// may write, and which kind is asked for later is not known: the mode of a
// descriptor cannot be changed without losing its locks. A lease in the source
// must not hold up the others here.
func (fs *FS) lockFD(i *inode) (int, error) {
	fd, err := fs.reopen(i, unix.O_RDWR|unix.O_NONBLOCK)
	if err == unix.EPERM { // append-only
		fd, err = fs.reopen(i, unix.O_RDWR|unix.O_NONBLOCK|unix.O_APPEND)
	}
	if err != nil {
		fd, err = fs.reopen(i, unix.O_RDONLY|unix.O_NONBLOCK)
	}
	if err != nil {
		fd, err = fs.reopen(i, unix.O_WRONLY|unix.O_NONBLOCK)
	}
	if err == unix.EMFILE || err == unix.ENFILE {
		err = unix.ENOLCK
	}
	return fd, err
}

// dropOwner drops all POSIX locks of an owner on i: it closed the file.
func (t *lockTable) dropOwner(fs *FS, i *inode, owner uint64) {
	s := t.hold(i, false)
	if s == nil {
		return
	}
	var done []*waiter
	s.mu.Lock()
	if o := s.owners[owner]; o != nil {
		delete(s.owners, owner)
		fs.closeFD(o.fd)
		done = s.retry(fs, nil)
	}
	s.mu.Unlock()
	t.let(s)
	fs.finish(done)
}

// done frees everything at the end of the connection. Waiters have been told
// by the transport (OnInterrupt).
func (t *lockTable) done(fs *FS) {
	defer t.mu.hold()()
	for id, s := range t.m {
		s.mu.Lock()
		for _, o := range s.owners {
			fs.closeFD(o.fd)
		}
		s.owners, s.flocks = nil, nil
		s.mu.Unlock()
		if s.users == 0 {
			delete(t.m, id)
		}
	}
	t.sets.Store(int32(len(t.m)))
}
