package protocol

// InitIn is struct fuse_init_in (64 bytes; 16 before 7.36, 8 before 7.6).
type InitIn struct {
	Major        uint32
	Minor        uint32
	MaxReadahead uint32 // 7.6: bytes
	Flags        uint32 // 7.6: the low half of the offered InitFlags
	Flags2       uint32 // 7.36: the high half, only with InitExt
	Unused       [11]uint32
}

// InitFlags returns the offered flags.
func (in *InitIn) InitFlags() InitFlags {
	return joinFlags(in.Flags, in.Flags2)
}

// InitOut is struct fuse_init_out (64 bytes; Compat22InitOutSize before 7.23,
// CompatInitOutSize before 7.5). Any length up to 64 is accepted.
type InitOut struct {
	Major               uint32 // 7; anything else refuses the connection
	Minor               uint32 // decides the sizes on this connection
	MaxReadahead        uint32 // 7.6: bytes
	Flags               uint32 // 7.6: the low half of the accepted InitFlags
	MaxBackground       uint16 // 7.13: asynchronous requests in flight, 0 for DefaultMaxBackground
	CongestionThreshold uint16 // 7.13: 0 for DefaultCongestionThreshold
	MaxWrite            uint32 // 7.5: bytes of data in a WRITE, at least 4096
	TimeGran            uint32 // 7.23: granularity of times, 1 to 1e9 nanoseconds
	MaxPages            uint16 // 7.28: pages of data in one request, with InitMaxPages
	MapAlignment        uint16 // 7.31: log2 of the alignment of DAX mappings, with InitMapAlignment
	Flags2              uint32 // 7.36: the high half, only with InitExt
	MaxStackDepth       uint32 // 7.40: 1 or 2, with InitPassthrough
	RequestTimeout      uint16 // 7.43: seconds, with InitRequestTimeout
	Unused              [11]uint16
}

// InitFlags returns the accepted flags.
func (out *InitOut) InitFlags() InitFlags {
	return joinFlags(out.Flags, out.Flags2)
}

// SetInitFlags splits f over Flags and Flags2. InitExt is the caller's to set:
// without it the kernel does not look at Flags2.
func (out *InitOut) SetInitFlags(f InitFlags) {
	out.Flags, out.Flags2 = uint32(f), uint32(f>>32)
}

// joinFlags is fs/fuse/inode.c: process_init_reply's rule.
func joinFlags(lo, hi uint32) InitFlags {
	f := InitFlags(lo)
	if f&InitExt != 0 {
		f |= InitFlags(hi) << 32
	}
	return f
}

// What the kernel takes for limits that INIT leaves open (fs/fuse/fuse_i.h,
// inode.c).
const (
	DefaultMaxBackground       = 12
	DefaultCongestionThreshold = 9
	DefaultMaxPagesPerReq      = 32  // without InitMaxPages
	MaxPagesLimitDefault       = 256 // sysctl fs.fuse.max_pages_limit
)

// InitFlags are the capability bits of INIT: flags in the low and flags2 in the
// high 32 bits. A bit is in force if it was offered and accepted.
type InitFlags uint64

