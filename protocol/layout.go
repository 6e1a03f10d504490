package protocol

import "strconv"

// tail says what follows the fixed argument of a message.
type tail uint8

const (
	tailNone     tail = iota
	tailName          // one string and its NUL
	tailName2         // two strings, each with its NUL
	tailNameData      // one string, then counted data (SETXATTR)
	tailData          // counted data
	tailAny           // data to the end of the message
)

// opInfo is one opcode's layout, in both directions.
type opInfo struct {
	name   string
	in     kind  // fixed request argument
	tail   tail  // what follows it
	lenOff uint8 // counted data: offset of the uint32 count in the argument
	unit   uint8 // counted data: bytes a count
	out    kind  // fixed reply argument
	out2   kind  // a second one behind it
	rtail  tail  // what follows those
}

// ops is indexed by opcode. A new opcode is one line here, its constant in
// opcode.go, its structs, and their descriptions in describe.go.
var ops = [...]opInfo{
	OpLookup:          {name: "LOOKUP", tail: tailName, out: kEntryOut},
	OpForget:          {name: "FORGET", in: kForgetIn},
	OpGetattr:         {name: "GETATTR", in: kGetattrIn, out: kAttrOut},
	OpSetattr:         {name: "SETATTR", in: kSetattrIn, out: kAttrOut},
	OpReadlink:        {name: "READLINK", rtail: tailAny},
	OpSymlink:         {name: "SYMLINK", tail: tailName2, out: kEntryOut},
	OpMknod:           {name: "MKNOD", in: kMknodIn, tail: tailName, out: kEntryOut},
	OpMkdir:           {name: "MKDIR", in: kMkdirIn, tail: tailName, out: kEntryOut},
	OpUnlink:          {name: "UNLINK", tail: tailName},
	OpRmdir:           {name: "RMDIR", tail: tailName},
	OpRename:          {name: "RENAME", in: kRenameIn, tail: tailName2},
	OpLink:            {name: "LINK", in: kLinkIn, tail: tailName, out: kEntryOut},
	OpOpen:            {name: "OPEN", in: kOpenIn, out: kOpenOut},
	OpRead:            {name: "READ", in: kReadIn, rtail: tailAny},
	OpWrite:           {name: "WRITE", in: kWriteIn, tail: tailData, lenOff: 16, unit: 1, out: kWriteOut},
	OpStatfs:          {name: "STATFS", out: kStatfsOut},
	OpRelease:         {name: "RELEASE", in: kReleaseIn},
	OpFsync:           {name: "FSYNC", in: kFsyncIn},
	OpSetxattr:        {name: "SETXATTR", in: kSetxattrIn, tail: tailNameData, unit: 1},
	OpGetxattr:        {name: "GETXATTR", in: kGetxattrIn, tail: tailName, rtail: tailAny},
	OpListxattr:       {name: "LISTXATTR", in: kGetxattrIn, rtail: tailAny},
	OpRemovexattr:     {name: "REMOVEXATTR", tail: tailName},
	OpFlush:           {name: "FLUSH", in: kFlushIn},
	OpInit:            {name: "INIT", in: kInitIn, tail: tailAny, out: kInitOut},
	OpOpendir:         {name: "OPENDIR", in: kOpenIn, out: kOpenOut},
	OpReaddir:         {name: "READDIR", in: kReadIn, rtail: tailAny},
	OpReleasedir:      {name: "RELEASEDIR", in: kReleaseIn},
	OpFsyncdir:        {name: "FSYNCDIR", in: kFsyncIn},
	OpGetlk:           {name: "GETLK", in: kLkIn, out: kLkOut},
	OpSetlk:           {name: "SETLK", in: kLkIn},
	OpSetlkw:          {name: "SETLKW", in: kLkIn},
	OpAccess:          {name: "ACCESS", in: kAccessIn},
	OpCreate:          {name: "CREATE", in: kCreateIn, tail: tailName, out: kEntryOut, out2: kOpenOut},
	OpInterrupt:       {name: "INTERRUPT", in: kInterruptIn},
	OpBmap:            {name: "BMAP", in: kBmapIn, out: kBmapOut},
	OpDestroy:         {name: "DESTROY"},
	OpIoctl:           {name: "IOCTL", in: kIoctlIn, tail: tailData, lenOff: 24, unit: 1, out: kIoctlOut, rtail: tailAny},
	OpPoll:            {name: "POLL", in: kPollIn, out: kPollOut},
	OpNotifyReply:     {name: "NOTIFY_REPLY", in: kNotifyRetrieveIn, tail: tailData, lenOff: 16, unit: 1},
	OpBatchForget:     {name: "BATCH_FORGET", in: kBatchForgetIn, tail: tailData, unit: 16},
	OpFallocate:       {name: "FALLOCATE", in: kFallocateIn},
	OpReaddirplus:     {name: "READDIRPLUS", in: kReadIn, rtail: tailAny},
	OpRename2:         {name: "RENAME2", in: kRename2In, tail: tailName2},
	OpLseek:           {name: "LSEEK", in: kLseekIn, out: kLseekOut},
	OpCopyFileRange:   {name: "COPY_FILE_RANGE", in: kCopyFileRangeIn, out: kWriteOut},
	OpSetupmapping:    {name: "SETUPMAPPING", in: kSetupmappingIn},
	OpRemovemapping:   {name: "REMOVEMAPPING", in: kRemovemappingIn, tail: tailData, unit: 16},
	OpSyncfs:          {name: "SYNCFS", in: kSyncfsIn},
	OpTmpfile:         {name: "TMPFILE", in: kCreateIn, tail: tailName, out: kEntryOut, out2: kOpenOut},
	OpStatx:           {name: "STATX", in: kStatxIn, out: kStatxOut},
	OpCopyFileRange64: {name: "COPY_FILE_RANGE_64", in: kCopyFileRangeIn, out: kCopyFileRangeOut},
}

// The opcodes too far out for the table.
var (
	opCuseInit  = opInfo{name: "CUSE_INIT", in: kCuseInitIn, out: kCuseInitOut, rtail: tailAny}
	opInitBswap = opInfo{name: "INIT_BSWAP_RESERVED", tail: tailAny, rtail: tailAny}
	opCuseBswap = opInfo{name: "CUSE_INIT_BSWAP_RESERVED", tail: tailAny, rtail: tailAny}
	opUnknown   = opInfo{tail: tailAny, rtail: tailAny}
)

// info returns op's layout. An opcode of a newer kernel is all data, so that it
// can be traced, and answered with ENOSYS.
func info(op Opcode) *opInfo {
	if op < Opcode(len(ops)) && ops[op].name != "" {
		return &ops[op]
	}
	switch op {
	case OpCuseInit:
		return &opCuseInit
	case OpInitBswapReserved:
		return &opInitBswap
	case OpCuseInitBswapReserved:
		return &opCuseBswap
	}
	return &opUnknown
}

// Known reports whether op is an opcode of 7.46.
func (o Opcode) Known() bool { return info(o) != &opUnknown }

// String returns the kernel's name without its FUSE_ prefix, or "OP_54" for an
// opcode that 7.46 does not have.
func (o Opcode) String() string {
	if i := info(o); i != &opUnknown {
		return i.name
	}
	return string(o.AppendText(nil))
}

// AppendText appends what String returns. It does not allocate.
func (o Opcode) AppendText(dst []byte) []byte {
	if i := info(o); i != &opUnknown {
		return add(dst, i.name)
	}
	return strconv.AppendUint(add(dst, "OP_"), uint64(o), 10)
}
