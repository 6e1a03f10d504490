package protocol

// SetxattrIn is struct fuse_setxattr_in (16 bytes).
type SetxattrIn struct {
	Size          uint32
	Flags         uint32
	SetxattrFlags uint32
	Padding       uint32
}

// GetxattrIn is struct fuse_getxattr_in (8 bytes).
type GetxattrIn struct {
	Size    uint32
	Padding uint32
}

// GetxattrOut is struct fuse_getxattr_out (8 bytes).
type GetxattrOut struct {
	Size    uint32
	Padding uint32
}
