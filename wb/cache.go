package wb

import (
	"strconv"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/sg"
	"github.com/fusewire/fusewire/sg/clock"
)

// Config is what a Cache is told. The zero value is a sound one.
type Config struct {
	// Bytes limits the memory for what has not been written, in whole chunks. 0 is
	// 64 MiB. FileBytes is the same for one file; 0 is half of Bytes. From half of
	// either on, writers are slowed down; from a quarter on, data is written.
	Bytes, FileBytes int
	// Age is how long data is held back at most before it is written. nil is 5 s;
	// negative: until something else has it written.
	Age clock.Duration
	// MaxWrite is how much is written at once. 0 is 4 MiB.
	MaxWrite int
	// FileOps is how many ops of a file are with the engine at a time, those of
	// reads and syncs not counted. 0 is 4. Those that make the file longer take turns.
	FileOps int
	// Files limits how many files may have dirty data, each of which holds its
	// Owner. 0 is 1024.
	Files int
	// Tries is how often data is written that cannot be, before it is given up. 0 is 3.
	Tries int
	// Log, if set, is given a line for what is given up. Called from any thread.
	Log func(string)
}

// chunkSize is how large a chunk is, or a page if that is larger.
const chunkSize = 16 << 10

// Cache holds back what is written to files. See the package's comment.
type Cache struct {
	_        [0]func() // not comparable: no code for it
	engine   Engine
	arena    *sg.Arena
	size     int   // of a chunk
	max      int32 // chunks
	fileMax  int32
	age      int64 // ns
	maxWrite int
	fileOps  int
	files    int32
	tries    int
	log      func(string)
	now      func() int64 // wall clock, ns

	used    atomic.Int32 // chunks
	gens    atomic.Uint64
	nDirty  atomic.Int32 // files in the list
	closing atomic.Bool
	stats   stats

	mu          mutex
	chunks      []*chunk // by slot of the arena
	first, last *File    // that have dirty data, the oldest first
	free        *flight
	ticking     bool
}

// Error is the error of New. It unwraps to a unix.Errno.
type Error struct {
	Op  string
	Err error
}

func (e *Error) Error() string { return "wb: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Err }

// New returns a cache that writes through engine, which stays the caller's.
func New(engine Engine, c Config) (*Cache, error) {
	w := &Cache{engine: engine, size: max(chunkSize, unix.Getpagesize()), age: int64(clock.Of(c.Age)), maxWrite: c.MaxWrite,
		fileOps: c.FileOps, files: int32(c.Files), tries: c.Tries, log: c.Log, now: wallClock}
	if c.Bytes <= 0 {
		c.Bytes = 64 << 20
	}
	if c.FileBytes <= 0 {
		c.FileBytes = c.Bytes / 2
	}
	w.max = int32(max(c.Bytes/w.size, 4))
	w.fileMax = min(w.max, int32(max(c.FileBytes/w.size, 2)))
	if c.Age == nil {
		w.age = int64(5 * clock.Second)
	}
	if w.maxWrite <= 0 {
		w.maxWrite = 4 << 20
	}
	if w.fileOps <= 0 {
		w.fileOps = 4
	}
	if w.files <= 0 {
		w.files = 1024
	}
	if w.tries <= 0 {
		w.tries = 3
	}
	var err error
	if w.arena, err = sg.NewArena(w.size, int(w.max)); err != nil {
		return nil, &Error{Op: "memory", Err: unix.ENOMEM}
	}
	w.chunks = make([]*chunk, w.max)
	return w, nil
}

// wallClock is the clock that file systems stamp with: a finer one would be ahead of
// them.
func wallClock() int64 {
	var ts unix.Timespec
	const realtimeCoarse = 5                   // CLOCK_REALTIME_COARSE
	_ = unix.ClockGettime(realtimeCoarse, &ts) // cannot fail
	return ts.Nano()
}

// take returns an empty chunk, nil if there is none.
func (c *Cache) take() *chunk {
	if c.used.Add(1) > c.max {
		c.used.Add(-1)
		return nil
	}
	b, ok := c.arena.Get()
	if !ok {
		c.used.Add(-1)
		return nil
	}
	p := &c.chunks[b.Index()] // whose slot is ours
	if *p == nil {
		*p = &chunk{buf: b, mem: b.Bytes()}
	}
	ch := *p
	ch.fails, ch.bad, ch.spans = 0, false, ch.spans[:0]
	return ch
}

// give takes a chunk back.
func (c *Cache) give(ch *chunk) {
	c.arena.Put(ch.buf)
	c.used.Add(-1)
}

// list notes that f has dirty data from now on.
func (c *Cache) list(f *File) {
	c.mu.Lock()
	f.since = c.now()
	c.append(f)
	c.nDirty.Add(1)
	if !c.ticking && c.age > 0 {
		c.ticking = true
		go c.tick()
	}
	c.mu.Unlock()
}

func (c *Cache) append(f *File) {
	f.prev, f.next = c.last, nil
	if c.last != nil {
		c.last.next = f
	} else {
		c.first = f
	}
	c.last = f
}

func (c *Cache) remove(f *File) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		c.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		c.last = f.prev
	}
}

