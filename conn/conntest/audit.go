package conntest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fusewire/fusewire/protocol"
)

// Audit compares what a server counts with what the kernel owes it: counts
// returns the lookups of each nodeid, in whatever order and moment, and is called
// until both agree or a tenth of a second has passed, for FORGETs are not
// answered. A nodeid on which they differ is a violation; the root is left out,
// and so is whoever has a count of 0. There must be no client at work.
func (k *Kernel) Audit(counts func() map[uint64]uint64) {
	k.Idle()
	var have, owed map[uint64]uint64
	for end := time.Now().Add(100 * time.Millisecond); ; time.Sleep(time.Millisecond) {
		have, owed = clean(counts()), clean(k.Nlookup())
		if maps.Equal(have, owed) {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	all := maps.Clone(have)
	maps.Copy(all, owed)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if have[id] != owed[id] {
			effect := "the server keeps it for ever"
			if have[id] < owed[id] {
				effect = "the server has forgotten what the kernel still uses: ESTALE, or somebody else's file"
			}
			k.report(&request{nodeid: id}, 0, fmt.Sprintf("the server counts %d lookups, the kernel %d", have[id], owed[id]), effect)
		}
	}
}

// clean is a copy without the root and counts of 0.
func clean(m map[uint64]uint64) map[uint64]uint64 {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(id, n uint64) bool { return id == protocol.RootID || n == 0 })
	return m
}
