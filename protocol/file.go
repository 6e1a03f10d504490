package protocol

// OpenIn is struct fuse_open_in (8 bytes).
type OpenIn struct {
	Flags     uint32 // O_*, in the architecture's values
	OpenFlags uint32 // 7.33: Open*
}

// Bits of OpenIn.OpenFlags and CreateIn.OpenFlags.
const (
	OpenKillSuidgid = 1 << 0 // 7.33: clear suid and sgid, the file being truncated
)

// CreateIn is struct fuse_create_in (16 bytes; CompatMknodInSize before 7.12),
// for CREATE and TMPFILE.
type CreateIn struct {
	Flags     uint32 // O_*
	Mode      uint32
	Umask     uint32 // 7.12: already applied to Mode unless DONT_MASK
	OpenFlags uint32 // 7.33: Open*
}

// OpenOut is struct fuse_open_out (16 bytes).
type OpenOut struct {
	Fh        uint64 // the server's own name of the open file; files and directories apart
	OpenFlags uint32 // Fopen*
	BackingID int32  // 7.40: from DevIocBackingOpen, with FopenPassthrough
}

// Bits of OpenOut.OpenFlags.
const (
	FopenDirectIO             = 1 << 0 // bypass the page cache
	FopenKeepCache            = 1 << 1 // keep what is cached of the file
	FopenNonseekable          = 1 << 2 // 7.10: lseek(2) fails
	FopenCacheDir             = 1 << 3 // 7.28: READDIR may be cached
	FopenStream               = 1 << 4 // 7.31: there is no file position
	FopenNoflush              = 1 << 5 // 7.35: no FLUSH, unless there is write-back
	FopenParallelDirectWrites = 1 << 6 // 7.38: direct WRITEs of one file at once
	FopenPassthrough          = 1 << 7 // 7.40: the kernel does I/O on the backing file
	FopenIOUringZeroCopy      = 1 << 8 // 7.46: pages of requests are lent to the ring
)

// ReleaseIn is struct fuse_release_in (24 bytes), for RELEASE and RELEASEDIR.
type ReleaseIn struct {
	Fh           uint64
	Flags        uint32 // O_*
	ReleaseFlags uint32 // 7.8: Release*
	LockOwner    uint64 // 7.8: with ReleaseFlush or ReleaseFlockUnlock
}

// Bits of ReleaseIn.ReleaseFlags.
const (
	ReleaseFlush       = 1 << 0 // 7.8: flush as well
	ReleaseFlockUnlock = 1 << 1 // 7.17: drop the flock(2) locks of LockOwner
)

// FlushIn is struct fuse_flush_in (24 bytes): one for each close(2).
type FlushIn struct {
	Fh        uint64
	Unused    uint32
	Padding   uint32
	LockOwner uint64 // 7.7: whose POSIX locks go
}

// ReadIn is struct fuse_read_in (40 bytes), for READ, READDIR and READDIRPLUS.
type ReadIn struct {
	Fh        uint64
	Offset    uint64 // bytes; of a directory a Dirent.Off
	Size      uint32 // bytes
	ReadFlags uint32 // 7.9: Read*
	LockOwner uint64 // 7.9: with ReadLockowner
	Flags     uint32 // 7.9: O_* as they are now
	Padding   uint32
}

// Bits of ReadIn.ReadFlags.
const (
	ReadLockowner = 1 << 1 // 7.9: LockOwner is valid
)

// WriteIn is struct fuse_write_in (40 bytes; CompatWriteInSize before 7.9).
// Size bytes of data follow.
type WriteIn struct {
	Fh         uint64
	Offset     uint64 // bytes
	Size       uint32 // bytes
	WriteFlags uint32 // Write*
	LockOwner  uint64 // 7.9: with WriteLockowner
	Flags      uint32 // 7.9: O_* as they are now
	Padding    uint32
}

// Bits of WriteIn.WriteFlags.
const (
	WriteCache       = 1 << 0           // 7.9: from the page cache; Fh is a guess, and so is the caller
	WriteLockowner   = 1 << 1           // 7.9: LockOwner is valid
	WriteKillSuidgid = 1 << 2           // 7.31: clear suid and sgid
	WriteKillPriv    = WriteKillSuidgid // its first name
)

// WriteOut is struct fuse_write_out (8 bytes), for WRITE and COPY_FILE_RANGE.
type WriteOut struct {
	Size    uint32 // bytes written, not more than asked
	Padding uint32
}

// FsyncIn is struct fuse_fsync_in (16 bytes), for FSYNC and FSYNCDIR.
type FsyncIn struct {
	Fh         uint64
	FsyncFlags uint32 // Fsync*
	Padding    uint32
}

// Bits of FsyncIn.FsyncFlags.
const (
	FsyncFdatasync = 1 << 0 // data only
)

// FallocateIn is struct fuse_fallocate_in (32 bytes, 7.19).
type FallocateIn struct {
	Fh      uint64
	Offset  uint64 // bytes
	Length  uint64 // bytes
	Mode    uint32 // FALLOC_FL_*
	Padding uint32
}

// LseekIn is struct fuse_lseek_in (24 bytes, 7.24).
type LseekIn struct {
	Fh      uint64
	Offset  uint64
	Whence  uint32 // SEEK_DATA or SEEK_HOLE
	Padding uint32
}

// LseekOut is struct fuse_lseek_out (8 bytes, 7.24).
type LseekOut struct {
	Offset uint64
}

// CopyFileRangeIn is struct fuse_copy_file_range_in (56 bytes, 7.28), for
// COPY_FILE_RANGE, where Len is below 4 GiB, and COPY_FILE_RANGE_64 (7.45).
type CopyFileRangeIn struct {
	FhIn      uint64
	OffIn     uint64 // bytes
	NodeidOut uint64
	FhOut     uint64
	OffOut    uint64 // bytes
	Len       uint64 // bytes
	Flags     uint64
}

// CopyFileRangeOut is struct fuse_copy_file_range_out (8 bytes, 7.45): the reply
// to COPY_FILE_RANGE_64.
type CopyFileRangeOut struct {
	BytesCopied uint64
}

// BmapIn is struct fuse_bmap_in (16 bytes, 7.8). Only fuseblk mounts ask.
type BmapIn struct {
	Block     uint64
	Blocksize uint32 // bytes
	Padding   uint32
}

// BmapOut is struct fuse_bmap_out (8 bytes, 7.8).
type BmapOut struct {
	Block uint64
}