// unlist notes that f has none any more.
func (c *Cache) unlist(f *File) {
	c.mu.Lock()
	c.remove(f)
	c.nDirty.Add(-1)
	c.mu.Unlock()
}

// oldest returns the file that has had dirty data for longest, and makes it the
// youngest; nil if none has any from before the time before.
func (c *Cache) oldest(before int64) *File {
	c.mu.Lock()
	f := c.first
	if f != nil && f.since >= before {
		f = nil
	}
	if f != nil {
		c.remove(f)
		c.append(f)
		f.since = max(f.since, c.now()) // a clock set back keeps the order
	}
	c.mu.Unlock()
	return f
}

// tick is a goroutine that lives while there is dirty data.
func (c *Cache) tick() {
	pause := min(max(clock.Nanos(c.age/4), 5*clock.Millisecond), clock.Second)
	for {
		clock.Sleep(pause)
		c.expire()
		c.mu.Lock()
		if c.first == nil {
			c.ticking = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

// expire has written what has been held back for too long.
func (c *Cache) expire() {
	now := c.now()
	for f := c.oldest(now - c.age); f != nil; f = c.oldest(now - c.age) {
		f.start()
	}
}

// press has the oldest file written: there is much in all.
func (c *Cache) press() {
	if f := c.oldest(1<<63 - 1); f != nil {
		f.start()
	}
}

// Start has all written that is held back, and does not wait for it.
func (c *Cache) Start() {
	for n := c.nDirty.Load(); n > 0; n-- {
		c.press()
	}
}

// Close writes what is held back, waits for that, but no longer than wait, and
// returns how many bytes were lost: given up, or not written by then. All requests
// have been answered when it is called.
func (c *Cache) Close(wait clock.Duration) (lost int64) {
	left := clock.Of(wait)
	c.closing.Store(true) // what fails is tried as often as it may be
	for pause := clock.Nanos(0); c.nDirty.Load() > 0 && left >= 0; left -= pause {
		c.Start()
		pause = min(pause+pause/4+50*clock.Microsecond, 20*clock.Millisecond)
		clock.Sleep(pause)
	}
	c.mu.Lock()
	for f := c.first; f != nil; f = f.next {
		lost += f.bytes.Load()
	}
	c.mu.Unlock()
	if lost > 0 {
		c.say(lost, unix.ETIMEDOUT)
	}
	c.arena.Close() // with the last chunk
	return lost + c.stats.lost.Load()
}

func (c *Cache) say(bytes int64, err unix.Errno) {
	if c.log != nil {
		c.log("write-back cache: " + strconv.FormatInt(bytes, 10) + " bytes lost: " + err.Error())
	}
}

// stats are Stats in the making.
type stats struct {
	writes, written, ops, failed, lost, slowed, passed atomic.Int64
}

// Stats is what a cache has done, and has in hand.
type Stats struct {
	Writes  int64 // that were held back
	Written int64 // bytes that reached the back end
	Ops     int64 // in so many ops
	Failed  int64 // ops that failed
	Lost    int64 // bytes that were given up
	Slowed  int64 // writes that had to wait
	Passed  int64 // writes that found no room and were to go around the cache

	Memory int64 // bytes of chunks in use
	Files  int   // that have dirty data
}

// Stats may be called at any time.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{Writes: s.writes.Load(), Written: s.written.Load(), Ops: s.ops.Load(), Failed: s.failed.Load(), Lost: s.lost.Load(),
		Slowed: s.slowed.Load(), Passed: s.passed.Load(), Memory: int64(c.used.Load()) * int64(c.size), Files: int(c.nDirty.Load())}
}
