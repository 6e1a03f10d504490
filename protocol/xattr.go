package protocol

// SetxattrIn is struct fuse_setxattr_in (16 bytes; CompatSetxattrInSize without
// SETXATTR_EXT). The name, its NUL and Size bytes of value follow.
type SetxattrIn struct {
	Size          uint32 // bytes of the value
	Flags         uint32 // XATTR_CREATE, XATTR_REPLACE
	SetxattrFlags uint32 // 7.33: Setxattr*
	Padding       uint32
}

// Bits of SetxattrIn.SetxattrFlags.
const (
	SetxattrACLKillSgid = 1 << 0 // 7.33: setting system.posix_acl_access clears sgid
)

// GetxattrIn is struct fuse_getxattr_in (8 bytes), for GETXATTR, where the name
// follows, and LISTXATTR.
type GetxattrIn struct {
	Size    uint32 // bytes that there is room for; 0 asks for the size
	Padding uint32
}

// GetxattrOut is struct fuse_getxattr_out (8 bytes): the reply if the request's
// Size is 0.
type GetxattrOut struct {
	Size    uint32 // bytes
	Padding uint32
}