// The INIT flags, with the minor that introduced each.
const (
	InitAsyncRead         InitFlags = 1 << 0  // 7.6: several READs of one file at once
	InitPosixLocks        InitFlags = 1 << 1  // 7.7: GETLK, SETLK and SETLKW for fcntl(2) locks
	InitFileOps           InitFlags = 1 << 2  // 7.9: never implemented
	InitAtomicOTrunc      InitFlags = 1 << 3  // 7.9: O_TRUNC is passed to OPEN, no SETATTR comes first
	InitExportSupport     InitFlags = 1 << 4  // 7.9: LOOKUP of "." and ".." works, for NFS
	InitBigWrites         InitFlags = 1 << 5  // 7.9: WRITEs of more than a page
	InitDontMask          InitFlags = 1 << 6  // 7.12: the umask is sent and not applied
	InitSpliceWrite       InitFlags = 1 << 7  // 7.14: the device can be spliced to
	InitSpliceMove        InitFlags = 1 << 8  // 7.14: spliced pages may move
	InitSpliceRead        InitFlags = 1 << 9  // 7.14: the device can be spliced from
	InitFlockLocks        InitFlags = 1 << 10 // 7.17: SETLK and SETLKW for flock(2) locks
	InitHasIoctlDir       InitFlags = 1 << 11 // 7.18: IOCTL on directories
	InitAutoInvalData     InitFlags = 1 << 12 // 7.20: a new mtime or size drops cached data
	InitDoReaddirplus     InitFlags = 1 << 13 // 7.21: READDIRPLUS instead of READDIR
	InitReaddirplusAuto   InitFlags = 1 << 14 // 7.21: only when the caller looks the entries up
	InitAsyncDio          InitFlags = 1 << 15 // 7.22: direct I/O split into requests at once
	InitWritebackCache    InitFlags = 1 << 16 // 7.23: writes are cached, the kernel keeps size and mtime
	InitNoOpenSupport     InitFlags = 1 << 17 // 7.23: ENOSYS to OPEN means no opens at all
	InitParallelDirops    InitFlags = 1 << 18 // 7.25: LOOKUP and READDIR of one directory at once
	InitHandleKillpriv    InitFlags = 1 << 19 // 7.26: the server clears suid, sgid and capabilities
	InitPosixACL          InitFlags = 1 << 20 // 7.26: the kernel checks ACLs; implies default_permissions
	InitAbortError        InitFlags = 1 << 21 // 7.27: read(2) after an abort fails with ECONNABORTED
	InitMaxPages          InitFlags = 1 << 22 // 7.28: InitOut.MaxPages is valid
	InitCacheSymlinks     InitFlags = 1 << 23 // 7.28: targets of symbolic links are cached
	InitNoOpendirSupport  InitFlags = 1 << 24 // 7.29: ENOSYS to OPENDIR means no OPENDIRs at all
	InitExplicitInvalData InitFlags = 1 << 25 // 7.30: only notifications drop cached data
	InitMapAlignment      InitFlags = 1 << 26 // 7.31: InitOut.MapAlignment is valid
	InitSubmounts         InitFlags = 1 << 27 // 7.32: AttrSubmount makes an automatic mount
	InitHandleKillprivV2  InitFlags = 1 << 28 // 7.33: as InitHandleKillpriv, on *KillSuidgid only
	InitSetxattrExt       InitFlags = 1 << 29 // 7.33: SetxattrIn has 16 bytes
	InitExt               InitFlags = 1 << 30 // 7.36: flags2 is valid
	InitReserved          InitFlags = 1 << 31 // 7.36: not to be used
	InitSecurityCtx       InitFlags = 1 << 32 // 7.36: creating requests carry the security context
	InitHasInodeDAX       InitFlags = 1 << 33 // 7.36: AttrDAX
	InitCreateSuppGroup   InitFlags = 1 << 34 // 7.38: creating requests carry a supplementary group
	InitHasExpireOnly     InitFlags = 1 << 35 // 7.38: ExpireOnly
	InitDirectIOAllowMmap InitFlags = 1 << 36 // 7.39: shared mmap(2) of FopenDirectIO files
	InitPassthrough       InitFlags = 1 << 37 // 7.40: FopenPassthrough
	InitNoExportSupport   InitFlags = 1 << 38 // 7.40: file handles do not survive the inode cache
	InitHasResend         InitFlags = 1 << 39 // 7.40: NotifyResend
	InitAllowIdmap        InitFlags = 1 << 40 // 7.41: id-mapped mounts
	InitOverIOUring       InitFlags = 1 << 41 // 7.42: requests through io_uring
	InitRequestTimeout    InitFlags = 1 << 42 // 7.43: InitOut.RequestTimeout is valid
	InitHasIOUringBufpool InitFlags = 1 << 43 // 7.46: IOUringCmdAddQueue and IOUringCmdAddBufpool

	InitDirectIORelax = InitDirectIOAllowMmap // its name in 7.39
)

// CuseInitIn is struct cuse_init_in (16 bytes).
type CuseInitIn struct {
	Major  uint32
	Minor  uint32
	Unused uint32
	Flags  uint32 // Cuse*
}

// CuseInitOut is struct cuse_init_out (72 bytes). The device's properties
// follow, at most CuseInitInfoMax bytes of "KEY=value" with a NUL each.
type CuseInitOut struct {
	Major    uint32
	Minor    uint32
	Unused   uint32
	Flags    uint32 // Cuse*
	MaxRead  uint32 // bytes
	MaxWrite uint32 // bytes
	DevMajor uint32
	DevMinor uint32
	Spare    [10]uint32
}

// CUSE, character devices served by a process.
const (
	CuseUnrestrictedIoctl = 1 << 0 // flag: IOCTL may ask for memory with IoctlRetry
	CuseInitInfoMax       = 4096   // bytes behind CuseInitOut
)
