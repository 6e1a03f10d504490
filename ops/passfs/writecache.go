package passfs

import (
	"runtime"

	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
	"github.com/fusewire/fusewire/wb"
)

// With Options.WriteCache what is written stays with us for a while. Who needs it
// in the source has to say so:
//
//	WRITE            into the cache; around it if O_SYNC, O_DIRECT, or bits to take
//	READ             laid over what the source has
//	FSYNC            written, then synced
//	FLUSH            written, unless LazyClose
//	RENAME           written first, so that a crash leaves the old or the new file
//	SETATTR          of the times: written first; of the size: what stays is written
//	FALLOCATE, COPY_FILE_RANGE, LSEEK, IOCTL: written first, as far as concerned
//	GETATTR, LOOKUP  size and times are the cache's while it has anything
//
// What waits for the source does so on no reader of the device.

// closeWait is how long Done waits for the source to take what is held back.
const closeWait = 30 * clock.Second

// writeCache is the cache, nil if there is none.
func (fs *FS) writeCache() *wb.Cache {
	if !ownCache {
		return nil
	}
	return fs.opt.WriteCache
}

// back is what is held back of i, nil without a cache.
func (i *inode) back() *wb.File {
	if !ownCache {
		return nil
	}
	return i.wb.Load()
}

// back is the same of an open file's inode.
func (f *file) back() *wb.File {
	if !ownCache {
		return nil
	}
	return f.w
}

// cacheOpen makes f known to the cache.
func (fs *FS) cacheOpen(f *file) {
	if fs.writeCache() == nil {
		return
	}
	i := f.i
	i.mu.Lock()
	if i.holders == 0 {
		i.wb.Store(fs.writeCache().File(i.nodeid))
	}
	i.holders++
	f.w, f.fs = i.back(), fs
	i.mu.Unlock()
	f.back().Open(&f.told)
}

// cacheClose takes that back. With the last one nothing is held back any more: the
// cache would be one of the users.
func (fs *FS) cacheClose(f *file) {
	if f.back() == nil {
		return
	}
	i := f.i
	i.mu.Lock()
	if i.holders--; i.holders == 0 {
		i.wb.Store(nil)
	}
	i.mu.Unlock()
}

// file is a wb.Owner.

// FD is Owner's.
func (f *file) FD() int { return f.fd }

// Size is Owner's.
func (f *file) Size() (int64, error) {
	var st unix.Statx_t
	err := statxFD(f.fd, &st)
	return int64(st.Size), err
}

// Keep is Owner's. The inode stays, too, or another one would be made of the file
// that knows nothing of what is held back. It is kept for a request, which has both.
func (f *file) Keep() bool {
	if !f.fs.nodes.Ref(f.i.nodeid) {
		return false
	}
	f.refs.Add(1)
	return true
}

// Drop is Owner's.
func (f *file) Drop() {
	f.i.plain.Store(false)
	f.fs.put(f)
	f.fs.Forget(f.i.nodeid, 1)
}

// cached is a request that the cache has a part in. It stays with its ops.Request,
// so that in the long run waiting allocates nothing.
type cached struct {
	_      [0]func() // not comparable: no code for it
	t      wb.Task
	fs     *FS
	r      *ops.Request
	f      *file
	flags  int  // Write: RWF_*
	whole  bool // Write: pages
	kill   bool // Write: takes set-id bits
	writes bool
}

func (fs *FS) cachedOf(r *ops.Request, f *file) *cached {
	p := fs.pending(r)
	if p.c == nil {
		p.c = &cached{fs: fs}
		p.c.t.Done = p.c.done
	}
	p.c.r, p.c.f, p.c.writes = r, f, false
	p.c.t.Owner = f
	return p.c
}

// wait lets the reader go, and c end in its own time.
func (c *cached) wait() error {
	c.r.Detach()
	c.f.back().Wait(&c.t)
	return ops.Detached
}

// done is the end of what the cache had to wait for.
func (c *cached) done(t *wb.Task) {
	if t.Through {
		go c.around()
		return
	}
	c.end(t.N, errno(t.Err))
}

func (c *cached) end(n int, err error) {
	r, f := c.r, c.f
	c.r, c.f = nil, nil
	c.fs.put(f)
	r.Complete(n, err)
}

