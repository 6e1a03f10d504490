package main

import "github.com/fusewire/fusewire/sg/unix"

// signals begins to take the signals that the program reacts to, and returns the
// channel on which they come.
func signals() <-chan unix.Signal {
	c := make(chan unix.Signal, 8)
	want := []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGUSR1}
	if !ignored(unix.SIGHUP) { // nohup
		want = append(want, unix.SIGHUP)
	}
	ignore(unix.SIGPIPE)
	notify(c, want)
	return c
}
