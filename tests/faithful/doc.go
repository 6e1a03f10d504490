// Package faithful holds package conntest to the kernel it imitates: the same
// programs run on a real mount and on conntest, over the same server, and the
// requests that the server gets must agree, one by one, as must what the
// programs see.
//
//	program (random, by seed)
//	   │                            │
//	child process, system calls   conntest.Client
//	   │                            │
//	/dev/fuse                     conntest.Kernel
//	   │                            │
//	conn + ops + memory file system, trace tap ──► lines, compared per operation
//
// What may differ nevertheless stands in the table of table_test.go, each line
// with its reason.
//
// Out of reach of the programs: readahead (files are FADV_RANDOM, so that Linux
// reads what is asked for), O_DIRECT on cached files, mmap, INVAL_ENTRY (Linux
// keeps names in use below a directory that is dropped, conntest drops them),
// FIFOs (which block), other users than root, and several processes at once.
//
// FUSEWIRE_SEED=N runs one seed, FUSEWIRE_LONG=N so many times the usual number.
package faithful
