// Package conn is the channel to the kernel: it mounts, negotiates, reads
// requests, writes replies, and knows nothing of what a request means.
//
//	dev, err := conn.NewFuseDevice(mount.FD())
//	c := conn.New(dev, &conn.Options{Threads: 8})
//	err = c.Serve(handler) // until unmounted
//
//	kernel ──read──▶ slot ──▶ Handler.Serve(r) ──▶ r.Reply ──writev──▶ kernel
//	                  ▲            │ inline, on the reader's own OS thread
//	                  └─ arena     ├ r.Block():  another reader takes over
//	                     (capped)  └ r.Detach(): answered later, from anywhere
//
// With [TransportURing] the kernel has the slots, and a thread on each CPU waits
// for those it fills (uring.go); the device's reader stays for the rest.
//
// A few readers each hold a slot and wait in read(2). A handler that is quick
// answers in place; nothing is handed from goroutine to goroutine, nothing is
// allocated. What cannot be read for want of a slot waits in the kernel.
package conn
