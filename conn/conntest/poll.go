package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// DefaultPoll is what a file without POLL is always ready for: POLLIN, POLLOUT,
// POLLRDNORM and POLLWRNORM.
const DefaultPoll = unix.POLLIN | unix.POLLOUT | 0x40 | 0x100

// Poll is poll(2) with no timeout: which of events (unix.POLL*) hold.
func (f *File) Poll(events uint32) (uint32, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return 0, unix.EBADF
	}
	return k.poll(f, events), nil
}

// PollWait is poll(2) with an endless timeout: it asks the server, and asks
// again after each NOTIFY_POLL, until some of events hold. An error of the
// server's, and the end of the mount, is POLLERR; Interrupt does not end it.
func (f *File) PollWait(events uint32) (uint32, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return 0, unix.EBADF
	}
	f.polled++
	defer func() { f.polled-- }()
	for {
		f.woken = false
		if got := k.poll(f, events); got != 0 {
			return got, nil
		}
		k.wait(f.c, func() bool { return f.woken || k.dead })
	}
}

// poll is fs/fuse/file.c: fuse_file_poll.
func (k *Kernel) poll(f *File, events uint32) uint32 {
	events |= unix.POLLERR | unix.POLLHUP
	if f.ino.bad {
		return unix.POLLERR
	}
	if k.no[protocol.OpPoll] || f.ino.dir() {
		return DefaultPoll & events
	}
	if f.kh == 0 {
		k.handles++
		f.kh = k.handles
	}
	in := protocol.PollIn{Fh: f.fh, Kh: f.kh}
	if k.o.Minor >= 21 {
		in.Events = events
	}
	if f.polled > 0 { // fuse_register_polled_file
		in.Flags = protocol.PollScheduleNotify
		k.polls[f.kh] = f
	}
	b, e := k.call(f.c, &body{op: protocol.OpPoll, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	switch e {
	case 0:
		return view[protocol.PollOut](b).Revents & events
	case unix.ENOSYS:
		k.no[protocol.OpPoll] = true
		return DefaultPoll & events
	}
	return unix.POLLERR
}

// wakeup is fuse_notify_poll_wakeup: a handle that nobody knows is ignored, as a
// file may be closed by then.
func (k *Kernel) wakeup(kh uint64) {
	if f := k.polls[kh]; f != nil {
		f.woken = true
		k.cond.Broadcast()
	}
}
