package protocol

// Secctx is struct fuse_secctx (8 bytes).
type Secctx struct {
	Size    uint32
	Padding uint32
}

// SecctxHeader is struct fuse_secctx_header (8 bytes).
type SecctxHeader struct {
	Size     uint32
	NrSecctx uint32
}

// ExtHeader is struct fuse_ext_header (8 bytes).
type ExtHeader struct {
	Size uint32
	Type uint32
}

// SuppGroups is struct fuse_supp_groups (4 bytes).
type SuppGroups struct {
	NrGroups uint32
}
