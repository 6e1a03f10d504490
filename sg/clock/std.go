//go:build go1.27 || stdtime

package clock

import "time"

// epoch is where the clock begins. It is in a variable of its own: a time.Time in a
// type that reaches an interface keeps its methods, and with them time zones and
// the formatting of floats, 50 KB of a program.
var epoch = time.Now()

// Now returns the monotonic clock in nanoseconds since some moment.
func Now() int64 { return int64(time.Since(epoch)) }

// Wall returns the time of day as time since 1970.
func Wall() (sec int64, nsec int32) {
	t := time.Now()
	return t.Unix(), int32(t.Nanosecond())
}

// Sleep has the calling goroutine wait for n at least; not at all if n is 0 or less.
func Sleep(n Nanos) { time.Sleep(time.Duration(n)) }

// Timer is what AfterFunc returns. It may be used by several goroutines at once.
type Timer struct{ t *time.Timer }

// AfterFunc calls f, in a goroutine of its own, after n.
func AfterFunc(n Nanos, f func()) *Timer { return &Timer{time.AfterFunc(time.Duration(n), f)} }

// Reset has f called after n from now, and no longer when it was to be.
// Nobody waits for a call that has begun.
func (t *Timer) Reset(n Nanos) bool { return t.t.Reset(time.Duration(n)) }

// Stop has f not called any more. false: it has been already.
func (t *Timer) Stop() bool { return t.t.Stop() }
