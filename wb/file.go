package wb

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// Owner is the open back-end file through which dirty data is written. The cache
// keeps the one that the first write came with until all is written.
type Owner interface {
	// FD is a descriptor that can be written to.
	FD() int
	// Size is the size of the file in the back end, in bytes.
	Size() (int64, error)
	// Keep is called before Drop, which is called when the cache does without it;
	// false: it cannot be kept any more.
	Keep() bool
	Drop()
}

// File is what is held back of a file of the back end. Nobody else changes the
// file as long as anything is. All methods may be called from any goroutine, but
// none from the Done of a Task that would wait for itself.
type File struct {
	_   [0]func() // not comparable: no code for it
	c   *Cache
	key uint64

	busy  atomic.Bool   // has dirty data, or tasks
	gen   atomic.Uint64 // of Cache.gens: when it was made, or became clean
	bytes atomic.Int64  // dirty, in flights too

	mu      mutex
	dirty   []*chunk // sorted by index
	flights []*flight
	landed  []*chunk // written, the oldest first, for reads that began before
	tasks   []*Task  // that wait or are at work, in the order they came
	reads   uint64   // that were begun
	seq     uint64   // of the last write
	goal    uint64   // flush what is not younger
	rushing bool     // something dirty may not be younger than goal
	count   int32    // chunks, of all three kinds
	waiting int      // tasks that wait for room
	ended   int64    // bytes that flights have had, ever
	owner   Owner
	size    int64 // as the writers see it, while there is dirty data
	back    int64 // the back end's, at least
	mtime   int64 // of the last write, ns
	errs    errseq

	// Under Cache.mu.
	next, prev *File
	since      int64
}

// File returns a new one. key is what the engine knows it by (aio.Op.Key).
func (c *Cache) File(key uint64) *File {
	f := &File{c: c, key: key}
	f.gen.Store(c.gens.Add(1))
	return f
}

// Open begins a handle: errors from here on are told to it once, and the last one
// if nobody was told.
func (f *File) Open(h *Handle) {
	f.mu.Lock()
	f.errs.sample(h)
	f.mu.Unlock()
}

// Check returns the error that h has not been told of, 0 if there is none.
func (f *File) Check(h *Handle) unix.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errs.check(h)
}

// Busy reports whether there is dirty data, or something waits or is at work.
// If not, the file is the back end's alone.
func (f *File) Busy() bool { return f.busy.Load() }

// View is the file as its writers see it.
type View struct {
	Dirty bool   // the rest counts
	Gen   uint64 // not 0, no other file's, and another one whenever dirty data has become clean
	Size  int64
	Mtime int64 // and ctime, ns since the epoch: of the last write
	Bytes int64 // held back: the back end may not have counted them
}

// View returns it. Who asks the back end first, and then finds that Gen has changed
// since an earlier View while the file is not Dirty, has to ask anew.
func (f *File) View() (v View) {
	f.mu.Lock()
	if f.owner != nil {
		v = View{Dirty: true, Size: f.size, Mtime: f.mtime, Bytes: f.bytes.Load()}
	}
	v.Gen = f.gen.Load()
	f.mu.Unlock()
	return v
}

// Gen is View's.
func (f *File) Gen() uint64 { return f.gen.Load() }

// start has all of it written that is dirty now.
func (f *File) start() {
	var w work
	f.mu.Lock()
	f.rush()
	f.pump(&w)
	f.mu.Unlock()
	f.c.perform(&w)
}

// Start has written what is dirty, and does not wait for it.
func (f *File) Start() { f.start() }

func (f *File) rush() {
	if f.goal < f.seq {
		f.goal, f.rushing = f.seq, true
	}
}

// find returns where in dirty index is, or would be.
func (f *File) find(index int64) (int, bool) {
	d := f.dirty
	if n := len(d); n == 0 || d[n-1].index < index {
		return n, false
	} else if d[n-1].index == index {
		return n - 1, true
	}
	lo, hi := 0, len(d)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); d[m].index < index {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(d) && d[lo].index == index
}

// insert puts ch at i of dirty.
func (f *File) insert(i int, ch *chunk) {
	f.dirty = append(f.dirty, nil)
	copy(f.dirty[i+1:], f.dirty[i:])
	f.dirty[i] = ch
}

// remove takes i to j out of dirty.
func (f *File) remove(i, j int) {
	n := i + copy(f.dirty[i:], f.dirty[j:])
	clear(f.dirty[n:])
	f.dirty = f.dirty[:n]
}

// release gives a chunk back.
func (f *File) release(ch *chunk) {
	f.count--
	f.c.give(ch)
}

// hold takes the file out of rest.
func (f *File) hold(o Owner, size int64) {
	f.owner, f.size, f.back = o, size, size
	f.busy.Store(true)
	f.c.list(f)
}

// settle looks, after any change, whether all is clean, or quiet.
func (f *File) settle(w *work) {
	if f.owner != nil && len(f.dirty) == 0 && len(f.flights) == 0 {
		w.drop, f.owner = f.owner, nil
		f.gen.Store(f.c.gens.Add(1))
		f.c.unlist(f)
		f.rushing = false
		if cap(f.dirty) > 64 {
			f.dirty = nil // a file that is not written to takes little memory
		}
	}
	f.busy.Store(f.owner != nil || len(f.tasks) > 0)
}
