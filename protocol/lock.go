package protocol

// FileLock is struct fuse_file_lock (24 bytes).
type FileLock struct {
	Start uint64
	End   uint64 // last byte; 1<<63-1 means to the end, however far that moves
	Type  uint32 // F_RDLCK, F_WRLCK or F_UNLCK
	Pid   uint32
}

// LkIn is struct fuse_lk_in (48 bytes).
type LkIn struct {
	Fh      uint64
	Owner   uint64
	Lk      FileLock
	LkFlags uint32 // 7.9: Lk*
	Padding uint32
}

// Bits of LkIn.LkFlags.
const (
	LkFlock = 1 << 0 // 7.17: flock(2), not fcntl(2)
)

// LkOut is struct fuse_lk_out (24 bytes): the reply to GETLK.
type LkOut struct {
	Lk FileLock // the conflicting lock, or Type F_UNLCK
}
