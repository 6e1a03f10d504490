package conn

import "github.com/fusewire/fusewire/sg/clock"

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

// newAlarm rings c in d from now.
func newAlarm(c chan struct{}, d clock.Nanos) *clock.Timer {
	return clock.AfterFunc(d, func() { ring(c) })
}
