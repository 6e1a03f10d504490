package uring

// Flags of Options.Flags, as IORING_SETUP_*.
const (
	SetupIOPoll       = 1 << 0
	SetupSQPoll       = 1 << 1 // refused by this package
	SetupCQSize       = 1 << 3 // set by Options.CQEntries
	SetupClamp        = 1 << 4
	SetupAttachWQ     = 1 << 5
	SetupRDisabled    = 1 << 6
	SetupSubmitAll    = 1 << 7
	SetupCoopTaskrun  = 1 << 8
	SetupTaskrunFlag  = 1 << 9
	SetupSQE128       = 1 << 10
	SetupSingleIssuer = 1 << 12
	SetupDeferTaskrun = 1 << 13
	SetupNoSQArray    = 1 << 16
	SetupSQEMixed     = 1 << 19
)

// Features of a kernel, as IORING_FEAT_*.
const (
	FeatSingleMmap   = 1 << 0
	FeatNoDrop       = 1 << 1
	FeatSubmitStable = 1 << 2
	FeatExtArg       = 1 << 8
	FeatCQESkip      = 1 << 11
)

// Operations, as IORING_OP_*: those used here and by those who share this
// binding. Any other number may be put into an SQE as well.
const (
	OpNop         = 0
	OpReadv       = 1
	OpWritev      = 2
	OpFsync       = 3
	OpReadFixed   = 4
	OpWriteFixed  = 5
	OpPollAdd     = 6
	OpTimeout     = 11
	OpAsyncCancel = 14
	OpLinkTimeout = 15
	OpFallocate   = 17
	OpRead        = 22
	OpWrite       = 23
	OpSplice      = 30
	OpMsgRing     = 40
	OpURingCmd    = 46
	OpReadvFixed  = 60
	OpWritevFixed = 61
	OpNop128      = 63
	OpURingCmd128 = 64
)

// Bits of SQE.Flags, as IOSQE_*.
const (
	SQEFixedFile      = 1 << 0
	SQEIODrain        = 1 << 1
	SQEIOLink         = 1 << 2
	SQEIOHardlink     = 1 << 3
	SQEAsync          = 1 << 4
	SQECQESkipSuccess = 1 << 6
)

// Bits of SQE.OpFlags.
const (
	FsyncDatasync    = 1 << 0 // OpFsync
	URingCmdFixed    = 1 << 0 // OpURingCmd: Buf is a registered buffer
	CancelAll        = 1 << 0 // OpAsyncCancel: every match, not the first only
	CancelFD         = 1 << 1 // OpAsyncCancel: by descriptor, not by UserData
	CancelAny        = 1 << 2 // OpAsyncCancel: whatever there is
	TimeoutETimeSucc = 1 << 5 // OpTimeout: running out is no failure
)

// Bits of CQE.Flags.
const (
	CQEBuffer = 1 << 0
	CQEMore   = 1 << 1 // this request will post more completions
	CQENotif  = 1 << 3
)

const (
	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2

	enterGetEvents      = 1 << 0
	enterExtArg         = 1 << 3
	enterRegisteredRing = 1 << 4

	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

// Numbers of io_uring_register(2).
const (
	regBuffers        = 0
	unregBuffers      = 1
	regFiles          = 2
	unregFiles        = 3
	regEventFD        = 4
	unregEventFD      = 5
	regFilesUpdate    = 6
	regProbe          = 8
	regEnableRings    = 12
	regFiles2         = 13
	regBuffers2       = 15
	regBuffersUpdate  = 16
	regIOWQMaxWorkers = 19
	regRingFDs        = 20
	unregRingFDs      = 21

	rsrcSparse = 1 << 0
)

// The structures of setup, enter and register, as the kernel lays them out.
type (
	params struct {
		sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
		resv                                                                   [3]uint32
		sq                                                                     sqOffsets
		cq                                                                     cqOffsets
	}
	sqOffsets struct {
		head, tail, mask, entries, flags, dropped, array, resv1 uint32
		userAddr                                                uint64
	}
	cqOffsets struct {
		head, tail, mask, entries, overflow, cqes, flags, resv1 uint32
		userAddr                                                uint64
	}
	eventsArg struct {
		sigmask             uint64
		sigmaskSz, minWaitU uint32
		ts                  uint64
	}
	timespec struct{ sec, nsec int64 } // 64 bits each, everywhere

	rsrcRegister struct {
		nr, flags         uint32
		resv2, data, tags uint64
	}
	rsrcUpdate struct {
		offset, resv uint32
		data         uint64
	}
	rsrcUpdate2 struct {
		offset, resv uint32
		data, tags   uint64
		nr, resv2    uint32
	}
	probeHead struct {
		lastOp, opsLen uint8
		resv           uint16
		resv2          [3]uint32
	}
	probeOp struct {
		op, resv uint8
		flags    uint16
		resv2    uint32
	}
)
