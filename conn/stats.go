package conn

import (
	"strconv"
	"sync/atomic"

	"github.com/fusewire/fusewire/protocol"
)

// counters of rare events, and requests of threads that ended.
type counters struct {
	_ [0]func() // not comparable: no code for it
	requests, errors, malformed, interrupts, requeued, resent, double, lost, refused,
	unanswered, panics, detached, readErrors, starved, notifies atomic.Uint64
}

// Stats is a snapshot of a connection's counters.
type Stats struct {
	Requests   uint64 // messages dealt with, FORGET and INTERRUPT included
	Errors     uint64 // replies that carried an errno
	Malformed  uint64 // messages that could not be decoded, or came out of order
	Interrupts uint64 // INTERRUPTs received
	Requeued   uint64 // of those, handed back to the kernel
	Resent     uint64 // copies of requests in service that were dropped
	Double     uint64 // second attempts to answer
	Lost       uint64 // replies the kernel no longer wanted
	Refused    uint64 // replies the kernel found fault with
	Unanswered uint64 // requests that a handler returned from without an answer
	Panics     uint64 // handlers that panicked
	Detached   uint64 // requests answered after their handler returned
	ReadErrors uint64 // transient errors of read(2)
	Starved    uint64 // times a reader had to wait for a slot
	Notifies   uint64 // notifications sent

	Threads   int // readers there are, parked ones included
	Reading   int // of those, waiting for a request
	Parked    int // of those, surplus
	InFlight  int // requests in service
	Slots     int // most requests in service at once
	SlotsUsed int // slots taken now, by readers and by requests
	SlotsPeak int // most slots taken so far

	Queues  int    // rings that requests come on, each with a thread
	Entries int    // slots that are theirs
	Memory  int    // bytes of those that may be in memory
	Workers int    // threads for what rings' threads must not serve
	Moved   uint64 // requests that went to those

	// Bytes that the kernel copied to and from payloads of rings' entries, and that
	// it moved between its pages and files, see ZeroCopy.
	RingBytes, ZeroBytes uint64
}

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	n := &c.count
	s := Stats{
		Requests: c.served(), Errors: n.errors.Load(), Malformed: n.malformed.Load(),
		Interrupts: n.interrupts.Load(), Requeued: n.requeued.Load(), Resent: n.resent.Load(),
		Double: n.double.Load(), Lost: n.lost.Load(), Refused: n.refused.Load(),
		Unanswered: n.unanswered.Load(), Panics: n.panics.Load(), Detached: n.detached.Load(),
		ReadErrors: n.readErrors.Load(), Starved: n.starved.Load(), Notifies: n.notifies.Load(),
	}
	for i := range c.seats {
		if t := c.seats[i].Load(); t != nil {
			s.Threads++
			switch t.state.Load() {
			case threadReading:
				s.Reading++
			case threadParked:
				s.Parked++
			}
		}
	}
	c.mu.Lock()
	a, reqs, rings := c.arena, c.reqs, c.rings
	c.mu.Unlock()
	if rings != nil && c.inited.Load() {
		s.Queues = len(rings.queues)
		for _, q := range rings.queues {
			s.Requests += q.t.served.Load()
			s.Entries += int(q.entries.Load())
			s.Memory += int(q.memory.Load())
			s.RingBytes += q.copied.Load()
			s.ZeroBytes += q.zeroBytes.Load()
		}
		w := &c.workers
		w.mu.Lock()
		s.Workers, s.Moved = w.n, w.moved
		w.mu.Unlock()
	}
	if a != nil {
		s.Slots, s.SlotsUsed, s.SlotsPeak = a.Stats()
		if n := s.Queues; n > 0 { // what a queue may use when the others need none
			s.Slots -= (n - 1) * rings.depth
		}
		for i := range reqs {
			if r := reqs[i].Load(); r != nil && r.state.Load()&refMask != 0 {
				s.InFlight++
			}
		}
	}
	return s
}

// AppendText appends the counters as name=value pairs: requests, and of the
// others those that are not zero.
func (s *Stats) AppendText(dst []byte) []byte {
	for i, n := range [...]struct {
		name string
		v    uint64
	}{
		{"requests", s.Requests},
		{"errors", s.Errors},
		{"malformed", s.Malformed},
		{"interrupts", s.Interrupts},
		{"requeued", s.Requeued},
		{"resent", s.Resent},
		{"double", s.Double},
		{"lost", s.Lost},
		{"refused", s.Refused},
		{"unanswered", s.Unanswered},
		{"panics", s.Panics},
		{"detached", s.Detached},
		{"readerrors", s.ReadErrors},
		{"starved", s.Starved},
		{"notifies", s.Notifies},
		{"threads", uint64(s.Threads)},
		{"reading", uint64(s.Reading)},
		{"parked", uint64(s.Parked)},
		{"inflight", uint64(s.InFlight)},
		{"slots", uint64(s.Slots)},
		{"slotsused", uint64(s.SlotsUsed)},
		{"slotspeak", uint64(s.SlotsPeak)},
		{"queues", uint64(s.Queues)},
		{"entries", uint64(s.Entries)},
		{"memory", uint64(s.Memory)},
		{"workers", uint64(s.Workers)},
		{"moved", s.Moved},
		{"ringbytes", s.RingBytes},
		{"zerobytes", s.ZeroBytes},
	} {
		if n.v == 0 && i > 0 {
			continue
		}
		if len(dst) > 0 && dst[len(dst)-1] != ' ' && dst[len(dst)-1] != '\n' {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendUint(append(append(dst, n.name...), '='), n.v, 10)
	}
	return dst
}

// AppendInflight appends one line per request in service:
//
//	12.345ms thread 2 LOOKUP ...
//	67.890s detached SETLKW ...
//
// It may be called at any time from anywhere; it delays nobody.
func (c *Conn) AppendInflight(dst []byte) []byte {
	c.mu.Lock()
	reqs := c.reqs
	c.mu.Unlock()
	for i := range reqs {
		r := reqs[i].Load()
		if r == nil || !r.pin(false) {
			continue
		}
		dst = appendAge(dst, c.now()-r.started)
		if t := r.Thread(); t.cur.Load() == r || r.op == protocol.OpInit {
			dst = append(dst, " thread "...)
			if t.q != nil {
				dst = append(dst[:len(dst)-7], "queue "...)
			}
			dst = strconv.AppendInt(dst, int64(t.seat), 10)
		} else {
			dst = append(dst, " detached"...)
		}
		dst = append(dst, ' ')
		dst = r.AppendText(dst)
		if n := len(dst); dst[n-1] != '\n' {
			dst = append(dst, '\n')
		}
		r.unref()
	}
	return dst
}

// appendAge appends ns as milliseconds or seconds.
func appendAge(dst []byte, ns int64) []byte {
	unit := "ms"
	us := max(ns, 0) / 1000
	if us >= 1e6 {
		us, unit = us/1000, "s"
	}
	dst = strconv.AppendInt(dst, us/1000, 10)
	dst = append(dst, '.')
	f := us % 1000
	dst = append(dst, byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
	return append(dst, unit...)
}
