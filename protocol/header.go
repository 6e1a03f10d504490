package protocol

// The protocol's version (FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION): what
// this package knows completely. 7.46 is Linux 7.3.
const (
	KernelVersion      = 7
	KernelMinorVersion = 46
)

// InHeader is struct fuse_in_header (40 bytes): the start of every request.
type InHeader struct {
	Len         uint32 // bytes of the whole message
	Opcode      Opcode
	Unique      uint64 // id of the request, even; see IntReqBit and UniqueResend
	Nodeid      uint64 // the object, for names the directory
	Uid         uint32 // fsuid of the caller in the mount's user namespace; see InvalidUidgid
	Gid         uint32 // fsgid likewise
	Pid         uint32 // in the mounter's pid namespace, 0 if not visible there
	TotalExtlen uint16 // 7.38: length of the extension area in units of 8 bytes
	Padding     uint16
}

// OutHeader is struct fuse_out_header (16 bytes): the start of every reply and
// notification.
type OutHeader struct {
	Len    uint32 // bytes of the whole message, which one write must hold
	Error  int32  // 0, or a negated errno and no payload; in a notification its NotifyCode
	Unique uint64 // of the request; 0 marks a notification
}

// Ids and identities in headers. The kernel keeps IntReqBit and ReqIDStep to
// itself (fs/fuse/fuse_dev_i.h), but they show in every unique.
const (
	IntReqBit     = 1 << 0     // Unique of an INTERRUPT: the target's with this bit
	ReqIDStep     = 2          // from one Unique to the next
	UniqueResend  = 1 << 63    // 7.40: Unique of a request sent again, and of its reply
	InvalidUidgid = 0xffffffff // 7.41: Uid and Gid of a request without credentials, if ALLOW_IDMAP
)

// MinReadBuffer is the smallest buffer that read(2) on /dev/fuse takes
// (FUSE_MIN_READ_BUFFER), max_write + 80 being the other bound.
const MinReadBuffer = 8192

// SuperMagic is what statfs(2) says is the type of a mount's file system.
const SuperMagic = 0x65735546
