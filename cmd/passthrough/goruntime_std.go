//go:build go1.27 || stdos

package main

import (
	"os"
	"os/signal"
	"runtime/debug"

	"github.com/fusewire/fusewire/sg/unix"
)

func setGCPercent(n int32) { debug.SetGCPercent(int(n)) }

// notify sends each of sigs to c from now on. While c has no room one that comes
// several times counts once, but none is lost.
func notify(c chan<- unix.Signal, sigs []unix.Signal) {
	for _, s := range sigs {
		one := make(chan os.Signal, 1)
		signal.Notify(one, s)
		go func() {
			for range one {
				c <- s
			}
		}()
	}
}

// ignore has the process ignore sig; ignored reports whether it does.
func ignore(sig unix.Signal)       { signal.Ignore(sig) }
func ignored(sig unix.Signal) bool { return signal.Ignored(sig) }
