package protocol

// UringEntInOut is struct fuse_uring_ent_in_out (32 bytes).
type UringEntInOut struct {
	Flags     uint64
	CommitID  uint64
	PayloadSz uint32
	Offset    uint32
	Reserved  uint64
}

// UringReqHeader is struct fuse_uring_req_header (288 bytes).
type UringReqHeader struct {
	InOut        [128]byte
	OpIn         [128]byte
	RingEntInOut UringEntInOut
}

// UringCmdReq is struct fuse_uring_cmd_req (40 bytes).
type UringCmdReq struct {
	Flags    uint64
	CommitID uint64
	Qid      uint16
	Padding  [6]uint8
	Bufpool  [2]uint64
}
