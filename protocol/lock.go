package protocol

// FileLock is struct fuse_file_lock (24 bytes).
type FileLock struct {
	Start uint64
	End   uint64
	Type  uint32
	Pid   uint32
}

// LkIn is struct fuse_lk_in (48 bytes).
type LkIn struct {
	Fh      uint64
	Owner   uint64
	Lk      FileLock
	LkFlags uint32
	Padding uint32
}

// LkOut is struct fuse_lk_out (24 bytes).
type LkOut struct {
	Lk FileLock
}
