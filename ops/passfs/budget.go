package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// The word inode.state:
//
//	63      32  31    30     29          0
//	┌─────────┬──────┬─────┬─────────────┐
//	│  fd + 1 │ used │ die │    pins     │   fd+1 == 0: no descriptor
//	└─────────┴──────┴─────┴─────────────┘
//
// A pin is one compare-and-swap, so requests on one inode share nothing but
// this word and requests on different inodes nothing at all. A descriptor is
// closed only by the swap that finds no pins.
const (
	stUsed = 1 << 31 // pinned since CLOCK's hand came by
	stDie  = 1 << 30 // forgotten: close with the last pin
	stPins = stDie - 1
)

// budget counts the descriptors of the file system, O_PATH references and
// open files alike, and closes the least used references when there are too
// many. CLOCK: a circle of inodes that hold a descriptor; the hand passes
// over those used since it last came by.
type budget struct {
	max     int32
	used    atomic.Int32 // descriptors counted by takeFD
	evicted atomic.Int64 // inodes alive without any descriptor now, roughly

	mu   mutex
	hand *inode
	n    int
}

// pin returns an O_PATH descriptor on i that stays open until unpin.
func (fs *FS) pin(i *inode) (int, error) {
	for {
		s := i.state.Load()
		if s>>32 == 0 {
			return fs.pinAgain(i, 0)
		}
		if i.state.CompareAndSwap(s, (s|stUsed)+1) {
			return int(s>>32) - 1, nil
		}
	}
}

// unpin ends a pin.
func (fs *FS) unpin(i *inode) {
	s := i.state.Add(^uint64(0))
	if s&(stDie|stPins) == stDie && s>>32 != 0 {
		fs.drop(i)
	}
}

// pinAgain is pin for an inode that has lost its descriptor.
func (fs *FS) pinAgain(i *inode, depth int) (int, error) {
	for {
		fd, err := fs.comeBack(i, depth)
		if err != nil {
			return -1, err
		}
		for {
			s := i.state.Load()
			if s>>32 != 0 { // another was faster
				if i.state.CompareAndSwap(s, (s|stUsed)+1) {
					fs.closeFD(fd)
					return int(s>>32) - 1, nil
				}
				continue
			}
			if i.state.CompareAndSwap(s, uint64(fd+1)<<32|(s&stDie)|stUsed|1) {
				if s&stDie == 0 {
					fs.budget.evicted.Add(-1)
				}
				fs.budget.add(i)
				return fd, nil
			}
		}
	}
}

// install gives an inode without a descriptor this one; false if it has one.
func (fs *FS) install(i *inode, fd int) bool {
	for {
		s := i.state.Load()
		if s>>32 != 0 {
			return false
		}
		if i.state.CompareAndSwap(s, uint64(fd+1)<<32|s|stUsed) {
			fs.budget.add(i)
			if s&stDie != 0 {
				fs.drop(i)
			} else {
				fs.budget.evicted.Add(-1)
			}
			return true
		}
	}
}

// kill lets go of a forgotten inode. A request that still pins it (a peer
// that forgets what it uses) keeps the descriptor until it is done.
func (fs *FS) kill(i *inode) {
	if i.isDir() && i.held() && i.mnt.openable {
		// A child may be asked for its parent yet (lookupDots).
		if fd, err := fs.pin(i); err == nil {
			i.takeHandle(fd)
			fs.unpin(i)
		}
	}
	if s := i.state.Or(stDie); s>>32 == 0 {
		fs.budget.evicted.Add(-1)
	}
	fs.drop(i)
	i.mnt.unref(fs)
}

// drop closes the descriptor unless there is none or a pin is on it.
func (fs *FS) drop(i *inode) bool {
	for {
		s := i.state.Load()
		if s>>32 == 0 || s&stPins != 0 {
			return false
		}
		if i.state.CompareAndSwap(s, s&stDie) {
			fs.budget.remove(i)
			fs.closeFD(int(s>>32) - 1)
			return true
		}
	}
}

// takeFD makes room for n descriptors and counts them; each is given back by
// closeFD (or giveFD where it never came to be). It does not fail: with
// everything in use the number goes over the budget, and the reserve below
// RLIMIT_NOFILE is there for that.
func (fs *FS) takeFD(n int32) {
	b := &fs.budget
	if b.used.Add(n) > b.max {
		fs.evict(int(b.used.Load() - b.max))
	}
}

// takeFDHeld is takeFD under a lock that eviction might need.
func (fs *FS) takeFDHeld() { fs.budget.used.Add(1) }

func (fs *FS) giveFD(n int32) { fs.budget.used.Add(-n) }

// closeFD closes a descriptor that takeFD counted. (It and the like are used so
// often that inlining them is 5 KB of a program.)
//
//go:noinline
func (fs *FS) closeFD(fd int) {
	unix.Close(fd)
	fs.budget.used.Add(-1)
}

// full reports whether err says that descriptors have run out and some could
// be freed, so that the call is worth another try.
func (fs *FS) full(err error) bool {
	return (err == unix.EMFILE || err == unix.ENFILE) && fs.evict(8) > 0
}

// evict closes up to want references and returns how many.
func (fs *FS) evict(want int) (got int) {
	b := &fs.budget
	defer b.mu.hold()()
	for steps := 2*b.n + 2; steps > 0 && got < want && b.hand != nil; steps-- {
		i := b.hand
		b.hand = i.next
		s := i.state.Load()
		if s>>32 == 0 || s&(stPins|stDie) != 0 {
			continue
		}
		if s&stUsed != 0 {
			i.state.And(^uint64(stUsed))
			continue
		}
		fd := int(s>>32) - 1
		if !fs.canComeBack(i, fd) || !i.state.CompareAndSwap(s, s&stDie) {
			continue
		}
		b.unlink(i)
		b.evicted.Add(1)
		fs.closeFD(fd)
		got++
	}
	return got
}

// add puts i into the circle, just behind the hand.
func (b *budget) add(i *inode) {
	defer b.mu.hold()()
	if i.next != nil || i.state.Load()>>32 == 0 {
		return
	}
	if b.hand == nil {
		i.next, i.prev = i, i
		b.hand = i
	} else {
		i.next, i.prev = b.hand, b.hand.prev
		i.prev.next, i.next.prev = i, i
	}
	b.n++
}

func (b *budget) remove(i *inode) {
	b.mu.Lock()
	b.unlink(i)
	b.mu.Unlock()
}

func (b *budget) unlink(i *inode) {
	if i.next == nil || i.state.Load()>>32 != 0 {
		return // not in it, or back with another descriptor
	}
	if i.next == i {
		b.hand = nil
	} else {
		i.prev.next, i.next.prev = i.next, i.prev
		if b.hand == i {
			b.hand = i.next
		}
	}
	i.next, i.prev = nil, nil
	b.n--
}
