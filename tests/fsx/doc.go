// Command fsx checks what a file system does with the contents of files: random
// programs of reads, writes and whatever else changes data, carried out by several
// processes and compared with arrays of bytes.
//
//	go run ./tests/fsx -n 1000000 FILE            one million operations in turns
//	go run ./tests/fsx -n 100000 -apart FILE      all processes at once, each on a range of its own
//	go run ./tests/fsx -replay PROGRAM FILE       what failed, again
//
//	this process ──op──▶ worker 0, 1, 2 ... (the same binary): open files, mappings,
//	   the model  ◀─result─      │          an io_uring and a libaio context each
//	      ╰── memory of each ────╯          FILE.a, FILE.b, FILE.c
//
// In turns, an operation begins when the one before it has ended, in whatever
// process: so the model is exact, about open files and names, too. Apart, every
// worker has its part of one file, whose borders are in the middle of pages, and a
// model of that; the size stays.
//
// This process never touches FILE, so that it can serve the mount where that is, and
// every operation has a minute before the file system is said to hang. Operations
// that it does not have (EOPNOTSUPP) change nothing, and are counted. A failure
// prints the seed, the last operations, and where the whole program is.
//
// Two things the kernel itself does wrong, up to 6.18 at least, and no program asks for:
//
//   - Where a file system opens with FOPEN_DIRECT_IO (then -within is needed) an
//     asynchronous direct read does not move the position (fs/fuse/file.c:
//     fuse_direct_read_iter calls fuse_direct_IO, which leaves that to its caller), so
//     that io_uring, which reads on after a short read (io_uring/rw.c: __io_read), reads
//     the same again and adds it up.
//   - When an asynchronous direct write ends, nobody drops the pages that somebody's
//     read-ahead has brought meanwhile (fuse_direct_io does so when it has sent the
//     request, mm/filemap.c: generic_file_direct_write if it was answered): they are old,
//     and stay. So there is none with -apart.
package main
