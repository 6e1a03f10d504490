package protocol

// Attr is struct fuse_attr (88 bytes).
type Attr struct {
	Ino       uint64
	Size      uint64
	Blocks    uint64
	Atime     uint64
	Mtime     uint64
	Ctime     uint64
	Atimensec uint32
	Mtimensec uint32
	Ctimensec uint32
	Mode      uint32
	Nlink     uint32
	Uid       uint32
	Gid       uint32
	Rdev      uint32
	Blksize   uint32
	Flags     uint32
}

// GetattrIn is struct fuse_getattr_in (16 bytes).
type GetattrIn struct {
	GetattrFlags uint32
	Dummy        uint32
	Fh           uint64
}

// AttrOut is struct fuse_attr_out (104 bytes).
type AttrOut struct {
	AttrValid     uint64
	AttrValidNsec uint32
	Dummy         uint32
	Attr          Attr
}

// SetattrIn is struct fuse_setattr_in (88 bytes).
type SetattrIn struct {
	Valid     uint32
	Padding   uint32
	Fh        uint64
	Size      uint64
	LockOwner uint64
	Atime     uint64
	Mtime     uint64
	Ctime     uint64
	Atimensec uint32
	Mtimensec uint32
	Ctimensec uint32
	Mode      uint32
	Unused4   uint32
	Uid       uint32
	Gid       uint32
	Unused5   uint32
}

// SxTime is struct fuse_sx_time (16 bytes).
type SxTime struct {
	TvSec    int64
	TvNsec   uint32
	Reserved int32
}

// Statx is struct fuse_statx (256 bytes).
type Statx struct {
	Mask           uint32
	Blksize        uint32
	Attributes     uint64
	Nlink          uint32
	Uid            uint32
	Gid            uint32
	Mode           uint16
	Spare0         [1]uint16
	Ino            uint64
	Size           uint64
	Blocks         uint64
	AttributesMask uint64
	Atime          SxTime
	Btime          SxTime
	Ctime          SxTime
	Mtime          SxTime
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	Spare2         [14]uint64
}

// StatxIn is struct fuse_statx_in (24 bytes).
type StatxIn struct {
	GetattrFlags uint32
	Reserved     uint32
	Fh           uint64
	SxFlags      uint32
	SxMask       uint32
}

// StatxOut is struct fuse_statx_out (288 bytes).
type StatxOut struct {
	AttrValid     uint64
	AttrValidNsec uint32
	Flags         uint32
	Spare         [2]uint64
	Stat          Statx
}

// AccessIn is struct fuse_access_in (8 bytes).
type AccessIn struct {
	Mask    uint32
	Padding uint32
}

// Kstatfs is struct fuse_kstatfs (80 bytes).
type Kstatfs struct {
	Blocks  uint64
	Bfree   uint64
	Bavail  uint64
	Files   uint64
	Ffree   uint64
	Bsize   uint32
	Namelen uint32
	Frsize  uint32
	Padding uint32
	Spare   [6]uint32
}

// StatfsOut is struct fuse_statfs_out (80 bytes).
type StatfsOut struct {
	St Kstatfs
}

// SyncfsIn is struct fuse_syncfs_in (8 bytes).
type SyncfsIn struct {
	Padding uint64
}

const (
	FattrMode        = 0x1
	FattrUid         = 0x2
	FattrGid         = 0x4
	FattrSize        = 0x8
	FattrAtime       = 0x10
	FattrMtime       = 0x20
	FattrFh          = 0x40
	FattrAtimeNow    = 0x80
	FattrMtimeNow    = 0x100
	FattrLockowner   = 0x200
	FattrCtime       = 0x400
	FattrKillSuidgid = 0x800
)
