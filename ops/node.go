package ops

import (
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Nodes is a table from nodeid to a file system's own object, with the number
// of lookups the kernel holds. A nodeid is a slot's index (low 32 bits) and how
// often the slot has been used before (high 32 bits), so none is ever given
// twice and a stale or made-up one is recognised; a slot whose use count is
// spent is given up. The root is nodeid 1.
//
// Get and Ref take no lock; Add and a Forget that removes take one for a few
// instructions. Slots come in chunks that never move: 24 bytes for each node
// that was alive at the same time, 20 on 32-bit. The zero Nodes is empty and
// ready; it must not be copied.
type Nodes[T any] struct {
	dir  atomic.Pointer[[]*nodeChunk[T]]
	root atomic.Pointer[T]
	live atomic.Int64
	over atomic.Uint64

	mu   sync.Mutex
	free uint32 // first free slot, 0: none
	next uint32 // first slot never used, less firstSlot
	last uint32 // the last use of a slot, less MaxUint32 (so that 0 is all of them)
}

const (
	rootID     = 1
	firstSlot  = 2 // 0 is no nodeid, 1 is the root
	chunkSlots = 256
	useShift   = 32
	countMask  = 1<<32 - 1
	carryUnit  = 1 << 31
)

type nodeChunk[T any] [chunkSlots]nodeSlot[T]

// nodeSlot. A slot is free when its count is 0; its use is that of the next
// node then. link is under Nodes.mu.
type nodeSlot[T any] struct {
	state atomic.Uint64 // use, count
	v     atomic.Pointer[T]
	link  uint32 // free: the next free slot. Else: lookups beyond count, in carryUnits
}

// slot returns the slot of a nodeid, nil if there is none with that index.
func (t *Nodes[T]) slot(nodeid uint64) *nodeSlot[T] {
	i := uint32(nodeid) - firstSlot
	dir := t.dir.Load()
	if dir == nil || uint64(i/chunkSlots) >= uint64(len(*dir)) {
		return nil
	}
	return &(*dir)[i/chunkSlots][i%chunkSlots]
}

// SetRoot sets the object of nodeid 1, which is not counted and not forgotten.
func (t *Nodes[T]) SetRoot(v *T) { t.root.Store(v) }

// Add enters v as a new node with nlookup (at least 1) lookups and returns its
// nodeid. unix.ENFILE: 2^32 slots are in use or spent.
func (t *Nodes[T]) Add(v *T, nlookup uint64) (nodeid uint64, err error) {
	if v == nil || nlookup == 0 || nlookup > math.MaxInt64 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	i := t.free
	var s *nodeSlot[T]
	if i != 0 {
		s = t.slot(uint64(i))
		t.free = s.link
	} else {
		if t.next == math.MaxUint32-firstSlot {
			t.mu.Unlock()
			return 0, unix.ENFILE
		}
		i = t.next + firstSlot
		if t.next%chunkSlots == 0 {
			t.grow()
		}
		t.next++
		s = t.slot(uint64(i))
	}
	count, carry := split(nlookup)
	s.link = carry
	t.mu.Unlock()
	// The slot is this caller's. v first: who sees the count sees v.
	use := s.state.Load() >> useShift
	s.v.Store(v)
	s.state.Store(use<<useShift | count)
	t.live.Add(1)
	return use<<useShift | uint64(i), nil
}

// grow adds a chunk. Readers keep using the directory they have; its spare room
// is written once, before a longer one is published.
func (t *Nodes[T]) grow() {
	var dir []*nodeChunk[T]
	if p := t.dir.Load(); p != nil {
		dir = *p
	}
	dir = append(dir, new(nodeChunk[T]))
	t.dir.Store(&dir)
}

// split divides a number of lookups into what a slot's count holds and units of
// carryUnit beyond. The count of n > 0 is not 0.
func split(n uint64) (count uint64, carry uint32) {
	if n <= countMask {
		return n, 0
	}
	count, carry = n%carryUnit, uint32(n/carryUnit)
	if count == 0 {
		count, carry = carryUnit, carry-1
	}
	return count, carry
}

// Get returns the object of nodeid, nil if there is none (any more).
func (t *Nodes[T]) Get(nodeid uint64) *T {
	if nodeid == rootID {
		return t.root.Load()
	}
	s := t.slot(nodeid)
	if s == nil {
		return nil
	}
	// v before state: a slot's use goes up before its v changes, so a v that
	// was changed under our feet comes with a use that does not match.
	v := s.v.Load()
	if x := s.state.Load(); x>>useShift != nodeid>>useShift || x&countMask == 0 {
		return nil
	}
	return v
}

// Ref counts one more lookup of nodeid. False: it is not there, or has been
// forgotten meanwhile, and the caller must Add anew.
func (t *Nodes[T]) Ref(nodeid uint64) bool {
	if nodeid == rootID {
		return true
	}
	s := t.slot(nodeid)
	if s == nil {
		return false
	}
	for {
		x := s.state.Load()
		switch {
		case x>>useShift != nodeid>>useShift || x&countMask == 0:
			return false
		case x&countMask == countMask:
			t.carry(s, x)
		case s.state.CompareAndSwap(x, x+1):
			return true
		}
	}
}

// carry moves half of a full count out of the way.
func (t *Nodes[T]) carry(s *nodeSlot[T], x uint64) {
	t.mu.Lock()
	if s.state.CompareAndSwap(x, x-carryUnit) {
		s.link++
	}
	t.mu.Unlock()
}

// Forget takes back nlookup lookups of nodeid. If none is left, the node is
// removed: gone is true and v is its object, for the caller to free. v is nil
// if nodeid is unknown. More than was counted is taken as all there was, and
// noted in OverForgets.
func (t *Nodes[T]) Forget(nodeid, nlookup uint64) (v *T, gone bool) {
	if nodeid == rootID {
		return t.root.Load(), false
	}
	s := t.slot(nodeid)
	for s != nil {
		v = s.v.Load()
		x := s.state.Load()
		if x>>useShift != nodeid>>useShift || x&countMask == 0 {
			break
		}
		if nlookup >= x&countMask {
			v, gone, ok := t.drop(s, nodeid, nlookup)
			if !ok {
				break
			}
			return v, gone
		}
		if s.state.CompareAndSwap(x, x-nlookup) {
			return v, false
		}
	}
	t.over.Add(1)
	return nil, false
}

// drop is Forget where the count alone does not suffice.
func (t *Nodes[T]) drop(s *nodeSlot[T], nodeid, nlookup uint64) (v *T, gone, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		v = s.v.Load()
		x := s.state.Load()
		use, count := x>>useShift, x&countMask
		if use != nodeid>>useShift || count == 0 {
			return nil, false, false
		}
		total := count + uint64(s.link)*carryUnit
		if nlookup < total {
			count, carry := split(total - nlookup)
			if s.state.CompareAndSwap(x, use<<useShift|count) {
				s.link = carry
				return v, false, true
			}
			continue
		}
		if !s.state.CompareAndSwap(x, (use+1)<<useShift) {
			continue // a Ref came in between
		}
		if nlookup > total {
			t.over.Add(1)
		}
		t.live.Add(-1)
		s.v.Store(nil)
		if use < math.MaxUint32-uint64(t.last) {
			s.link, t.free = t.free, uint32(nodeid)
		}
		return v, true, true
	}
}

// Len returns the number of nodes, the root not counted.
func (t *Nodes[T]) Len() int { return int(t.live.Load()) }

// OverForgets returns how many Forgets were for a node unknown or for more
// lookups than were counted: 0 unless somebody's accounting is wrong.
func (t *Nodes[T]) OverForgets() uint64 { return t.over.Load() }

// Each calls f for each node, the root not included, until f returns false.
// Nodes added or removed meanwhile may be seen or not. f may call any method.
func (t *Nodes[T]) Each(f func(nodeid uint64, v *T) bool) {
	dir := t.dir.Load()
	if dir == nil {
		return
	}
	for c, chunk := range *dir {
		for i := range chunk {
			s := &chunk[i]
			v := s.v.Load()
			x := s.state.Load()
			if v == nil || x&countMask == 0 || s.v.Load() != v {
				continue
			}
			id := x>>useShift<<useShift | uint64(c*chunkSlots+i+firstSlot)
			if !f(id, v) {
				return
			}
		}
	}
}
