//go:build !go1.27 && !stdtime

package clock

import "unsafe" // and go:linkname

// The functions that package time has from the runtime, had from there: they are
// pushed to it by linkname (runtime/time.go, runtime/timestub.go,
// runtime/time_nofake.go). The two clocks are used so by many, and promised to
// stay; the others are promised to package time alone: a Go newer than those this
// was tried with, or -tags stdtime, takes package time (std.go).
//
// The only use of unsafe is that a runtime timer is held by a pointer to memory
// that the runtime allocated, and that only the runtime reads.

//go:linkname nanotime runtime.nanotime
func nanotime() int64

//go:linkname timeNow time.now
func timeNow() (sec int64, nsec int32, mono int64)

//go:linkname timeSleep time.Sleep
func timeSleep(ns int64)

//go:linkname newTimer time.newTimer
func newTimer(when, period int64, f func(arg any, seq uintptr, delta int64), arg any, c unsafe.Pointer) *Timer

//go:linkname stopTimer time.stopTimer
func stopTimer(*Timer) bool

//go:linkname resetTimer time.resetTimer
func resetTimer(t *Timer, when, period int64) bool

// Now returns the monotonic clock in nanoseconds since some moment.
func Now() int64 { return nanotime() }

// Wall returns the time of day as time since 1970.
func Wall() (sec int64, nsec int32) {
	sec, nsec, _ = timeNow()
	return sec, nsec
}

// Sleep has the calling goroutine wait for n at least; not at all if n is 0 or less.
func Sleep(n Nanos) { timeSleep(int64(n)) }

// Timer is what AfterFunc returns. It may be used by several goroutines at once.
type Timer struct {
	_ unsafe.Pointer // a channel, which package time's other timers have
	_ bool
	// What the runtime keeps follows: it is not to be copied.
}

// AfterFunc calls f, in a goroutine of its own, after n.
func AfterFunc(n Nanos, f func()) *Timer { return newTimer(at(n), 0, run, f, nil) }

// Reset has f called after n from now, and no longer when it was to be.
// Nobody waits for a call that has begun.
func (t *Timer) Reset(n Nanos) bool { return resetTimer(t, at(n), 0) }

// Stop has f not called any more. false: it has been already.
func (t *Timer) Stop() bool { return stopTimer(t) }

// run is called by the scheduler, which it must not keep waiting.
func run(f any, _ uintptr, _ int64) { go f.(func())() }

// at is the time of the clock in n.
func at(n Nanos) int64 {
	if n <= 0 {
		return nanotime()
	}
	t := nanotime() + int64(n)
	if t < 0 {
		t = 1<<63 - 1
	}
	return t
}
