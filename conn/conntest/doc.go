// Package conntest is a kernel in Go: the other side of a FUSE server, in memory,
// so that file systems can be tested without root, /dev/fuse or a mount.
//
//	k, err := conntest.New(ops.New(fs), nil)   // INIT done: "mounted"
//	c := k.Process(1000, 1000)                 // a process with these ids
//	f, err := c.Open("/a", unix.O_CREAT|unix.O_RDWR, 0o644)
//	_, err = f.WriteAt([]byte("hello"), 0)
//	err = f.Close()
//	k.Advance(time.Second)                     // names and attributes expire
//	k.DropCaches()                             // FORGETs
//	err = k.Unmount()                          // every rule the server broke
//
// A Client is a process and does what one does; the Kernel in between keeps
// names, attributes and pages as fs/fuse does, sends what that sends, and checks
// what comes back. A broken rule is a Violation, which says what a real kernel
// would have done; Unmount returns them all.
//
// Data is written through, written back (flag WRITEBACK_CACHE), or direct where
// the server says so. Interrupts, lost replies, notifications, resends and
// aborts are there to be provoked; Run lets several clients race in an order that
// a seed decides, and that repeats. Audit compares counts of lookups.
//
// Where a real kernel behaves otherwise, it is right and this package is wrong.
// Known simplifications: pages are locked by the file, not one by one; readahead
// has windows of one size (Options.Readahead) and is off by default; the flusher
// runs when Kernel.Writeback or Options.DirtyLimit say so, not by time; a WRITE
// of the page cache has the data of when it was queued; buffers of direct I/O are
// aligned as Options.BufferOffset says, wherever they are; access control lists
// are not looked at; names below a directory that is dropped are dropped, also
// those in use; there is no DAX, io_uring or passthrough.
package conntest