// around ends, on a goroutine, a Read or Write that was to wait, and that the source
// has to be asked for after all.
func (c *cached) around() {
	n := c.t.N
	if !c.writes {
		m, err := 1, error(nil)
		for m > 0 && err == nil && n < len(c.t.Data) {
			m, err = preadv(c.f.fd, c.t.Data[n:], c.t.Off+int64(n), 0)
			n += m
		}
		if err != nil {
			n = 0
		}
		c.end(n, err)
		return
	}
	more, err := c.fs.through(c, c.t.Data[n:], c.t.Off+int64(n), true)
	if n > 0 && !c.whole {
		err = nil
	}
	if err != nil {
		n, more = 0, 0
	}
	c.end(n+more, err)
}

// through writes to the source itself, what is held back and would be in the way
// before. late: on no thread of the channel's.
func (fs *FS) through(c *cached, data []byte, off int64, late bool) (int, error) {
	w := c.f.back()
	t := &c.t
	t.Off, t.Len, t.Cut = off, int64(len(data)), -1
	if v := w.View(); v.Dirty || c.flags&unix.RWF_APPEND != 0 {
		if size, err := c.f.Size(); err != nil || v.Size > size || off+t.Len > size || c.flags&unix.RWF_APPEND != 0 {
			t.Off, t.Len = 0, -1 // it may become longer: what comes before, first
		}
	}
	if !late {
		if !w.Claim(t) {
			// Once more, elsewhere: this one is given back when it is granted.
			done := make(chan bool, 1)
			c.r.Detach()
			keep := t.Done
			t.Done = func(*wb.Task) { done <- true }
			w.Wait(t)
			go func() {
				<-done
				t.Done = keep
				n, err := fs.granted(c, data, off, true)
				c.end(n, err)
			}()
			return 0, ops.Detached
		}
		return fs.granted(c, data, off, false)
	}
	keep := t.Done
	claim(w, t)
	t.Done = keep
	return fs.granted(c, data, off, true)
}

// granted writes, with the range to itself.
func (fs *FS) granted(c *cached, data []byte, off int64, late bool) (n int, err error) {
	if err = errno(c.t.Err); err == nil {
		if late {
			fs.lateFsetid(c.kill)
		} else {
			if c.flags&(unix.RWF_SYNC|unix.RWF_DSYNC) != 0 && c.r.Elsewhere() {
				c.f.back().Release(&c.t, false)
				return 0, ops.Elsewhere
			}
			fs.fsetid(c.r, !c.kill)
		}
		n, err = c.f.write(data, off, c.flags, c.whole)
	}
	c.f.back().Release(&c.t, err == nil)
	return n, err
}

// lateFsetid is fsetid on a goroutine of its own, which ends soon.
func (fs *FS) lateFsetid(kill bool) {
	if kill && fs.hasFsetid {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		setCap(unix.CAP_FSETID, false)
	}
}

// cacheWrite answers WRITE; f is given back.
func (fs *FS) cacheWrite(r *ops.Request, f *file, in *protocol.WriteIn, data []byte, flags int) (int, error) {
	c := fs.cachedOf(r, f)
	c.writes, c.flags = true, flags
	c.whole = in.WriteFlags&protocol.WriteCache != 0
	c.kill = in.WriteFlags&protocol.WriteKillSuidgid != 0
	if flags&^unix.RWF_APPEND != 0 || f.appendFD || f.flags&unix.O_ACCMODE == unix.O_RDONLY ||
		in.Flags&unix.O_DIRECT != 0 && !c.whole || c.kill && !f.i.plain.Load() && !fs.isPlain(f) {
		n, err := fs.through(c, data, int64(in.Offset), false)
		if err != ops.Detached {
			fs.put(f)
		}
		return n, err
	}
	t := &c.t
	t.Off, t.Data, t.Append = int64(in.Offset), data, flags != 0
	switch {
	case !f.back().Write(t):
		return 0, c.wait()
	case !t.Through:
		n, err := t.N, errno(t.Err)
		fs.put(f)
		return n, err
	}
	n, err := fs.through(c, data[t.N:], t.Off+int64(t.N), false)
	if err != ops.Detached {
		fs.put(f)
	}
	return n, err
}

// isPlain reports whether f has no bits that a write takes, and remembers it while
// anything is held back: the source is ours then.
func (fs *FS) isPlain(f *file) bool {
	// Also without CAP_FSETID: it is the write that takes them, and that is to come.
	plain := f.withoutSetID()
	if plain && f.back().Busy() {
		f.i.plain.Store(true)
	}
	return plain
}

// cacheRead answers READ if anything is held back, and then f is given back, too.
func (fs *FS) cacheRead(r *ops.Request, f *file, dst []byte, off int64) (n int, err error, all bool) {
	c := fs.cachedOf(r, f)
	t := &c.t
	t.Off, t.Data = off, dst
	if !f.back().Read(t) {
		return 0, c.wait(), true
	}
	if t.Through {
		return 0, nil, false
	}
	n, err = t.N, errno(t.Err)
	fs.put(f)
	return n, err, true
}

