// Package sg holds the memory that requests are served from, and moves it
// without copying it.
//
// # Vectors
//
// A [Vec] is an ordered list of segments, memory or ranges of files, that is
// transferred as one:
//
//	Vec   ┌──────────┬────────────────┬───────┬──────────┐
//	      │ memory   │ file 7 at 4096 │ memory│ memory   │     Len = the sum
//	      └────┬─────┴───────┬────────┴───┬───┴────┬─────┘
//	           │ pwritev(2)  │            └────┬───┘
//	           │             │ copy_file_range │ pwritev(2), up to MaxIovecs each
//	           ▼             ▼                 ▼
//	file  ═════╪═════════════╪═════════════════╪═══════════
//
// [Preadv], [Pwritev], [Readv] and [Writev] finish what the kernel leaves short,
// and say how far they came if they cannot; their Once forms are one call.
// Slicing, splitting, joining and aligning move descriptions, never bytes. No
// length or offset that overflows is accepted.
//
// What a file range means: when the vector is written, its bytes come from that
// file; when the vector is read into, they go there. The two ranges must not
// overlap in one file. It is not a view: a file that shrank meanwhile ends the
// transfer early. A device that wants a message in one call (/dev/fuse does)
// cannot take a range; read it into memory first.
//
// # Copies
//
// Per byte; DMA and the disk's own are not counted.
//
//	path                                      in user space   in the kernel
//	memory ↔ file, buffered                   0               1
//	memory ↔ file, O_DIRECT                   0               0
//	memory ↔ pipe, socket, device             0               1
//	file range ↔ file, reflinks               0               0
//	file range ↔ file, same file system       0               1
//	file range → pipe, socket                 0               0 (pages are lent)
//	file range ← pipe                         0               1
//	file range, else, through Vec.Bounce      0 (but counted) 2
//	Slice, Split, AppendVec, Coalesce, ...    0               0
//	CopyTo, CopyFrom of memory                1 (counted)     0
//
// So a WRITE request costs the copy into its slot, which is the kernel's, and the
// copy from there to the page cache, the kernel's too; a READ the same two in the
// other direction. [Copied] counts those of user space, so that a test can hold
// a path to this table. A Bounce is counted although its two copies are the
// kernel's: whoever has to avoid copies has to avoid it.
//
// # The arena
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
// [Arena.KeepIdle] bounds what free slots may keep, [Arena.Memory] counts it.
package sg
