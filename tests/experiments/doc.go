// Command experiments measures what asynchronous direct I/O, merging,
// scatter-gather, parallel direct writes, io_uring and kernel passthrough are worth, each
// switched off and on over the same store:
//
//	go run ./tests/experiments                       all of them, as root
//	go run ./tests/experiments -run seed4 -rounds 5  some, with more rounds
//
//	this process ──fio, preadv──▶ mount ──▶ the same binary as a server:
//	   (measures)                            passfs ─▶ aio ─▶ slow.Store ─▶ tmpfs
//
// All of it happens in a mount namespace of its own, on tmpfs. A comparison is
// run as A B A B ..., each time with a server of its own, and prints the medians
// and their ratio, the extremes, and what is required of the ratio. Client and
// server never share a process, so neither do they share a Go runtime.
//
// The times depend on the machine, and on who else uses it. What does not, the
// numbers of requests and of ops of the store, is what go test checks here, as
// well as that data survives all of this.
package main
