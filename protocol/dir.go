package protocol

// Dirent is struct fuse_dirent (24 bytes).
type Dirent struct {
	Ino     uint64
	Off     uint64
	Namelen uint32
	Type    uint32
}

// Direntplus is struct fuse_direntplus (152 bytes).
type Direntplus struct {
	EntryOut EntryOut
	Dirent   Dirent
}
