package protocol

// SetupmappingIn is struct fuse_setupmapping_in (40 bytes, 7.31): map a file's
// range into the DAX window of virtiofs.
type SetupmappingIn struct {
	Fh      uint64
	Foffset uint64 // bytes into the file
	Len     uint64 // bytes
	Flags   uint64 // SetupmappingFlag*
	Moffset uint64 // bytes into the window
}

// Bits of SetupmappingIn.Flags.
const (
	SetupmappingFlagWrite = 1 << 0
	SetupmappingFlagRead  = 1 << 1
)

// RemovemappingIn is struct fuse_removemapping_in (4 bytes, 7.31). Count
// RemovemappingOne follow.
type RemovemappingIn struct {
	Count uint32 // at most RemovemappingMaxEntry
}

// RemovemappingOne is struct fuse_removemapping_one (16 bytes, 7.31).
type RemovemappingOne struct {
	Moffset uint64 // bytes into the window
	Len     uint64 // bytes
}

// RemovemappingMaxEntry is how many RemovemappingOne a page of 4096 bytes holds;
// larger pages hold more (FUSE_REMOVEMAPPING_MAX_ENTRY depends on PAGE_SIZE).
const RemovemappingMaxEntry = 256
