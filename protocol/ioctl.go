package protocol

// IoctlIn is struct fuse_ioctl_in (32 bytes, 7.11). InSize bytes of data follow.
type IoctlIn struct {
	Fh      uint64
	Flags   uint32 // Ioctl*
	Cmd     uint32
	Arg     uint64 // the caller's pointer
	InSize  uint32 // bytes that follow
	OutSize uint32 // bytes that the reply has room for
}

// Bits of IoctlIn.Flags, and of IoctlOut.Flags the one marked.
const (
	IoctlCompat       = 1 << 0 // a 32-bit caller on a 64-bit kernel
	IoctlUnrestricted = 1 << 1 // CUSE: IoctlRetry is allowed
	IoctlRetry        = 1 << 2 // out: send again, with the memory that the IoctlIovecs name
	Ioctl32bit        = 1 << 3 // 7.16: the caller's integers have 32 bits
	IoctlDir          = 1 << 4 // 7.18: on a directory
	IoctlCompatX32    = 1 << 5 // 7.30: an x32 caller
)

// IoctlMaxIov is the most IoctlIovec in a reply, in both directions together.
const IoctlMaxIov = 256

// IoctlIovec is struct fuse_ioctl_iovec (16 bytes, 7.16): a piece of the caller's
// memory.
type IoctlIovec struct {
	Base uint64
	Len  uint64 // bytes
}

// IoctlOut is struct fuse_ioctl_out (16 bytes, 7.11). Data follows, or, with
// IoctlRetry, InIovs + OutIovs IoctlIovec.
type IoctlOut struct {
	Result  int32 // what ioctl(2) returns
	Flags   uint32
	InIovs  uint32
	OutIovs uint32
}

// ioctl(2) numbers of /dev/fuse. Their upper bits are direction and size of the
// argument, packed in one of two ways by architecture (ioctl_bits.go, and
// ioctl_bits_other.go for mips, ppc64 and sparc64).
const (
	DevIocMagic        = 229
	DevIocClone        = iocRead<<iocDirShift | 4<<16 | DevIocMagic<<8       // *uint32: join the connection of this descriptor
	DevIocBackingOpen  = iocWrite<<iocDirShift | 16<<16 | DevIocMagic<<8 | 1 // 7.40, *BackingMap: returns a backing id
	DevIocBackingClose = iocWrite<<iocDirShift | 4<<16 | DevIocMagic<<8 | 2  // 7.40, *uint32: gives one back
	DevIocSyncInit     = iocNone<<iocDirShift | DevIocMagic<<8 | 3           // Linux 6.18, no argument: mount(2) is to wait for INIT
)

// BackingMap is struct fuse_backing_map (16 bytes, 7.40).
type BackingMap struct {
	Fd      int32
	Flags   uint32 // 0
	Padding uint64
}
