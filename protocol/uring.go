package protocol

// UringReqHeader is struct fuse_uring_req_header (288 bytes, 7.42): the first
// buffer of a ring entry. Fetching a request fills it, committing reads it.
type UringReqHeader struct {
	InOut        [UringInOutHeaderSz]byte // an InHeader, or the reply's OutHeader
	OpIn         [UringOpInOutSz]byte     // the request's fixed argument, if it has one
	RingEntInOut UringEntInOut
}

// Sizes of the parts of UringReqHeader.
const (
	UringInOutHeaderSz = 128
	UringOpInOutSz     = 128
)

// UringEntInOut is struct fuse_uring_ent_in_out (32 bytes, 7.42).
type UringEntInOut struct {
	Flags     uint64 // UringEnt*
	CommitID  uint64 // for UringCmdReq.CommitID
	PayloadSz uint32 // bytes of the second buffer in use, in both directions
	Offset    uint32 // 7.46: where that is in the buffer pool; before: padding
	Reserved  uint64
}

// Bits of UringEntInOut.Flags.
const (
	UringEntZeroCopy = 1 << 0 // 7.46: the data is pages in the ring's buffer table
)

// UringCmdReq is struct fuse_uring_cmd_req (40 bytes; 24 before 7.46): the command
// area of an SQE.
type UringCmdReq struct {
	Flags    uint64 // Uring*
	CommitID uint64 // with IOUringCmdCommitAndFetch
	Qid      uint16 // queue, the number of a CPU
	Padding  [6]uint8
	Bufpool  UringBufpool // 7.46: a union with the index that EntZeroCopyBufIndex gives
}

// UringBufpool is the member bufpool of struct fuse_uring_cmd_req's union
// (16 bytes, 7.46), with IOUringCmdAddBufpool.
type UringBufpool struct {
	Uaddr    uint64 // address of the pool
	Len      uint32 // bytes
	Reserved uint32
}

// Bits of UringCmdReq.Flags, with IOUringCmdAddQueue.
const (
	UringZeroCopy = 1 << 0 // 7.46: the queue's entries have slots in the ring's buffer table
)

// Commands, the cmd_op of an SQE (enum fuse_uring_cmd).
const (
	IOUringCmdInvalid        = 0
	IOUringCmdRegister       = 1 // 7.42: hand an entry to the kernel, which fetches a request
	IOUringCmdCommitAndFetch = 2 // 7.42: reply, and fetch the next
	IOUringCmdAddQueue       = 3 // 7.46: make a queue
	IOUringCmdAddBufpool     = 4 // 7.46: give it a buffer pool
)

// UringSqe128 is struct io_uring_sqe at its length of 128 bytes
// (IORING_SETUP_SQE128) as a command uses it (include/uapi/linux/io_uring.h).
type UringSqe128 struct {
	Opcode        uint8 // IoringOpUringCmd
	Flags         uint8
	Ioprio        uint16
	Fd            int32
	CmdOp         uint32 // IOUringCmd*
	Pad1          uint32
	Addr          uint64 // with IOUringCmdRegister: two iovecs, UringReqHeader and payload
	Len           uint32 // with IOUringCmdRegister: 2
	UringCmdFlags uint32
	UserData      uint64
	BufIndex      uint16
	Personality   uint16
	FileIndex     uint32
	Cmd           [80]byte // a UringCmdReq
}

// IoringOpUringCmd is IORING_OP_URING_CMD, for UringSqe128.Opcode.
const IoringOpUringCmd = 46
