package passfs

import "sync/atomic"

// nameGuess guesses whether the kernel knows the file of a name, from a bit for
// each (directory, name) that was looked up and not forgotten since. Names that
// share a bit make it guess wrong, which decides about no more than the order of
// system calls (lookupAt).
type nameGuess [nameSlots / 32]atomic.Uint32

const nameSlots = 1 << 18 // 32 KiB

// openedBefore in inode.hint: it has been opened, and may be again. (A lookup by
// another name may lose it.)
const openedBefore = 1 << 31

// nameSlot returns the bit of a name, never 0 (FNV-1a).
func nameSlot(nodeid uint64, name []byte) uint32 {
	h := 0xcbf29ce484222325 ^ nodeid*0x9e3779b97f4a7c15
	for _, c := range name {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return max(uint32(h>>40)%nameSlots, 1)
}

func (g *nameGuess) has(slot uint32) bool { return g[slot/32].Load()&(1<<(slot%32)) != 0 }
func (g *nameGuess) set(slot uint32)      { g[slot/32].Or(1 << (slot % 32)) }

func (g *nameGuess) clear(slot uint32) {
	if slot != 0 {
		g[slot/32].And(^uint32(1 << (slot % 32)))
	}
}
