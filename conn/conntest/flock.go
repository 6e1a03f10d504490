package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// held is a lock that the kernel keeps, the server not having asked for them.
type held struct {
	owner      uint64
	flock      bool
	typ        uint32
	pid        uint32
	start, end uint64
}

// Flock is flock(2), how of unix.LOCK_*. Without FLOCK_LOCKS the server is not
// asked.
func (f *File) Flock(how int) error {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.closed {
		return unix.EBADF
	}
	typ := uint32(unix.F_UNLCK)
	switch how &^ unix.LOCK_NB {
	case unix.LOCK_SH:
		typ = unix.F_RDLCK
	case unix.LOCK_EX:
		typ = unix.F_WRLCK
	case unix.LOCK_UN:
	default:
		return unix.EINVAL
	}
	if f.owner == 0 {
		k.owners += 0x9e3779b97f4a7c15
		f.owner = k.owners
	}
	return errno(k.setlk(f, f.owner, typ, 0, 1<<63-1, how&unix.LOCK_NB == 0 && typ != unix.F_UNLCK, true))
}

// remoteLocks reports whether the server keeps locks of the kind
// (fs/fuse/inode.c: process_init_reply on no_lock and no_flock).
func (k *Kernel) remoteLocks(flock bool) bool {
	if flock && k.params.Minor >= 17 {
		return k.has(protocol.InitFlockLocks)
	}
	return k.has(protocol.InitPosixLocks)
}

// setlk is fs/fuse/file.c: fuse_setlk.
func (k *Kernel) setlk(f *File, owner uint64, typ uint32, start, end uint64, wait, flock bool) unix.Errno {
	l := held{owner, flock, typ, f.c.pid, start, end}
	if typ == unix.F_UNLCK {
		l.pid = 0
	}
	if !k.remoteLocks(flock) {
		return k.setLocal(f, l, wait)
	}
	in := protocol.LkIn{Fh: f.fh, Owner: owner, Lk: protocol.FileLock{Start: start, End: end, Type: typ, Pid: l.pid}}
	if flock {
		f.flock = true
		in.LkFlags = protocol.LkFlock
	}
	op := protocol.OpSetlk
	if wait {
		op = protocol.OpSetlkw
	}
	_, e := k.call(f.c, &body{op: op, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	return e
}

// blocks returns a lock that is in the way of l.
func (i *inode) blocks(l *held) *held {
	for n := range i.locks {
		h := &i.locks[n]
		if h.owner != l.owner && h.flock == l.flock && h.start <= l.end && l.start <= h.end &&
			(h.typ == unix.F_WRLCK || l.typ == unix.F_WRLCK) {
			return h
		}
	}
	return nil
}

func (k *Kernel) setLocal(f *File, l held, wait bool) unix.Errno {
	i := f.ino
	if l.typ != unix.F_UNLCK && i.blocks(&l) != nil {
		if !wait {
			return unix.EAGAIN
		}
		k.wait(f.c, func() bool { return i.blocks(&l) == nil || f.c.signal || k.dead })
		if i.blocks(&l) != nil {
			return unix.EINTR
		}
	}
	var now []held
	for _, h := range i.locks {
		if h.owner != l.owner || h.flock != l.flock || h.end < l.start || h.start > l.end {
			now = append(now, h)
			continue
		}
		if h.start < l.start { // what is left of it, before and behind
			left := h
			left.end = l.start - 1
			now = append(now, left)
		}
		if h.end > l.end {
			right := h
			right.start = l.end + 1
			now = append(now, right)
		}
	}
	if l.typ != unix.F_UNLCK {
		now = append(now, l)
	}
	i.locks = now
	k.cond.Broadcast()
	return 0
}

// dropLocks is what close(2) does to the locks that the kernel keeps: the
// process's POSIX locks of the file, and flock(2)'s of the open file.
func (k *Kernel) dropLocks(f *File) {
	var now []held
	for _, h := range f.ino.locks {
		if h.flock && h.owner != f.owner || !h.flock && h.owner != f.c.owner {
			now = append(now, h)
		}
	}
	if len(now) != len(f.ino.locks) {
		f.ino.locks = now
		k.cond.Broadcast()
	}
}

// testLocal is posix_test_lock.
func (f *File) testLocal(typ int, start, end uint64) protocol.FileLock {
	if h := f.ino.blocks(&held{owner: f.c.owner, typ: uint32(typ), start: start, end: end}); h != nil {
		return protocol.FileLock{Start: h.start, End: h.end, Type: h.typ, Pid: h.pid}
	}
	return protocol.FileLock{Start: start, End: end, Type: unix.F_UNLCK}
}
