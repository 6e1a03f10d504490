package ops

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// nodeTable is what is behind Nodes.
type nodeTable struct {
	_    [0]func() // not comparable: no code for it
	dir  atomic.Pointer[[]*nodeChunk]
	root atomic.Pointer[object]
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

type nodeChunk [chunkSlots]nodeSlot

// nodeSlot. A slot is free when its count is 0; its use is that of the next
// node then. link is under the table's mu.
type nodeSlot struct {
	_     [0]func()     // not comparable: no code for it
	state atomic.Uint64 // use, count
	v     atomic.Pointer[object]
	link  uint32 // free: the next free slot. Else: lookups beyond count, in carryUnits
}

// slot returns the slot of a nodeid, nil if there is none with that index.
func (t *nodeTable) slot(nodeid uint64) *nodeSlot {
	i := uint32(nodeid) - firstSlot
	dir := t.dir.Load()
	if dir == nil || uint64(i/chunkSlots) >= uint64(len(*dir)) {
		return nil
	}
	return &(*dir)[i/chunkSlots][i%chunkSlots]
}

// add: see Nodes.Add.
func (t *nodeTable) add(v *object, nlookup uint64) (nodeid uint64, err error) {
	if v == nil || nlookup == 0 || nlookup > math.MaxInt64 {
		return 0, unix.EINVAL
	}
	t.mu.Lock()
	i := t.free
	var s *nodeSlot
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
func (t *nodeTable) grow() {
	var dir []*nodeChunk
	if p := t.dir.Load(); p != nil {
		dir = *p
	}
	dir = append(dir, new(nodeChunk))
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

// get: see Nodes.Get.
func (t *nodeTable) get(nodeid uint64) *object {
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

// ref: see Nodes.Ref.
func (t *nodeTable) ref(nodeid uint64) bool {
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
func (t *nodeTable) carry(s *nodeSlot, x uint64) {
	t.mu.Lock()
	if s.state.CompareAndSwap(x, x-carryUnit) {
		s.link++
	}
	t.mu.Unlock()
}

// forget: see Nodes.Forget.
func (t *nodeTable) forget(nodeid, nlookup uint64) (v *object, gone bool) {
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

// drop is forget where the count alone does not suffice.
func (t *nodeTable) drop(s *nodeSlot, nodeid, nlookup uint64) (v *object, gone, ok bool) {
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

// each: see Nodes.Each.
func (t *nodeTable) each(f func(nodeid uint64, v *object) bool) {
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
