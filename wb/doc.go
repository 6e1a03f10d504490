// Package wb is what a server has to know where writes are held back: by the kernel
// (rules), or by itself (a cache).
//
// # The kernel's cache
//
// With the INIT flag WRITEBACK_CACHE the kernel keeps written pages and sends
// them when it likes, and the file system below is no longer told who wrote what
// and when. What changes for the server is said by a few rules:
//
//	open(O_WRONLY|O_APPEND) ──► kernel: pages, i_size, mtime
//	                              │ READ of the rest of a page      OpenFlags
//	                              │ WRITE, from nobody, by any fh   Flags
//	                              │ SETATTR of the times            (as it says)
//	                              │ LSEEK, without a word of pages  SeekNeedsFlush
//	                              ▼ direct READ of a hole           SeekNeedsFlush
//	                            server ──► back-end file
//
// The rules know nothing of the protocol; the package ops/passfs applies them.
// What the kernel takes upon itself needs no rule: data are written before times
// or modes are set (fs/fuse/dir.c: fuse_do_setattr), before a range is punched,
// copied or read around the cache, and at close; a file with set-id bits is
// written through (fs/fuse/file.c: fuse_cache_write_iter); and the size, mtime
// and ctime that a reply states are ignored while the inode is in memory
// (fs/fuse/inode.c: fuse_get_cache_mask). A source that others change is
// therefore not for this mode.
//
// # Our own
//
// A [Cache] is for back ends where a write is dear, and for kernels or modes without
// the above:
//
//	Write ──► File: dirty chunks ──flight, a large op──► Engine ──► back end
//	            ▲        │    ◄──could not be written──┘    │
//	Read ───────┴────────┴──── laid over what was read ◄────┘
//
// Nothing blocks: a [Task] that has to wait is over later. Tasks of a file that
// exclude each other take turns in the order they came: a [File.Claim] of a range,
// for what is to happen in the back end itself, with Reads and Writes of it.
//
// Limits. Memory is in chunks of an arena, limited in all and per file, as is the
// number of files with dirty data. Writing begins when a quarter is taken, when data
// is Age old, and when a Sync or Claim asks. From half on a Write is answered only
// when a part of its length has been written, all of it when there is no room left,
// so that writers become as slow as the back end. A file that finds all room taken
// by others has its Writes go around the cache. So a file whose back end hangs keeps
// nothing from the others but FileBytes of room and FileOps of the engine.
//
// Order. A file's ops never overlap. What makes the file longer in the back end is
// written from its end on, in ascending order, one op after the other; so data is
// there before it counts in the size. The rest is written in any order. A Sync waits
// for all that was dirty in its range, then has the back end sync, and returns only
// then.
//
// Errors. What cannot be written is kept, and tried again when the next Sync asks, or
// it is Age old, or room is needed and nothing else can be written; after Tries it is
// given up, with a line in the log. Each failure is told once to each [Handle] by the
// next Sync or Check, also if the next try goes well.
//
// A crash of the server loses what was written and not synced since, with a Sync that
// has returned, and nothing else: each byte of a file is one that it had at that place
// since that Sync, its size is one that it had or would have had, had the last writes
// not come, and no hole is where none was written. Only behind an error that was told
// may there be a hole in place of what could not be written. A Sync without Fsync is
// enough for a crash of the server; one of the back end takes Fsync. The order of
// changes of two files is kept only by a Sync in between.
package wb
