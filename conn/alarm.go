package conn

import "time"

// alarm is what a time.Timer is, but for the type of its channel: time.NewTimer
// puts a chan time.Time into an interface, which keeps the methods of Time, and
// with them time zones and the formatting of floats: 50 KB of program.
//
// C may tick once early after a Reset that comes just as the alarm goes off.
type alarm struct {
	C chan struct{}
	t *time.Timer
}

func newAlarm(d time.Duration) *alarm {
	a := &alarm{C: make(chan struct{}, 1)}
	a.t = time.AfterFunc(d, a.ring)
	return a
}

func (a *alarm) ring() {
	select {
	case a.C <- struct{}{}:
	default:
	}
}

// Reset makes it go off d from now, and forgets a tick not yet received.
func (a *alarm) Reset(d time.Duration) {
	a.t.Stop()
	select {
	case <-a.C:
	default:
	}
	a.t.Reset(d)
}

// Stop makes it not go off.
func (a *alarm) Stop() { a.t.Stop() }
