// Package wb is what a server has to know where writes are held back.
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
package wb
