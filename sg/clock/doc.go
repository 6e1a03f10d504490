// Package clock is what this module needs of package time, for programs that are
// to be small: to import package time links 100 KB of time zones, formatting and
// settings, used or not.
//
// The clock, sleeping and the timers are the Go runtime's own, as they are for
// package time, so that nothing here costs a thread. (In a bubble of testing/synctest
// only Sleep goes by the bubble's time.)
package clock

// Duration is a span of time in a caller's hands: a [time.Duration], or anything
// else that can say how many nanoseconds it is. nil is 0.
//
// [time.Duration]: https://pkg.go.dev/time#Duration
type Duration interface{ Nanoseconds() int64 }

// Nanos is a span of time in nanoseconds.
type Nanos int64

// Spans of time.
const (
	Microsecond Nanos = 1000
	Millisecond       = 1000 * Microsecond
	Second            = 1000 * Millisecond
	Hour              = 3600 * Second
)

// Nanoseconds makes a Duration of n.
func (n Nanos) Nanoseconds() int64 { return int64(n) }

// Of returns d, 0 for nil.
func Of(d Duration) Nanos {
	if d == nil {
		return 0
	}
	return Nanos(d.Nanoseconds())
}

// Until returns how long it is from now, as [Now] says it, until when; 0 if that
// has passed.
func Until(when int64) Nanos { return Nanos(max(when-Now(), 0)) }
