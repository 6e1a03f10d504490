// Package uring is a thin binding of Linux's io_uring by raw system calls: the
// ring that package aio runs back-end I/O on, and that a FUSE transport can fetch
// requests on.
//
//	    SQE()  fill  ┌──────────────┐ Submit / Enter   ┌────────┐
//	caller ─────────▶│ submission q │─────────────────▶│ kernel │
//	    ▲            └──────────────┘                  └───┬────┘
//	    │  Peek, Advance  ┌──────────────┐                 │
//	    └─────────────────│ completion q │◀────────────────┘
//	                      └──────────────┘
//
// It adds nothing to what the kernel offers and hides little: entries are the
// kernel's own structures ([SQE], [SQE128], [CQE]), errors its errnos. Polled
// submission (SQPOLL), which changes who owns the tail, is not offered.
//
// # Threads
//
// A Ring is used by one thread at a time. With [SetupSingleIssuer] (which
// [SetupDeferTaskrun] requires) that is one and the same OS thread for good: lock the goroutine to its
// thread first. So it is with [Ring.RegisterRingFD], whose registration belongs to
// the thread. Requests of a thread that ends are cancelled by the kernel; only
// long-lived, locked threads should submit.
//
// # Memory order
//
// Both queues are shared with the kernel, each with one writer a side:
//
//	word     written by                 read by
//	SQ tail  us, after the entry        kernel, before the entry
//	SQ head  kernel, entry is consumed  us, before an entry is reused
//	CQ tail  kernel, after the entry    us, before the entry
//	CQ head  us, entry was read         kernel, before an entry is reused
//
// Each pair needs release on the writer's side and acquire on the reader's. All
// four words, and the flags, are accessed through sync/atomic only, whose
// operations are sequentially consistent in Go's memory model and so at least
// that. Entries themselves are plain memory.
//
// # Memory the kernel writes to
//
// An SQE holds addresses as integers, which the garbage collector does not see.
// Whoever fills it keeps what it points to alive, and where it is, until the
// completion has been seen: memory of the heap that something else refers to, or
// of a mapping; never a variable on a goroutine's stack, which may move.
package uring
