package conn

import "github.com/fusewire/fusewire/sg/unix"

// What is detached keeps its entry, and may wait for a request that is still to
// come, as a lock does for its release. So a queue has as many entries besides as
// it began with, as long as there are slots.
//
// The kernel gives an entry to a request that comes, or when a reply is committed
// to one that waits; not to one that waits when an entry is registered
// (fs/fuse/dev_uring.c: fuse_uring_do_register). If there was none for a while, and
// all that were there are detached now, what came meanwhile would wait for an
// answer, which may be waiting for it. Such a queue is dry: it is sent a request of
// the server's own, a NOTIFY_REPLY without data, whose commit is answer enough.

// ringStir is that request's id. The kernel counts up from 2 by 2. It takes no odd
// one in a reply on a ring (fs/fuse/dev_uring.c: fuse_uring_out_header_has_err).
const ringStir = 1 << 62

// gone notes that r is not at the thread's disposal.
func (q *queue) gone(r *Request) {
	r.away = true
	q.held++
	if q.regd-q.held >= q.s.depth {
		return
	}
	// Those that have got a request are in the completion queue after this
	// (IORING_SETUP_DEFER_TASKRUN); had all, there may be more.
	_, _ = q.ring.Enter(0)
	if q.armed <= q.ring.Ready() {
		q.dry = true
	}
	for q.regd-q.held < q.s.depth {
		if !q.add() {
			q.c.count.starved.Add(1)
			break
		}
	}
}

// stir has the kernel send ringStir to the queue of the CPU that this thread is
// on, on behalf of a file that it is known to have: one that something waits for.
func (q *queue) stir() {
	_, _ = q.ring.Enter(0) // what was added is the kernel's now
	if q.ring.Ready() > 0 {
		return // first things first
	}
	last := uint64(0)
	for _, r := range q.all[:q.regd] {
		if !r.away || r.Header.Nodeid == last {
			continue
		}
		last = r.Header.Nodeid
		if q.c.NotifyRetrieve(ringStir, last, 0, 0) == nil {
			return
		}
	}
}

// stirred is called when ringStir was committed: if nothing took its entry at once,
// nothing waits.
func (q *queue) stirred() {
	_, e := q.ring.Enter(0)
	q.dry = e != 0 && e != unix.EBUSY || q.ring.Ready() > 0
}
