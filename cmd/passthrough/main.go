package main

import (
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// The main goroutine stays on the process's first thread, which serves nothing:
// /proc/self shows that thread, so its ids and capabilities must never be those
// of some caller.
func init() { runtime.LockOSThread() }

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case err != nil:
		say(err.Error() + " (see passthrough --help)")
		os.Exit(2)
	case o.help:
		write(1, helpText())
		os.Exit(0)
	case o.version:
		write(1, []byte("passthrough "+version+" (fusewire, FUSE 7.46)\n"))
		os.Exit(0)
	}
	ready := -1
	if !o.foreground {
		if v, child := os.LookupEnv(readyEnv); child {
			os.Unsetenv(readyEnv)
			if ready, err = strconv.Atoi(v); err == nil {
				unix.CloseOnExec(ready)
			}
		} else {
			os.Exit(background(o))
		}
	}
	os.Exit(serve(o, ready))
}

// say prints one message.
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
