package passfs

import (
	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/wb"
)

// CacheMode says how far the kernel may trust what it has cached, with the
// names and timeouts virtiofsd uses.
type CacheMode uint8

const (
	// CacheAuto keeps names and attributes for a second and drops cached
	// data when a file's times or size have changed. The default.
	CacheAuto CacheMode = iota
	// CacheNever asks again each time and does not cache data.
	CacheNever
	// CacheMetadata keeps names and attributes for a day, but no data.
	CacheMetadata
	// CacheAlways keeps everything for a day, links and directories too:
	// for a source nobody else changes.
	CacheAlways
)

// XattrMode says what becomes of extended attributes.
type XattrMode uint8

const (
	// XattrPassthrough hands them through. The default.
	XattrPassthrough XattrMode = iota
	// XattrNoAttr answers EOPNOTSUPP.
	XattrNoAttr
	// XattrNoSys answers ENOSYS: the kernel stops asking and reports
	// EOPNOTSUPP itself.
	XattrNoSys
)

// ParallelMode says which opens let direct writes to one file run side by side
// (FOPEN_PARALLEL_DIRECT_WRITES, 7.39; our writes are positional). The kernel
// takes the inode's lock for them all the same where they append or extend the
// file, or somebody has it open through the page cache
// (fs/fuse/file.c: fuse_dio_wr_exclusive_lock).
type ParallelMode uint8

const (
	// ParallelAuto: those that bypass the page cache anyway, because of the
	// cache mode or DirectIO. The default.
	ParallelAuto ParallelMode = iota
	// ParallelAlways: those with O_DIRECT too, without O_APPEND. They need
	// FOPEN_DIRECT_IO for it, with which the requests of one blocking read or
	// write are sent one by one (fs/fuse/file.c: fuse_direct_read_iter).
	// Needs DIRECT_IO_ALLOW_MMAP: kernels before keep stale pages.
	ParallelAlways
	// ParallelNever: none.
	ParallelNever
)

// ByMode as a timeout means: what the cache mode says.
const ByMode clock.Nanos = -1

// Options configures New. The zero value of the timeouts is "do not cache";
// start from DefaultOptions.
type Options struct {
	// Cache is the cache mode.
	Cache CacheMode
	// EntryTimeout is how long a name is trusted (entry_valid),
	// AttrTimeout how long attributes are (attr_valid), NegativeTimeout
	// how long the absence of a name is (0: not at all). Negative: ByMode. nil is 0.
	EntryTimeout, AttrTimeout, NegativeTimeout clock.Duration
	// DirectIO opens every regular file with FOPEN_DIRECT_IO. ASYNC_DIO is not
	// asked for then, nor in the cache modes that do without the page cache.
	DirectIO bool
	// Parallel says which direct writes may run side by side.
	Parallel ParallelMode
	// Writeback lets the kernel hold written data back and send it when it
	// likes (WRITEBACK_CACHE, 3.15): for a source nobody else changes. Files
	// opened with FOPEN_DIRECT_IO have no part in it.
	Writeback bool
	// WriteCache, if set, holds written data back here, in memory: for a source where
	// a write is dear, nobody else changes it, and the kernel is not to write back
	// (New fails with EINVAL if Writeback is set, too). It serves this file system
	// alone, and is closed, after up to 30 s of writing, with it. What is not durable,
	// and lost if this process dies: what was neither synced nor, without LazyClose,
	// closed.
	// Not with -tags tiny: EOPNOTSUPP.
	WriteCache *wb.Cache
	// LazyClose has close(2) not wait until what was written is in the source. What
	// goes wrong behind the last close is only logged.
	LazyClose bool
	// NoPassthrough has every read and write come to us. Otherwise the kernel
	// does them on the files of the source itself where it can (PASSTHROUGH, 6.9:
	// needs CAP_SYS_ADMIN and HANDLE_KILLPRIV_V2), file by file: not on a source
	// whose files are no plain files (procfs) or that is a network's, nor for
	// files with set-id bits. Options that say how data is to go win over it:
	// Writeback, WriteCache, DirectIO, CacheNever, CacheMetadata, ParallelAlways, Slow.
	// What O_APPEND and, opened for reading too, O_DIRECT mean then lasts as long
	// as the file is open: the kernel does not let fcntl(F_SETFL) end it.
	NoPassthrough bool
	// Engine, if set, carries out what a READ, an FSYNC or a WRITE with O_SYNC or
	// O_DSYNC would otherwise keep a reader of the device waiting for. It is the
	// caller's to close, after Serve has returned, and serves this file system
	// alone.
	Engine aio.Engine
	// Slow sends every READ and WRITE through Engine, also those that might be
	// served from memory: for a source that is slow but parallel, and better
	// asked for much at a time.
	Slow bool
	// LocalLocks leaves locks to the kernel, which keeps them for this mount alone:
	// nobody in the source sees them, and none of theirs is in anybody's way here.
	// close(2) needs no FLUSH then (FOPEN_NOFLUSH, 5.16), but of a file open for
	// writing on a file system that might have kept an error for it.
	LocalLocks bool
	// Unchecked says that the mount is without default_permissions: only for one
	// user, who is the server's. Then the source checks what that user may do, and
	// the kernel does not ask for the attributes of a directory again after each
	// change in it. ACLs are not asked for, as they imply default_permissions
	// (fs/fuse/inode.c: process_init_reply).
	Unchecked bool
	// Xattr is the treatment of extended attributes.
	Xattr XattrMode
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool
	// MaxFDs is the number of descriptors the file system may hold: inode
	// references and open files together, the former making room for the
	// latter. There are at most as many backing ids, each of which keeps a file
	// open in the kernel. 0: the soft RLIMIT_NOFILE less a reserve, at most
	// 32768. Smaller than 16 is taken as 16.
	MaxFDs int
	// Log, if set, is given one line for each surprising event (a thread
	// that could not return to its ids, a source without file handles).
	// Called from any thread.
	Log func(string)
}

// DefaultOptions is what New(fd, nil) uses.
func DefaultOptions() Options {
	return Options{EntryTimeout: ByMode, AttrTimeout: ByMode, NegativeTimeout: ByMode}
}

// day is the timeout of the modes that trust their caches.
const day = 24 * clock.Hour

// timeouts returns the three, with what the mode decides filled in.
func (o *Options) timeouts() (entry, attr, negative clock.Nanos) {
	t := clock.Nanos(0)
	switch o.Cache {
	case CacheAuto:
		t = clock.Second
	case CacheMetadata, CacheAlways:
		t = day
	}
	if entry = clock.Of(o.EntryTimeout); entry < 0 {
		entry = t
	}
	if attr = clock.Of(o.AttrTimeout); attr < 0 {
		attr = t
	}
	// An absent name is not trusted by any mode unless asked for: the
	// kernel would hide a file made directly in the source.
	return entry, attr, max(clock.Of(o.NegativeTimeout), 0)
}
