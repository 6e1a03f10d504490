package protocol

// IoctlIn is struct fuse_ioctl_in (32 bytes).
type IoctlIn struct {
	Fh      uint64
	Flags   uint32
	Cmd     uint32
	Arg     uint64
	InSize  uint32
	OutSize uint32
}

// IoctlIovec is struct fuse_ioctl_iovec (16 bytes).
type IoctlIovec struct {
	Base uint64
	Len  uint64
}

// IoctlOut is struct fuse_ioctl_out (16 bytes).
type IoctlOut struct {
	Result  int32
	Flags   uint32
	InIovs  uint32
	OutIovs uint32
}
