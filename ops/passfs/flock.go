package passfs

import "github.com/fusewire/fusewire/sg/unix"

// tryFlock is try for flock(2). As below the mount, turning one kind into the
// other is not atomic: if it cannot be had at once the old one is gone
// (fs/locks.c: flock_lock_inode), which may be what others wait for. s.mu is
// held.
func (s *lockSet) tryFlock(q *lockReq) error {
	how := unix.LOCK_UN
	switch q.typ {
	case unix.F_RDLCK:
		how = unix.LOCK_SH
	case unix.F_WRLCK:
		how = unix.LOCK_EX
	}
	for {
		switch err := unix.Flock(q.f.fd, how|unix.LOCK_NB); err {
		case nil:
			if q.typ == unix.F_UNLCK {
				delete(s.flocks, q.f.fh)
				return nil
			}
			if s.flocks == nil {
				s.flocks = make(map[uint64]uint32)
			}
			s.flocks[q.f.fh] = q.typ
			q.f.locked.Store(true)
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			delete(s.flocks, q.f.fh)
			q.local = false
			for _, typ := range s.flocks {
				if typ == unix.F_WRLCK || q.typ == unix.F_WRLCK {
					q.local = true
				}
			}
			return err
		default:
			return err
		}
	}
}

// release drops f's flock when f is closed, and the locks of owners that last
// asked for one by it, and lets others have them. The latter are open-file-description
// locks: their owner is the caller's open file, which no FLUSH speaks for
// (fs/locks.c: locks_remove_file finds none of its own and says nothing). A
// process that is the owner has closed f by FLUSH before.
func (t *lockTable) release(fs *FS, f *file) {
	s := t.hold(f.i, false)
	if s == nil {
		return
	}
	s.mu.Lock()
	q := lockReq{f: f, flock: true, typ: unix.F_UNLCK}
	s.tryFlock(&q)
	for id, o := range s.owners {
		if o.f == f {
			delete(s.owners, id)
			fs.closeFD(o.fd)
		}
	}
	done := s.retry(fs, nil)
	s.mu.Unlock()
	t.let(s)
	fs.finish(done)
}
