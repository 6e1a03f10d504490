package protocol

// InHeader is struct fuse_in_header (40 bytes).
type InHeader struct {
	Len         uint32
	Opcode      Opcode
	Unique      uint64
	Nodeid      uint64
	Uid         uint32
	Gid         uint32
	Pid         uint32
	TotalExtlen uint16
	Padding     uint16
}

// OutHeader is struct fuse_out_header (16 bytes).
type OutHeader struct {
	Len    uint32
	Error  int32
	Unique uint64
}
