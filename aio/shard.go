package aio

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/clock"
)

const shards = 64

// shard counts the ops of the Keys that fall to it, in one word, so that an op that
// is tried at once touches nothing else of the scheduler's and no other shard's:
//
//	done at once (32 bits) | closed (1) | queued (15) | being tried (16)
//
// An op is tried only when nothing of its shard is queued: what may be submitted
// while it is being tried is submitted beside it, and no order is owed.
type shard struct {
	word  atomic.Uint64
	wraps atomic.Uint64 // of the upper half
	_     [48]byte      // a cache line each
}

const (
	tryOne   = 1
	tryMask  = 1<<16 - 1
	slowOne  = 1 << 16
	slowMask = 1<<15 - 1 // after shifting
	shut     = 1 << 31
	doneOne  = 1 << 32
)

func (s *Scheduler) shard(key uint64) *shard { return &s.shards[hash(key)%shards] }

// enter announces a try, and reports whether it may be.
func (h *shard) enter() bool { return h.word.Add(tryOne)&(slowMask<<16|shut) == 0 }

// giveUp is the end of an unsuccessful try.
func (h *shard) giveUp() { h.word.Add(^uint64(tryOne - 1)) }

// leave is the end of a successful one.
func (h *shard) leave() {
	if h.word.Add(doneOne-tryOne)>>32 == 0 {
		h.wraps.Add(1)
	}
}

// slow counts queued ops.
func (h *shard) slow(n int64) { h.word.Add(uint64(n * slowOne)) }

func (h *shard) close() { h.word.Or(shut) }

// done is how many ops were done at once.
func (h *shard) done() uint64 {
	for {
		wraps := h.wraps.Load()
		n := h.word.Load() >> 32
		if h.wraps.Load() == wraps {
			return wraps<<32 + n
		}
	}
}

// drain waits until nothing is being tried. Tries do not block, so this is soon;
// they do not tell either, as that would cost each of them.
func (h *shard) drain() {
	for d := clock.Microsecond; h.word.Load()&tryMask != 0; d = min(2*d, clock.Millisecond) {
		clock.Sleep(d)
	}
}
