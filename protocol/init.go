package protocol

// InitIn is struct fuse_init_in (64 bytes).
type InitIn struct {
	Major        uint32
	Minor        uint32
	MaxReadahead uint32
	Flags        uint32
	Flags2       uint32
	Unused       [11]uint32
}

// InitOut is struct fuse_init_out (64 bytes).
type InitOut struct {
	Major               uint32
	Minor               uint32
	MaxReadahead        uint32
	Flags               uint32
	MaxBackground       uint16
	CongestionThreshold uint16
	MaxWrite            uint32
	TimeGran            uint32
	MaxPages            uint16
	MapAlignment        uint16
	Flags2              uint32
	MaxStackDepth       uint32
	RequestTimeout      uint16
	Unused              [11]uint16
}

// CuseInitIn is struct cuse_init_in (16 bytes).
type CuseInitIn struct {
	Major  uint32
	Minor  uint32
	Unused uint32
	Flags  uint32
}

// CuseInitOut is struct cuse_init_out (72 bytes).
type CuseInitOut struct {
	Major    uint32
	Minor    uint32
	Unused   uint32
	Flags    uint32
	MaxRead  uint32
	MaxWrite uint32
	DevMajor uint32
	DevMinor uint32
	Spare    [10]uint32
}

// InitFlags are the INIT capability bits, flags in the low and flags2 in the high 32 bits.
type InitFlags uint64

const (
	InitAsyncRead         InitFlags = 1 << 0
	InitPosixLocks        InitFlags = 1 << 1
	InitFileOps           InitFlags = 1 << 2
	InitAtomicOTrunc      InitFlags = 1 << 3
	InitExportSupport     InitFlags = 1 << 4
	InitBigWrites         InitFlags = 1 << 5
	InitDontMask          InitFlags = 1 << 6
	InitSpliceWrite       InitFlags = 1 << 7
	InitSpliceMove        InitFlags = 1 << 8
	InitSpliceRead        InitFlags = 1 << 9
	InitFlockLocks        InitFlags = 1 << 10
	InitHasIoctlDir       InitFlags = 1 << 11
	InitAutoInvalData     InitFlags = 1 << 12
	InitDoReaddirplus     InitFlags = 1 << 13
	InitReaddirplusAuto   InitFlags = 1 << 14
	InitAsyncDio          InitFlags = 1 << 15
	InitWritebackCache    InitFlags = 1 << 16
	InitNoOpenSupport     InitFlags = 1 << 17
	InitParallelDirops    InitFlags = 1 << 18
	InitHandleKillpriv    InitFlags = 1 << 19
	InitPosixACL          InitFlags = 1 << 20
	InitAbortError        InitFlags = 1 << 21
	InitMaxPages          InitFlags = 1 << 22
	InitCacheSymlinks     InitFlags = 1 << 23
	InitNoOpendirSupport  InitFlags = 1 << 24
	InitExplicitInvalData InitFlags = 1 << 25
	InitMapAlignment      InitFlags = 1 << 26
	InitSubmounts         InitFlags = 1 << 27
	InitHandleKillprivV2  InitFlags = 1 << 28
	InitSetxattrExt       InitFlags = 1 << 29
	InitExt               InitFlags = 1 << 30
	InitReserved          InitFlags = 1 << 31
	InitSecurityCtx       InitFlags = 1 << 32
	InitHasInodeDAX       InitFlags = 1 << 33
	InitCreateSuppGroup   InitFlags = 1 << 34
	InitHasExpireOnly     InitFlags = 1 << 35
	InitDirectIOAllowMmap InitFlags = 1 << 36
	InitPassthrough       InitFlags = 1 << 37
	InitNoExportSupport   InitFlags = 1 << 38
	InitHasResend         InitFlags = 1 << 39
	InitAllowIdmap        InitFlags = 1 << 40
	InitOverIOUring       InitFlags = 1 << 41
	InitRequestTimeout    InitFlags = 1 << 42
	InitHasIOUringBufpool InitFlags = 1 << 43
)
