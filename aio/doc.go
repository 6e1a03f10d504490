// Package aio is asynchronous completion for back-end I/O. An [Op] is submitted,
// and its Done is called once, on any thread, perhaps before Submit returns, in any
// order but where order matters.
//
//	Submit(op) ── tried at once, RWF_NOWAIT ────────────────────────▶ Done(op)
//	   │ would block                                                     ▲
//	   ▼                                                                 │
//	 admitted (MaxOps, MaxBytes; else Submit waits: back-pressure)       │
//	   ▼                                                                 │
//	 ordered: waits for earlier ops of its Key that it overlaps          │
//	   ▼                                                                 │
//	 ready ── merged with its neighbours ── Depth at a time ──▶ Backend ─┘
//	                                             Inline, Workers, Ring, yours
//
// [Scheduler] is the [Engine] there is; where ops are carried out is up to its
// [Backend].
//
// # Order
//
// Two ops of one Key that overlap, one of which changes the file, happen in the
// order their Submits began to queue: a Submit that returned before another one
// was called comes first. Everything else may happen in any order, also reads
// beside a write that extends the file elsewhere. Fsync and Fdatasync wait for all
// earlier changes of their Key. An appending write overlaps everything.
//
// # Merging
//
// Reads, or writes, of one descriptor that continue each other become one op of the
// back end, up to MaxMerge bytes. An op is started at once if fewer than Depth are
// with the back end; those that wait for that are merged. With Gather, an op that
// continues the one submitted last for its file waits, too, for as long as one of
// the file's is with the back end, and no longer than Gather. So a lone request is
// never delayed.
//
// If a merged op fails or is short, originals that it covered are done; the others
// are carried out again one by one, so that each has its own result.
//
// # Memory
//
// An op that is tried at once costs its system call, two atomic operations and no
// lock that other files share. Nothing allocates once pools have grown.
package aio