// cacheSync writes what is held back of f, and with fsync has the source sync it; f
// is given back.
func (fs *FS) cacheSync(r *ops.Request, f *file, fsync, data bool) error {
	c := fs.cachedOf(r, f)
	t := &c.t
	t.Off, t.Len, t.Fsync, t.Data0, t.Handle = 0, -1, fsync, data, &f.told
	if !f.back().Sync(t) {
		return c.wait()
	}
	err := errno(t.Err)
	fs.put(f)
	return err
}

// claim is File.Claim that waits.
func claim(w *wb.File, t *wb.Task) {
	done := make(chan bool, 1)
	t.Done = func(*wb.Task) { done <- true }
	if !w.Claim(t) {
		w.Wait(t)
		<-done
	}
}

// written waits until what is held back has been written, and returns what went
// wrong meanwhile.
func written(w *wb.File) error {
	if !ownCache || w == nil || !w.Busy() {
		return nil
	}
	done := make(chan bool, 1)
	t := &wb.Task{Len: -1, Done: func(*wb.Task) { done <- true }}
	if !w.Sync(t) {
		w.Wait(t)
		<-done
	}
	return errno(t.Err)
}

// later has do called now if nothing is held back of w, else on a goroutine when it
// has been written, with what went wrong then. do answers the whole request.
func (fs *FS) later(r *ops.Request, w *wb.File, do func(late bool, err error) (int, error)) (int, error) {
	if !ownCache || w == nil || !w.Busy() {
		return do(false, nil)
	}
	r.Detach()
	go func() {
		n, err := do(true, written(w))
		_ = r.Finish(n, err)
	}()
	return 0, ops.Later
}

// alone has do called with the range of w to itself, see wb.File.Claim: now, or on
// a goroutine, and with what went wrong when what is held back was written: then the
// file must stay as it is.
func (fs *FS) alone(r *ops.Request, w *wb.File, off, n, cut int64, do func(late bool, err error) (int, error)) (int, error) {
	if !ownCache || w == nil {
		return do(false, nil)
	}
	t := &wb.Task{Off: off, Len: n, Cut: cut}
	act := func(late bool) (int, error) {
		n, err := do(late, errno(t.Err))
		w.Release(t, err == nil)
		return n, err
	}
	if w.Claim(t) {
		return act(false)
	}
	r.Detach()
	done := make(chan bool, 1)
	t.Done = func(*wb.Task) { done <- true }
	w.Wait(t)
	go func() {
		<-done
		n, err := act(true)
		_ = r.Finish(n, err)
	}()
	return 0, ops.Later
}

// truncNow is O_TRUNC. It waits for what is just being written, and for that only.
func (fs *FS) truncNow(r *ops.Request, i *inode) error {
	if r != nil {
		r.Block()
	}
	w := i.back()
	t := &wb.Task{Len: -1}
	if w != nil {
		claim(w, t)
	}
	err := fs.truncate(nil, i, nil, 0)
	if w != nil {
		w.Release(t, err == nil)
	}
	return err
}

// asWritten makes of the source's st what the writers of i see. It asks the source
// again where what it said may be from before something was written there.
func (fs *FS) asWritten(i *inode, st *unix.Statx_t, gen uint64) {
	w := i.back()
	for w != nil {
		v := w.View()
		if v.Dirty {
			st.Size = uint64(v.Size)
			st.Blocks += uint64(v.Bytes+511) / 512
			t := unix.StatxTimestamp{Sec: v.Mtime / 1e9, Nsec: uint32(v.Mtime % 1e9)}
			st.Mtime = t
			if c := &st.Ctime; t.Sec > c.Sec || t.Sec == c.Sec && t.Nsec > c.Nsec {
				*c = t
			}
			return
		}
		if v.Gen == gen {
			return
		}
		gen = v.Gen
		fd, err := fs.pin(i)
		if err != nil {
			return
		}
		err = statxFD(fd, st)
		fs.unpin(i)
		if err != nil {
			return
		}
	}
}

// anyGen is the gen of a st from who knows when.
const anyGen = ^uint64(0)

// gen is what asWritten wants to know of the time before the source was asked.
func (i *inode) gen() uint64 {
	if w := i.back(); w != nil {
		return w.Gen()
	}
	return 0
}

// doneCache writes what is held back, at the end.
func (fs *FS) doneCache() {
	if fs.writeCache() != nil {
		fs.writeCache().Close(closeWait)
	}
}
