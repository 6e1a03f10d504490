package main

import (
	"runtime"
	"syscall"

	"github.com/fusewire/fusewire/sg/unix"
)

// The main goroutine stays on the process's first thread, which serves nothing:
// /proc/self shows that thread, so its ids and capabilities must never be those
// of some caller.
func init() { runtime.LockOSThread() }

func main() {
	argv := arguments()
	o, err := parse(argv[1:])
	switch {
	case err != nil:
		say(err.Error() + " (see passthrough --help)")
		syscall.Exit(2)
	case o.help:
		write(1, helpText())
		syscall.Exit(0)
	case o.version:
		write(1, []byte("passthrough "+version+" (fusewire, FUSE 7.46)\n"))
		syscall.Exit(0)
	}
	ready := -1
	if !o.foreground {
		v, child := syscall.Getenv(readyEnv)
		if !child {
			syscall.Exit(background(o, argv))
		}
		n, _ := decimal(v)
		ready = int(n)
	}
	// A reader keeps its P while it waits in read(2), until sysmon takes it away. As
	// long as others are free that costs nothing; with none to spare every request
	// would go through the scheduler.
	if _, set := syscall.Getenv("GOMAXPROCS"); !set {
		runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	}
	if _, set := syscall.Getenv("GOGC"); !set {
		setGCPercent(50) // the first time at 2 MB, not at 4
	}
	// before anything is mounted, which a signal could leave behind
	sig := signals()
	setName(argv[0])
	syscall.Unsetenv(readyEnv)
	if ready >= 0 {
		unix.CloseOnExec(ready)
	}
	syscall.Exit(serve(o, sig, ready))
}
