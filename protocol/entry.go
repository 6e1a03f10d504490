package protocol

// EntryOut is struct fuse_entry_out (128 bytes).
type EntryOut struct {
	Nodeid         uint64
	Generation     uint64
	EntryValid     uint64
	AttrValid      uint64
	EntryValidNsec uint32
	AttrValidNsec  uint32
	Attr           Attr
}

// ForgetIn is struct fuse_forget_in (8 bytes).
type ForgetIn struct {
	Nlookup uint64
}

// ForgetOne is struct fuse_forget_one (16 bytes).
type ForgetOne struct {
	Nodeid  uint64
	Nlookup uint64
}

// BatchForgetIn is struct fuse_batch_forget_in (8 bytes).
type BatchForgetIn struct {
	Count uint32
	Dummy uint32
}

// MknodIn is struct fuse_mknod_in (16 bytes).
type MknodIn struct {
	Mode    uint32
	Rdev    uint32
	Umask   uint32
	Padding uint32
}

// MkdirIn is struct fuse_mkdir_in (8 bytes).
type MkdirIn struct {
	Mode  uint32
	Umask uint32
}

// RenameIn is struct fuse_rename_in (8 bytes).
type RenameIn struct {
	Newdir uint64
}

// Rename2In is struct fuse_rename2_in (16 bytes).
type Rename2In struct {
	Newdir  uint64
	Flags   uint32
	Padding uint32
}

// LinkIn is struct fuse_link_in (8 bytes).
type LinkIn struct {
	Oldnodeid uint64
}
