// Command bench measures this module's program beside its peers and beside no
// file system in user space at all, on the same directory and with the same
// cache settings, in turn (A B C A B C), and prints medians.
//
//	go run ./tests/bench                          # everything, as root
//	go run ./tests/bench -quick                   # small trees, one round: a few minutes
//	go run ./tests/bench -run 'create|unlink' -systems 'native|ours|go-fuse' -rounds 7
//	go run ./tests/bench -backend ext4 -svg ratios.svg
//	go run ./tests/bench -add 'nocache=--cache=never'     # one more column of ours
//
// The peers are installed by it: go-fuse's loopback by go install of the newest
// tag, libfuse's passthrough_ll compiled from the examples of Debian's
// libfuse3-dev, bindfs as Debian has it. Everything happens in a private mount
// namespace and is gone at the end.
//
// Times depend on the machine and on what else it does; only ratios of one run
// mean something. Counts do not: requests are counted by the kernel's tracepoint
// fuse:fuse_request_send on the mount's connection (FORGETs left out), system
// calls of the server by raw_syscalls:sys_enter (those of a runtime for itself
// left out), each in a run of its own that is not timed. TestGates holds ours to
// them.
//
// Every measurement has a server of its own, so "cold" is a mount that nobody
// has used yet, over a source that is in memory. Native is the source itself.
package main
