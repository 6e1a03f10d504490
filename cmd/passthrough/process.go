package main

import (
	"strings"

	"github.com/fusewire/fusewire/sg/unix"
)

// What package os would do: it is not used, because with os/signal it would be
// 75 KB of program.

// arguments returns the command line, the program's name first.
func arguments() []string {
	b := slurp("/proc/self/cmdline")
	if len(b) == 0 {
		return []string{"passthrough"}
	}
	var list []string
	for s := string(b); s != ""; {
		var a string
		a, s, _ = cut(s, 0)
		list = append(list, a)
	}
	return list
}

// slurp returns the contents of a file of procfs, nothing if that fails.
func slurp(name string) (b []byte) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	for {
		b = append(b, make([]byte, 4096)...)
		n, err := unix.Read(fd, b[len(b)-4096:])
		b = b[:len(b)-4096+max(n, 0)]
		if n <= 0 && err != unix.EINTR {
			return b
		}
	}
}

// setName makes ps show the program's name where it was started through
// /proc/self/exe.
func setName(argv0 string) {
	fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		write(fd, []byte(argv0[strings.LastIndexByte(argv0, '/')+1:]))
		unix.Close(fd)
	}
}

// say prints one message.
//
//go:noinline
func say(s string) { write(2, []byte("passthrough: "+s+"\n")) }

func write(fd int, b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		b = b[n:]
	}
}

// failure is an error that needs no more than its text.
type failure string

func (f failure) Error() string { return string(f) }
