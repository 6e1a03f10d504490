// Package uring tests what is special about FUSE over io_uring, with a real
// kernel: callers and entries, answers from elsewhere, what the kernel sends on a
// ring of its own accord, the end with requests in flight, and the way back to
// /dev/fuse from every point of the start. What mounts do at all is tested by
// other directories, on either transport (FUSEWIRE_TRANSPORT).
//
// The module parameter fuse.enable_uring and the sysctl kernel.io_uring_disabled
// are the machine's: they are changed here, one test at a time, and put back.
package uring
