package uring

// SQE is a submission queue entry, 64 bytes, as struct io_uring_sqe. Where the
// kernel has a union the field bears its most common name. [Ring.SQE] hands them
// out zeroed.
type SQE struct {
	Opcode      uint8  // Op*
	Flags       uint8  // SQE*
	IOPrio      uint16 // or flags of some operations
	FD          int32  // or the index of a registered file
	Off         uint64 // offset; addr2; for commands see SetCmdOp
	Addr        uint64 // buffer or iovecs; the UserData that OpAsyncCancel is about
	Len         uint32 // bytes, or iovecs
	OpFlags     uint32 // rw_flags (RWF_*), fsync_flags, cancel_flags, uring_cmd_flags ...
	UserData    uint64 // comes back in the CQE
	Buf         uint16 // the index of a registered buffer, or a buffer group
	Personality uint16
	SpliceFD    int32  // or file_index
	Addr3       uint64 // where the area of a command begins
	_           uint64
}

// SQE128 is an entry of a ring with SetupSQE128, or a double one of a ring with
// SetupSQEMixed: the SQE, and room for a command of 80 bytes that begins at Addr3.
type SQE128 struct {
	SQE
	_ [64]byte
}

// CmdSize is the size of the area for a command in an SQE128.
const CmdSize = 80

// Nop makes s do nothing.
func (s *SQE) Nop(user uint64) { s.Opcode, s.UserData = OpNop, user }

// Rw makes s one of the operations that transfer n bytes (or iovecs) at addr
// to or from offset off of fd.
func (s *SQE) Rw(op uint8, fd int, addr uintptr, n int, off int64, user uint64) {
	s.Opcode, s.FD, s.Off = op, int32(fd), uint64(off)
	s.Addr, s.Len, s.UserData = uint64(addr), uint32(n), user
}

// Fsync makes s an fsync(2), or with flags FsyncDatasync an fdatasync(2).
func (s *SQE) Fsync(fd int, flags uint32, user uint64) {
	s.Opcode, s.FD, s.OpFlags, s.UserData = OpFsync, int32(fd), flags, user
}

// Fallocate makes s a fallocate(2).
func (s *SQE) Fallocate(fd int, mode uint32, off, n int64, user uint64) {
	// The length travels in Addr, the mode in Len.
	s.Opcode, s.FD, s.Off, s.Addr = OpFallocate, int32(fd), uint64(off), uint64(n)
	s.Len, s.UserData = mode, user
}

// Cancel makes s cancel the request that was submitted with UserData target. Its
// completion says 0, ENOENT (no such request), or EALREADY (too late to be sure:
// it is running).
func (s *SQE) Cancel(target, user uint64) {
	s.Opcode, s.FD, s.Addr, s.UserData = OpAsyncCancel, -1, target, user
}
