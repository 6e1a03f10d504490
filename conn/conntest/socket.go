package conntest

import (
	"errors"

	"github.com/fusewire/fusewire/sg/unix"
)

// NewSocket makes a kernel that speaks over a SOCK_SEQPACKET pair, for a server
// in another process: start it with the other end, which is given to start as a
// descriptor (close-on-exec, valid until start returns), for example as
// /dev/fd/3. A socket takes every message: the server does not get the errors
// that /dev/fuse gives, and Options.Lose only loses replies silently.
func NewSocket(start func(fd int) error, o *Options) (*Kernel, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	k := newKernel(o)
	for _, fd := range fds { // best effort: WRITEs and READs are one packet each
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
	}
	err = start(fds[1])
	_ = unix.Close(fds[1])
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, err
	}
	sent, received := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(sent)
		k.pump(fds[0])
	}()
	go func() {
		k.drain(fds[0])
		<-sent
		received <- unix.Close(fds[0])
	}()
	k.served = received
	return k.mount()
}

// pump sends requests until the end of the mount, then hangs up.
func (k *Kernel) pump(fd int) {
	for {
		k.mu.Lock()
		k.entered++
		k.cond.Broadcast()
		for !k.dead && !k.ready() {
			k.cond.Wait()
		}
		if k.dead {
			k.mu.Unlock()
			_ = unix.Shutdown(fd, unix.SHUT_RDWR)
			return
		}
		m := k.next(k.minRead())
		if m != nil {
			k.taken++
			k.cond.Broadcast()
		}
		k.mu.Unlock()
		for m != nil {
			_, err := unix.SendmsgN(fd, m, nil, nil, unix.MSG_NOSIGNAL)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				k.Abort()
			}
			break
		}
	}
}

// drain takes replies until the server hangs up.
func (k *Kernel) drain(fd int) {
	b := make([]byte, 4<<20)
	for {
		n, err := unix.Read(fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		k.mu.Lock()
		if n <= 0 || err != nil {
			k.abort()
			k.mu.Unlock()
			return
		}
		if n == len(b) {
			k.report(nil, 0, "a message of 4 MiB or more", "EINVAL to the server")
		}
		_ = k.write(b[:n])
		k.mu.Unlock()
	}
}
