package protocol

// Attr is struct fuse_attr (88 bytes; 80 before 7.9, without Blksize and Flags):
// the attributes of an inode. A file type that changes, an unknown one, or a
// Size above 1<<63-1 makes the kernel call the inode bad: EIO until forgotten.
type Attr struct {
	Ino       uint64 // inode number that stat(2) shows; not a nodeid
	Size      uint64 // bytes
	Blocks    uint64 // in units of 512 bytes
	Atime     uint64 // seconds, a signed number
	Mtime     uint64 // seconds, a signed number
	Ctime     uint64 // seconds, a signed number
	Atimensec uint32 // below 1e9
	Mtimensec uint32 // below 1e9
	Ctimensec uint32 // below 1e9
	Mode      uint32 // S_IFMT and permission bits
	Nlink     uint32
	Uid       uint32 // in the mount's user namespace
	Gid       uint32 // in the mount's user namespace
	Rdev      uint32 // of a device node, as new_encode_dev packs it
	Blksize   uint32 // 7.9: preferred I/O size, 0 for the page size
	Flags     uint32 // 7.32: Attr*
}

// Bits of Attr.Flags.
const (
	AttrSubmount = 1 << 0 // 7.32: the root of a submount, if SUBMOUNTS
	AttrDAX      = 1 << 1 // 7.36: use DAX, if HAS_INODE_DAX
)

// GetattrIn is struct fuse_getattr_in (16 bytes, 7.9).
type GetattrIn struct {
	GetattrFlags uint32 // Getattr*
	Dummy        uint32
	Fh           uint64 // only with GetattrFh
}

// Bits of GetattrIn.GetattrFlags and StatxIn.GetattrFlags.
const (
	GetattrFh = 1 << 0 // Fh is valid
)

// AttrOut is struct fuse_attr_out (104 bytes; CompatAttrOutSize before 7.9):
// the reply to GETATTR and SETATTR.
type AttrOut struct {
	AttrValid     uint64 // seconds for which the kernel may keep Attr
	AttrValidNsec uint32 // and nanoseconds
	Dummy         uint32
	Attr          Attr
}

// SetattrIn is struct fuse_setattr_in (88 bytes).
type SetattrIn struct {
	Valid     uint32 // Fattr*: which of the fields are meant
	Padding   uint32
	Fh        uint64 // FattrFh: ftruncate(2) and the like
	Size      uint64 // FattrSize
	LockOwner uint64 // 7.9: FattrLockowner
	Atime     uint64 // FattrAtime, seconds
	Mtime     uint64 // FattrMtime, seconds
	Ctime     uint64 // 7.23: FattrCtime, seconds; write-back cache only
	Atimensec uint32
	Mtimensec uint32
	Ctimensec uint32 // 7.23
	Mode      uint32 // FattrMode
	Unused4   uint32
	Uid       uint32 // FattrUid
	Gid       uint32 // FattrGid
	Unused5   uint32
}

// Bits of SetattrIn.Valid.
const (
	FattrMode        = 1 << 0
	FattrUid         = 1 << 1
	FattrGid         = 1 << 2
	FattrSize        = 1 << 3
	FattrAtime       = 1 << 4
	FattrMtime       = 1 << 5
	FattrFh          = 1 << 6
	FattrAtimeNow    = 1 << 7  // 7.9: the server's clock, not Atime
	FattrMtimeNow    = 1 << 8  // 7.9: the server's clock, not Mtime
	FattrLockowner   = 1 << 9  // 7.9
	FattrCtime       = 1 << 10 // 7.23
	FattrKillSuidgid = 1 << 11 // 7.33: clear suid and sgid, if HANDLE_KILLPRIV_V2
)

// SxTime is struct fuse_sx_time (16 bytes, 7.39).
type SxTime struct {
	TvSec    int64
	TvNsec   uint32
	Reserved int32
}

// Statx is struct fuse_statx (256 bytes, 7.39), laid out as struct statx.
type Statx struct {
	Mask           uint32 // STATX_*: which fields are filled in
	Blksize        uint32
	Attributes     uint64 // STATX_ATTR_*
	Nlink          uint32
	Uid            uint32
	Gid            uint32
	Mode           uint16
	Spare0         [1]uint16
	Ino            uint64
	Size           uint64 // bytes
	Blocks         uint64 // in units of 512 bytes
	AttributesMask uint64 // which bits of Attributes are supported
	Atime          SxTime
	Btime          SxTime // creation
	Ctime          SxTime
	Mtime          SxTime
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	Spare2         [14]uint64
}

// StatxIn is struct fuse_statx_in (24 bytes, 7.39).
type StatxIn struct {
	GetattrFlags uint32 // Getattr*
	Reserved     uint32
	Fh           uint64 // only with GetattrFh
	SxFlags      uint32 // AT_STATX_*
	SxMask       uint32 // STATX_*
}

// StatxOut is struct fuse_statx_out (288 bytes, 7.39).
type StatxOut struct {
	AttrValid     uint64 // seconds for which the kernel may keep Stat
	AttrValidNsec uint32 // and nanoseconds
	Flags         uint32
	Spare         [2]uint64
	Stat          Statx
}

// AccessIn is struct fuse_access_in (8 bytes).
type AccessIn struct {
	Mask    uint32 // R_OK, W_OK, X_OK or F_OK
	Padding uint32
}

// Kstatfs is struct fuse_kstatfs (80 bytes; CompatStatfsSize before 7.4).
type Kstatfs struct {
	Blocks  uint64 // in units of Frsize
	Bfree   uint64
	Bavail  uint64
	Files   uint64
	Ffree   uint64
	Bsize   uint32 // preferred I/O size
	Namelen uint32 // longest name, bytes
	Frsize  uint32 // 7.4: fragment size, bytes
	Padding uint32
	Spare   [6]uint32
}

// StatfsOut is struct fuse_statfs_out (80 bytes; CompatStatfsSize before 7.4).
type StatfsOut struct {
	St Kstatfs
}

// SyncfsIn is struct fuse_syncfs_in (8 bytes, 7.34).
type SyncfsIn struct {
	Padding uint64
}
