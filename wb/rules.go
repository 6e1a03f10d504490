package wb

import "github.com/fusewire/fusewire/sg/unix"

// OpenFlags returns the flags to open the back-end file with, for a caller who
// opened or created it with flags:
//
//   - O_WRONLY becomes O_RDWR. Who writes part of a page has the kernel read the
//     page first, through that open file (fs/fuse/file.c: fuse_iomap_read_folio_range).
//   - O_APPEND goes. The kernel has found the offset, and pages are sent in any
//     order; pwrite(2) on such a descriptor would put each at the end.
//   - O_DIRECT goes. Pages of somebody else's buffered writes come through this
//     descriptor too, and they end where the file does, on no boundary.
func OpenFlags(flags int) int {
	flags &^= unix.O_APPEND | unix.O_DIRECT
	if flags&unix.O_ACCMODE == unix.O_WRONLY {
		flags = flags&^unix.O_ACCMODE | unix.O_RDWR
	}
	return flags
}

// MustBypass reports whether a file, opened with the back-end flags opened, is
// to be kept out of the kernel's cache (FOPEN_DIRECT_IO): one that only takes
// appends (chattr +a), since a page has an offset, and one that could be opened
// for writing but not for reading.
func MustBypass(opened int) bool {
	return opened&unix.O_APPEND != 0 || opened&unix.O_ACCMODE == unix.O_WRONLY
}

// Flags returns the flags of pwritev2(2) for a WRITE. cached says that it comes
// from the page cache (FUSE_WRITE_CACHE): then file flags, ids and lock owner in
// it are nobody's, whoever asked for O_SYNC waits with an FSYNC, and an O_APPEND
// which the descriptor (appendFD) could not do without must not count. direct
// says that the file bypasses the cache: only then is the end of the file for the
// back end to find, else it is the offset that the kernel computed.
func Flags(fileFlags uint32, cached, direct, appendFD bool) int {
	if cached {
		if appendFD {
			return unix.RWF_NOAPPEND // 6.9; EOPNOTSUPP before, rather than a wrong place
		}
		return 0
	}
	flags := Sync(fileFlags)
	if direct && fileFlags&unix.O_APPEND != 0 {
		flags |= unix.RWF_APPEND
	}
	return flags
}

// Sync is what O_SYNC and O_DSYNC are for a single write. O_SYNC is two bits, of
// which O_DSYNC is one.
func Sync(fileFlags uint32) int {
	switch {
	case fileFlags&unix.O_SYNC == unix.O_SYNC:
		return unix.RWF_SYNC
	case fileFlags&unix.O_DSYNC != 0:
		return unix.RWF_DSYNC
	}
	return 0
}

// SeekNeedsFlush reports whether the kernel must be made to write back what it
// has of a file before the back end can be asked for SEEK_DATA or SEEK_HOLE: the
// kernel passes those on without a look at its pages (fs/fuse/file.c: fuse_lseek).
// So too before a short answer to a direct READ (one with a lock owner), which is the
// end of the file to the kernel though its own pages may lie further on.
// mayHold is how many open files there are through which it may hold something:
// for writing where it writes back, for reading and writing, which can be mapped,
// everywhere. When the last of them goes nothing is dirty any more (fuse_release).
func SeekNeedsFlush(mayHold int32) bool { return mayHold > 0 }
