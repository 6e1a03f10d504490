// Package sg holds the memory that requests are served from.
//
// An [Arena] is one reservation of address space cut into equal, page-aligned
// slots. Their number is a hard cap: when all are taken [Arena.Get] says so and
// the caller stops taking work, which is all the back-pressure there is.
//
//	reserve ├── slot 0 ──┼── slot 1 ──┼── slot 2 ──┼ ... ┤  maxSlots * slotSize
//	        ▓▓▓░░░░░░░░░░░▓░░░░░░░░░░░░░░░░░░░░░░░░░        ▓ pages touched so far
//
// A page costs memory once it has been touched. [Buf.Release] and [Arena.Trim]
// give pages back when a slot is idle; neither belongs on a hot path.
package sg
