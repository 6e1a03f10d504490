package protocol

// RootID is the nodeid of the mount's root (FUSE_ROOT_ID). It is never looked up.
const RootID = 1

// Limits of names (fs/fuse/fuse_i.h; they are not part of the uapi header).
const (
	NameMax    = 4095 // longest name, bytes, if max_pages is above 1
	NameLowMax = 1024 // and else
)

// EntryOut is struct fuse_entry_out (128 bytes; CompatEntryOutSize before 7.9):
// the reply to LOOKUP and whatever makes an object. Each one that the kernel
// accepts, Nodeid not being 0, adds one to the node's nlookup.
type EntryOut struct {
	Nodeid         uint64 // 0 in a LOOKUP reply: no such name, and that may be cached
	Generation     uint64 // differs whenever a nodeid is used again
	EntryValid     uint64 // seconds for which the kernel may keep the name
	AttrValid      uint64 // seconds for which the kernel may keep Attr
	EntryValidNsec uint32 // and nanoseconds
	AttrValidNsec  uint32 // and nanoseconds
	Attr           Attr
}

// ForgetIn is struct fuse_forget_in (8 bytes). There is no reply.
type ForgetIn struct {
	Nlookup uint64 // to subtract from that of InHeader.Nodeid
}

// ForgetOne is struct fuse_forget_one (16 bytes, 7.16).
type ForgetOne struct {
	Nodeid  uint64
	Nlookup uint64
}

// BatchForgetIn is struct fuse_batch_forget_in (8 bytes, 7.16). Count ForgetOne
// follow. There is no reply.
type BatchForgetIn struct {
	Count uint32
	Dummy uint32
}

// MknodIn is struct fuse_mknod_in (16 bytes; CompatMknodInSize before 7.12).
type MknodIn struct {
	Mode    uint32
	Rdev    uint32 // as new_encode_dev packs it
	Umask   uint32 // 7.12: already applied to Mode unless DONT_MASK
	Padding uint32
}

// MkdirIn is struct fuse_mkdir_in (8 bytes).
type MkdirIn struct {
	Mode  uint32 // without S_IFDIR
	Umask uint32 // 7.12, before: padding
}

// RenameIn is struct fuse_rename_in (8 bytes). InHeader.Nodeid is the old directory.
type RenameIn struct {
	Newdir uint64 // nodeid
}

// Rename2In is struct fuse_rename2_in (16 bytes, 7.23).
type Rename2In struct {
	Newdir  uint64 // nodeid
	Flags   uint32 // RENAME_*, not 0
	Padding uint32
}

// LinkIn is struct fuse_link_in (8 bytes). InHeader.Nodeid is the new directory.
type LinkIn struct {
	Oldnodeid uint64
}

// Sizes of structs before the minor that made them longer.
const (
	CompatEntryOutSize   = 120 // EntryOut before 7.9
	CompatAttrOutSize    = 96  // AttrOut before 7.9
	CompatMknodInSize    = 8   // MknodIn before 7.12; CreateIn likewise
	CompatWriteInSize    = 24  // WriteIn before 7.9
	CompatStatfsSize     = 48  // StatfsOut before 7.4
	CompatSetxattrInSize = 8   // SetxattrIn without SETXATTR_EXT
	CompatInitOutSize    = 8   // InitOut before 7.5
	Compat22InitOutSize  = 24  // InitOut before 7.23
)
