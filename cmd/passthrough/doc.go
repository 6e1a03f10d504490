// Passthrough serves a directory through FUSE.
//
//	passthrough [option ...] SRC MNT
//	mount -t fuse.passthrough -o allow_other SRC MNT
//	SRC  MNT  fuse.passthrough  allow_other,_netdev  0  0     (/etc/fstab)
//
// It returns once MNT answers and serves on in the background; -f stays. What it
// can be told is in the output of --help (options.go). MNT may be /dev/fd/N, an
// open /dev/fuse that the caller mounts.
//
// Exit status: 0 after an unmount (in the parent: once MNT answers), 1 if
// something failed, 2 for a command line that is wrong. Either way there is one
// line on stderr that begins with "passthrough: ".
//
// Signals: SIGINT, SIGTERM and SIGHUP unmount. While something is in use the
// mount is detached instead, and the program ends with the last user; a second
// signal aborts. SIGUSR1 prints what is in service and the counters to stderr,
// which in the background is the file named by --log-file.
//
// With --wb-cache=on what is written stays in memory until a close(2), fsync(2) or
// rename(2) of the file, or for 5 s (--wb-cache-age), and the ends of the mount and of
// this program wait for it to be in SRC, the latter for 30 s. If this program is
// killed, what was written since is lost, and nothing else; if the machine is, what was
// written since the last fsync(2). A write(2) that SRC has no room for, or that fails
// there, is told by close(2) or fsync(2). With lazy a close(2) does not wait and does
// not count. Nobody else may change what is being written.
//
// With -d each message is a line on stderr, in the syntax of package protocol:
//
//	> GETATTR unique=12 nodeid=1 ...     from the kernel
//	< GETATTR unique=12 ok ...           to the kernel, with what it said if it refused
package main
