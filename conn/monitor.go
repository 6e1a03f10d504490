package conn

import "github.com/fusewire/fusewire/sg/clock"

const (
	monTick  = 4 * clock.Millisecond
	monQuiet = 10 // ticks without a request after which the monitor parks
)

// monitor starts another reader when all are busy and none has finished for a
// tick: a handler that blocks without a word (Request.Block) must not stop the
// mount. It runs while requests come in and is woken by the first after a pause,
// so that an idle mount has no periodic wake-ups. Before a pause it returns the
// memory of free slots. It also forgets INTERRUPTs that came too late.
func (c *Conn) monitor() {
	defer c.exit()
	timer := newAlarm(c.monWake, monTick)
	defer timer.Stop()
	last := c.served()
	for {
		for quiet := 0; quiet < monQuiet; {
			timer.Reset(monTick)
			<-c.monWake
			if c.ended.Load() {
				return
			}
			if c.early.n.Load() != 0 {
				c.early.expire(c.now())
			}
			sum := c.served()
			switch {
			case sum != last:
				quiet = 0
			case c.readers(nil) == 0:
				c.promote()
				quiet++
			default:
				quiet++
			}
			last = sum
		}
		c.arena.Trim(0)
		c.monIdle.Store(true)
		if c.served() != last || c.readers(nil) == 0 && c.canGrow() {
			if c.monIdle.CompareAndSwap(true, false) {
				continue
			}
		}
		for c.monIdle.Load() {
			if c.ended.Load() {
				return
			}
			<-c.monWake
		}
	}
}

// canGrow reports whether promote would find a reader.
func (c *Conn) canGrow() bool {
	defer c.mu.hold()()
	if len(c.parked) > 0 {
		return true
	}
	for i := range c.seats {
		if c.seats[i].Load() == nil {
			return true
		}
	}
	return false
}

// served counts the messages that readers are done with.
func (c *Conn) served() uint64 {
	n := c.count.requests.Load()
	for i := range c.seats {
		if t := c.seats[i].Load(); t != nil {
			n += t.served.Load()
		}
	}
	return n
}
