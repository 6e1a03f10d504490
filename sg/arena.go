package sg

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// Error is the one error of this package. It unwraps to a unix.Errno.
type Error struct {
	_ [0]func() // not comparable: no code for it

	Op  string // "arena"
	Err error  // unix.Errno
	N   int    // bytes concerned
}

// Error returns "op N bytes: errno".
func (e *Error) Error() string {
	return e.Op + " " + strconv.Itoa(e.N) + " bytes: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Arena is a hard-capped pool of equal slots of anonymous memory. All methods
// may be called from any goroutine.
type Arena struct {
	size int // of a slot, a multiple of the page size
	page int
	mem  []byte // the whole reservation

	mu     sync.Mutex
	free   []*Buf // LIFO: the slot used last is the warmest
	all    []*Buf // every slot ever handed out, by index
	max    int
	inUse  int
	peak   int
	idle   int // the sum of high over free
	keep   int // the bound of idle
	closed bool

	returned atomic.Uint64
}

// Buf is one slot. Between Get and Put it belongs to whoever got it.
type Buf struct {
	a     *Arena
	mem   []byte
	index int
	high  int // bytes from the start that may have been touched since the last release
	taken bool
}

// NewArena reserves address space for maxSlots slots of slotSize bytes, rounded
// up to whole pages. No memory is used until slots are written to. The error
// unwraps to EINVAL for sizes that are not positive or overflow, else to what
// mmap(2) said.
func NewArena(slotSize, maxSlots int) (*Arena, error) {
	page := unix.Getpagesize()
	const maxInt = int(^uint(0) >> 1)
	if slotSize <= 0 || maxSlots <= 0 || slotSize > maxInt-page {
		return nil, &Error{Op: "arena", Err: unix.EINVAL, N: slotSize}
	}
	size := (slotSize + page - 1) / page * page
	if maxSlots > maxInt/size {
		return nil, &Error{Op: "arena", Err: unix.EINVAL, N: slotSize}
	}
	mem, err := mapAnon(size * maxSlots)
	if err != nil {
		return nil, &Error{Op: "arena", Err: err, N: size * maxSlots}
	}
	// One touched byte must not cost a huge page: a slot is mostly untouched.
	// Kernels without transparent huge pages refuse this, which is as good.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
	return &Arena{size: size, page: page, mem: mem, max: maxSlots, keep: maxInt}, nil
}

// SlotSize returns the size of a slot in bytes, a multiple of the page size.
func (a *Arena) SlotSize() int { return a.size }

// Get takes a slot, the one put back last if any. It reports false when all
// slots are taken or the arena is closed. The contents are whatever the last
// user left, or zero.
func (a *Arena) Get() (*Buf, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b *Buf
	switch n := len(a.free); {
	case a.closed:
		return nil, false
	case n > 0:
		b = a.free[n-1]
		a.free = a.free[:n-1]
		a.idle -= b.high
	case len(a.all) < a.max:
		i := len(a.all)
		b = &Buf{a: a, index: i, mem: a.mem[i*a.size : (i+1)*a.size : (i+1)*a.size]}
		a.all = append(a.all, b)
	default:
		return nil, false
	}
	b.taken = true
	a.inUse++
	a.peak = max(a.peak, a.inUse)
	return b, true
}

// Put gives a slot back. Putting one twice, or one of another arena, does
// nothing.
func (a *Arena) Put(b *Buf) {
	if b == nil || b.a != a {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !b.taken {
		return
	}
	b.taken = false
	a.inUse--
	if b.high > a.keep-a.idle {
		b.Release(0)
	}
	a.idle += b.high
	a.free = append(a.free, b)
	if a.closed && a.inUse == 0 {
		_ = a.unmap()
	}
}

// Trim returns the pages beyond the first keep bytes of every free slot to the
// system. It looks only at slots that were touched beyond that.
func (a *Arena) Trim(keep int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mem == nil {
		return
	}
	for _, b := range a.free {
		a.idle -= b.high
		b.Release(keep)
		a.idle += b.high
	}
}

// KeepIdle bounds the touched bytes of free slots: from now on a slot that is put
// back beyond that returns its pages at once. A caller that learns of memory
// pressure lowers it and calls Trim; without it there is no bound.
func (a *Arena) KeepIdle(bytes int) {
	a.mu.Lock()
	a.keep = max(bytes, 0)
	a.mu.Unlock()
}

// Close gives the address space back as soon as no slot is taken: now, or with
// the last Put. Get fails from here on. A second Close does nothing.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.inUse > 0 {
		return nil
	}
	return a.unmap()
}

func (a *Arena) unmap() error {
	if a.mem == nil {
		return nil
	}
	mem := a.mem
	a.mem = nil
	for _, b := range a.all {
		b.mem = nil
	}
	if err := unmap(mem); err != nil {
		return &Error{Op: "arena", Err: err, N: len(mem)}
	}
	return nil
}

// Stats returns the cap, how many slots are taken, and the most that ever were.
func (a *Arena) Stats() (slots, inUse, peak int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.max, a.inUse, a.peak
}

// Memory returns how many bytes of free slots may be in memory, and how many
// bytes were ever returned to the system. Slots that are taken may have as much
// as they are long.
func (a *Arena) Memory() (idle int, returned uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle, a.returned.Load()
}

// Bytes returns the whole slot, page aligned. It is nil once the arena is gone.
func (b *Buf) Bytes() []byte { return b.mem }

// Index returns the slot's number, from 0 to the cap less one, the same each
// time this slot is handed out.
func (b *Buf) Index() int { return b.index }

// Touched notes that the first n bytes may have been written to, by the owner
// or by the kernel on its behalf. Release and Trim rely on it.
func (b *Buf) Touched(n int) {
	if n > b.high {
		b.high = min(n, len(b.mem))
	}
}

// High returns how many bytes may have been touched since the last Release.
func (b *Buf) High() int { return b.high }

// Release returns the pages beyond the first keep bytes to the system; they
// read as zero afterwards. Only the owner may call it, and never while a system
// call may be writing to the slot.
func (b *Buf) Release(keep int) {
	page := b.a.page
	keep = max(keep, 0)
	if b.high <= keep || keep > len(b.mem) {
		return
	}
	from := (keep + page - 1) / page * page
	to := (b.high + page - 1) / page * page
	if from < to {
		if unix.Madvise(b.mem[from:to], unix.MADV_DONTNEED) != nil {
			return // the pages stay: not an error, only memory
		}
		b.a.returned.Add(uint64(to - from))
	}
	b.high = min(b.high, from)
}
