package protocol

// OpenIn is struct fuse_open_in (8 bytes).
type OpenIn struct {
	Flags     uint32
	OpenFlags uint32
}

// CreateIn is struct fuse_create_in (16 bytes).
type CreateIn struct {
	Flags     uint32
	Mode      uint32
	Umask     uint32
	OpenFlags uint32
}

// OpenOut is struct fuse_open_out (16 bytes).
type OpenOut struct {
	Fh        uint64
	OpenFlags uint32
	BackingID int32
}

// ReleaseIn is struct fuse_release_in (24 bytes).
type ReleaseIn struct {
	Fh           uint64
	Flags        uint32
	ReleaseFlags uint32
	LockOwner    uint64
}

// FlushIn is struct fuse_flush_in (24 bytes).
type FlushIn struct {
	Fh        uint64
	Unused    uint32
	Padding   uint32
	LockOwner uint64
}

// ReadIn is struct fuse_read_in (40 bytes).
type ReadIn struct {
	Fh        uint64
	Offset    uint64
	Size      uint32
	ReadFlags uint32
	LockOwner uint64
	Flags     uint32
	Padding   uint32
}

// WriteIn is struct fuse_write_in (40 bytes).
type WriteIn struct {
	Fh         uint64
	Offset     uint64
	Size       uint32
	WriteFlags uint32
	LockOwner  uint64
	Flags      uint32
	Padding    uint32
}

// WriteOut is struct fuse_write_out (8 bytes).
type WriteOut struct {
	Size    uint32
	Padding uint32
}

// FsyncIn is struct fuse_fsync_in (16 bytes).
type FsyncIn struct {
	Fh         uint64
	FsyncFlags uint32
	Padding    uint32
}

// FallocateIn is struct fuse_fallocate_in (32 bytes).
type FallocateIn struct {
	Fh      uint64
	Offset  uint64
	Length  uint64
	Mode    uint32
	Padding uint32
}

// LseekIn is struct fuse_lseek_in (24 bytes).
type LseekIn struct {
	Fh      uint64
	Offset  uint64
	Whence  uint32
	Padding uint32
}

// LseekOut is struct fuse_lseek_out (8 bytes).
type LseekOut struct {
	Offset uint64
}

// CopyFileRangeIn is struct fuse_copy_file_range_in (56 bytes).
type CopyFileRangeIn struct {
	FhIn      uint64
	OffIn     uint64
	NodeidOut uint64
	FhOut     uint64
	OffOut    uint64
	Len       uint64
	Flags     uint64
}

// CopyFileRangeOut is struct fuse_copy_file_range_out (8 bytes).
type CopyFileRangeOut struct {
	BytesCopied uint64
}

// BmapIn is struct fuse_bmap_in (16 bytes).
type BmapIn struct {
	Block     uint64
	Blocksize uint32
	Padding   uint32
}

// BmapOut is struct fuse_bmap_out (8 bytes).
type BmapOut struct {
	Block uint64
}

// PollIn is struct fuse_poll_in (24 bytes).
type PollIn struct {
	Fh     uint64
	Kh     uint64
	Flags  uint32
	Events uint32
}

// PollOut is struct fuse_poll_out (8 bytes).
type PollOut struct {
	Revents uint32
	Padding uint32
}

// SetupmappingIn is struct fuse_setupmapping_in (40 bytes).
type SetupmappingIn struct {
	Fh      uint64
	Foffset uint64
	Len     uint64
	Flags   uint64
	Moffset uint64
}

// RemovemappingIn is struct fuse_removemapping_in (4 bytes).
type RemovemappingIn struct {
	Count uint32
}

// RemovemappingOne is struct fuse_removemapping_one (16 bytes).
type RemovemappingOne struct {
	Moffset uint64
	Len     uint64
}

// BackingMap is struct fuse_backing_map (16 bytes).
type BackingMap struct {
	Fd      int32
	Flags   uint32
	Padding uint64
}

const (
	FopenDirectIO             = 0x1
	FopenKeepCache            = 0x2
	FopenNonseekable          = 0x4
	FopenCacheDir             = 0x8
	FopenStream               = 0x10
	FopenNoflush              = 0x20
	FopenParallelDirectWrites = 0x40
	FopenPassthrough          = 0x80
	FopenIOUringZeroCopy      = 0x100
)
