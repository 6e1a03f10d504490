package main

import (
	"syscall"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/sg/unix"
)

// server is one mount from beginning to end.
type server struct {
	o     *options
	m     *conn.Mount
	c     *conn.Conn
	event chan event
	asked int // signals to end that have come
}

// event is what serve waits for: a signal, or if that is 0 the end of service
// with err, or its beginning (isReady). One channel is less program than a
// select over three.
type event struct {
	_ [0]func() // not comparable: no code for it

	sig unix.Signal
	err error
}

var isReady error = failure("ready")

// serve mounts, serves until the end, and returns the exit status. ready is the
// pipe to a waiting parent, -1 in the foreground.
func serve(o *options, sig <-chan syscall.Signal, ready int) int {
	s := &server{o: o, event: make(chan event, 8)}
	logFD, err := s.start()
	if err != nil {
		say(err.Error())
		return 1
	}
	go func() {
		<-s.c.Ready()
		s.event <- event{err: isReady}
	}()
	go func() {
		for n := range sig {
			s.event <- event{sig: n}
		}
	}()
	for {
		switch e := <-s.event; {
		case e.sig == unix.SIGUSR1:
			s.report()
		case e.sig != 0:
			s.stop()
		case e.err != isReady:
			return s.end(e.err)
		default:
			s.setBDI()
			if !o.foreground && !release(ready, logFD) {
				s.stop() // nobody waits for us any more
			}
		}
	}
}

// start does everything up to the first request.
func (s *server) start() (logFD int, err error) {
	o := s.o
	unix.Umask(0) // modes are the callers' business
	if err := raiseNofile(o.nofile); err != nil {
		return -1, err
	}
	logFD = -1
	if o.logFile != "" {
		logFD, err = unix.Open(o.logFile, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return -1, failure(o.logFile + ": " + err.Error())
		}
		if o.foreground {
			unix.Dup3(logFD, 2, 0)
		}
	}
	src, err := unix.Open(o.src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, failure("source " + o.src + ": " + err.Error())
	}
	defer unix.Close(src)
	if err := conn.CheckSource(src, o.mnt); err != nil {
		return -1, err
	}
	o.fs.Log = say
	if o.wb {
		if o.fs.WriteCache, err = writeCache(o); err != nil {
			return -1, err
		}
	}
	fs, err := passfs.New(src, &o.fs)
	if err != nil {
		return -1, err
	}
	if s.m, err = conn.NewMount(o.mnt, &o.mount); err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			s.m.Detach()
		}
	}()
	if err := s.checkMount(src); err != nil {
		return -1, err
	}
	dev, err := conn.NewFuseDevice(s.m.FD())
	if err != nil {
		return -1, err
	}
	o.channel.Want = fs.Want()
	o.channel.Log = say
	var t *tracer
	if o.debug {
		t = &tracer{}
		o.channel.Trace = t
	}
	unix.Chdir("/") // before there are readers, whose working directories are their own
	s.c = conn.New(dev, &o.channel)
	if t != nil {
		t.c = s.c
	}
	go func() { s.event <- event{err: s.c.Serve(ops.New(fs))} }()
	return logFD, nil
}

// checkMount looks at the mount before anybody is let in.
func (s *server) checkMount(src int) error {
	if err := s.m.Within(src); err != nil {
		return err
	}
	if s.m.Given() {
		return nil
	}
	// O_DIRECTORY is decided by what was mounted, without asking us
	fd, err := unix.Open(s.m.Dir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return failure("mountpoint " + s.o.mnt + ": " + err.Error())
	}
	unix.Close(fd)
	return nil
}

// end is the way out once nothing is served any more.
func (s *server) end(err error) int {
	// aborted, or gone wrong: what is left would only answer ENOTCONN
	if !s.m.Given() {
		s.m.Detach()
	}
	s.m.Close()
	if err == nil {
		return 0
	}
	if conn.Errno(err) == unix.ECONNABORTED {
		say(s.m.Dir() + ": the connection was aborted")
	} else {
		say(err.Error())
	}
	return 1
}

// stop answers a signal to end. Unmounting waits for dirty data to be written,
// through us, so it must not hold up this goroutine; a signal that comes
// meanwhile aborts.
func (s *server) stop() {
	s.asked++
	if s.asked > 1 {
		if s.m.Abort() != nil {
			// Exiting closes the device, which aborts. (Sent from elsewhere,
			// since only this goroutine receives.)
			go func() { s.event <- event{err: conn.ErrAborted} }()
		}
		return
	}
	go func() {
		err := s.m.Unmount()
		if conn.Errno(err) == unix.EBUSY {
			// Said first: the last user and this process may be gone in a moment.
			say(s.m.Dir() + " is in use: detached, ends with its last user")
			err = s.m.Detach()
		}
		switch {
		case err == nil:
		case s.m.Given():
			s.event <- event{} // the caller unmounts; the device is closed by exiting
		default:
			say(err.Error() + " (another signal aborts)")
		}
	}()
}

// report prints what is in service and the counters.
func (s *server) report() {
	b := s.c.AppendInflight(nil)
	st := s.c.Stats()
	write(2, append(st.AppendText(append(b, "passthrough: "...)), '\n'))
}

// raiseNofile sets the soft limit of open files: to n, or to the hard limit.
func raiseNofile(n uint64) error {
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		return failure("RLIMIT_NOFILE: " + err.Error())
	}
	rl.Cur = rl.Max
	if n != 0 {
		rl.Cur, rl.Max = n, max(n, rl.Max)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &rl); err != nil && n != 0 {
		return failure("--rlimit-nofile: " + err.Error())
	}
	return nil
}
