//go:build go1.27 || stdos

package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// notify sends each of sigs to c from now on, and drops what c has no room for.
func notify(c chan<- unix.Signal, sigs []unix.Signal) {
	all := make(chan os.Signal, cap(c))
	for _, s := range sigs {
		signal.Notify(all, s)
	}
	go func() {
		for s := range all {
			if s, ok := s.(unix.Signal); ok {
				select {
				case c <- s:
				default:
				}
			}
		}
	}()
}

// ignore has the process ignore sig; ignored reports whether it does.
func ignore(sig unix.Signal)       { signal.Ignore(sig) }
func ignored(sig unix.Signal) bool { return signal.Ignored(sig) }
