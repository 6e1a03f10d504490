package conntest

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// lock is a lock of the kernel's: shared or exclusive.
type lock struct {
	w bool
	r int
}

// wait gives k.mu up until ready. cl waits; nil is somebody the schedule does
// not know.
func (k *Kernel) wait(cl *Client, ready func() bool) {
	if k.sched == nil || cl == nil || !cl.scheduled {
		for !ready() {
			k.cond.Wait()
		}
		return
	}
	k.sched.yield(k, cl, ready)
}

func (k *Kernel) lock(cl *Client, l *lock) {
	k.wait(cl, func() bool { return !l.w && l.r == 0 })
	l.w = true
}

func (k *Kernel) unlock(l *lock) {
	l.w = false
	k.cond.Broadcast()
}

func (k *Kernel) rlock(cl *Client, l *lock) {
	k.wait(cl, func() bool { return !l.w })
	l.r++
}

func (k *Kernel) runlock(l *lock) {
	l.r--
	k.cond.Broadcast()
}

// schedule decides, by a seed, who goes on.
type schedule struct {
	rng     *rand.Rand
	clients []*Client
	running *Client
	offer   []*request // made, not yet let through to the server
	held    []*request // answered, not yet seen by who waits
	forgets []forget
	trace   []string
}

// blocked is how long, in real time, a request may keep the schedule: one that
// takes longer is taken to wait for another (SETLKW). settled is how long a
// thread of the server may take to come back for more.
const (
	blocked = 50 * time.Millisecond
	settled = 2 * time.Millisecond
)

// Run runs tasks at once, each as a process with these ids, until all have
// returned. At any time one of them runs, or the server works on one request:
// which one goes on, when a request reaches the server, and when its answer is
// seen are chosen by seed, so that a run repeats if the server is deterministic
// by itself. Answers are seen in another order than they were given in.
//
// It returns the choices made, one line each, for comparison.
func (k *Kernel) Run(seed uint64, uid, gid uint32, tasks ...func(c *Client)) []string {
	s := &schedule{rng: rand.New(rand.NewPCG(seed, 0))}
	for range tasks {
		c := k.Process(uid, gid)
		c.scheduled = true
		c.ready = func() bool { return true }
		s.clients = append(s.clients, c)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sched = s
	for i, c := range s.clients {
		go func() {
			k.mu.Lock()
			for s.running != c {
				k.cond.Wait()
			}
			k.mu.Unlock()
			defer func() {
				k.mu.Lock()
				c.ready = nil
				s.clients[i] = nil
				s.running = nil
				k.cond.Broadcast()
				k.mu.Unlock()
			}()
			tasks[i](c)
		}()
	}
	for s.step(k) {
	}
	k.sched = nil
	return s.trace
}

// yield gives the turn up until ready.
func (s *schedule) yield(k *Kernel, cl *Client, ready func() bool) {
	for !ready() {
		cl.ready = ready
		s.running = nil
		k.cond.Broadcast()
		for s.running != cl {
			k.cond.Wait()
		}
	}
}

// step makes one choice; it returns false at the end.
func (s *schedule) step(k *Kernel) bool {
	var who []int
	alive := false
	for i, c := range s.clients {
		if c != nil {
			alive = true
			if c.ready() {
				who = append(who, i)
			}
		}
	}
	f := min(len(s.forgets), 1)
	n := len(who) + len(s.offer) + len(s.held) + f
	if n == 0 {
		if !alive {
			return false
		}
		k.cond.Wait() // for a request that is blocked in the server
		return true
	}
	choice := s.rng.IntN(n)
	switch {
	case choice < len(who):
		s.note("run", uint64(who[choice]))
		s.running = s.clients[who[choice]]
		k.cond.Broadcast()
		for s.running != nil {
			k.cond.Wait()
		}
	case choice < len(who)+len(s.offer):
		i := choice - len(who)
		r := s.offer[i]
		s.offer = append(s.offer[:i], s.offer[i+1:]...)
		s.note(r.op.String(), r.nodeid)
		k.queue = append(k.queue, r)
		s.serve(k, func() bool { return r.done || r.held })
	case choice < len(who)+len(s.offer)+len(s.held):
		i := choice - len(who) - len(s.offer)
		r := s.held[i]
		s.held = append(s.held[:i], s.held[i+1:]...)
		s.note("answer "+r.op.String(), r.nodeid)
		k.complete(r)
	default:
		one := s.forgets[0]
		s.forgets = s.forgets[1:]
		s.note("FORGET", one.nodeid)
		k.forgets = append(k.forgets, one)
		s.serve(k, func() bool { return len(k.forgets) == 0 })
	}
	return true
}

func (s *schedule) note(what string, n uint64) {
	s.trace = append(s.trace, what+" "+strconv.FormatUint(n, 10))
}

// serve lets the server work until done, and its thread come back.
func (s *schedule) serve(k *Kernel, done func() bool) {
	taken, inside := k.taken, k.entered-k.taken
	k.cond.Broadcast()
	k.waitFor(blocked, func() bool { return k.dead || done() && k.taken > taken })
	k.waitFor(settled, func() bool { return k.dead || k.entered-k.taken >= inside })
}

// waitFor waits for ready, but no longer than d.
func (k *Kernel) waitFor(d time.Duration, ready func() bool) {
	late := false
	t := time.AfterFunc(d, func() {
		k.mu.Lock()
		late = true
		k.cond.Broadcast()
		k.mu.Unlock()
	})
	for !late && !ready() {
		k.cond.Wait()
	}
	t.Stop()
}
