//go:build !go1.27 && !stdos

package main

import (
	_ "unsafe" // for go:linkname

	"github.com/fusewire/fusewire/sg/unix"
)

// Signals, taken from where package os/signal takes them: the runtime. With
// package os, which it imports, it would be 75 KB of a program of 2 MB. The
// names are pushed to it by linkname (runtime/sigqueue.go) and promised to
// nobody else: a Go newer than those this was tried with, or -tags stdos, takes
// the package itself (goruntime_std.go).

//go:linkname signalEnable os/signal.signal_enable
func signalEnable(uint32)

//go:linkname signalIgnore os/signal.signal_ignore
func signalIgnore(uint32)

//go:linkname signalIgnored os/signal.signal_ignored
func signalIgnored(uint32) bool

//go:linkname signalRecv os/signal.signal_recv
func signalRecv() uint32

// Garbage, the same way: package runtime/debug would bring in os and fmt.

//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(int32) int32

// notify sends each of sigs to c from now on. While c has no room one that comes
// several times counts once, but none is lost. It may be called once.
func notify(c chan<- unix.Signal, sigs []unix.Signal) {
	signalEnable(0) // the first call prepares the queue
	for _, s := range sigs {
		signalEnable(uint32(s))
	}
	go func() {
		for {
			c <- unix.Signal(signalRecv())
		}
	}()
}

// ignore has the process ignore sig; ignored reports whether it does.
func ignore(sig unix.Signal)       { signalIgnore(uint32(sig)) }
func ignored(sig unix.Signal) bool { return signalIgnored(uint32(sig)) }
