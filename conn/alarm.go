package conn

import "time"

// Whoever waits here waits on one channel, of one element, for all that may
// happen, and then looks what has: select over several channels and sync.Cond
// would be 20 KB of program.

// ring wakes the one that waits on c, or will next. It stays a call.
//
//go:noinline
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// newAlarm rings c in d from now. (time.NewTimer puts a chan time.Time into an
// interface, which keeps the methods of Time, and with them time zones and the
// formatting of floats: 50 KB of program.)
func newAlarm(c chan struct{}, d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() { ring(c) })
}
