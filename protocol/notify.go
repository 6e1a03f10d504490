package protocol

// NotifyPollWakeupOut is struct fuse_notify_poll_wakeup_out (8 bytes).
type NotifyPollWakeupOut struct {
	Kh uint64
}

// NotifyInvalInodeOut is struct fuse_notify_inval_inode_out (24 bytes).
type NotifyInvalInodeOut struct {
	Ino uint64
	Off int64
	Len int64
}

// NotifyInvalEntryOut is struct fuse_notify_inval_entry_out (16 bytes).
type NotifyInvalEntryOut struct {
	Parent  uint64
	Namelen uint32
	Flags   uint32
}

// NotifyDeleteOut is struct fuse_notify_delete_out (24 bytes).
type NotifyDeleteOut struct {
	Parent  uint64
	Child   uint64
	Namelen uint32
	Padding uint32
}

// NotifyStoreOut is struct fuse_notify_store_out (24 bytes).
type NotifyStoreOut struct {
	Nodeid  uint64
	Offset  uint64
	Size    uint32
	Padding uint32
}

// NotifyRetrieveOut is struct fuse_notify_retrieve_out (32 bytes).
type NotifyRetrieveOut struct {
	NotifyUnique uint64
	Nodeid       uint64
	Offset       uint64
	Size         uint32
	Padding      uint32
}

// NotifyRetrieveIn is struct fuse_notify_retrieve_in (40 bytes).
type NotifyRetrieveIn struct {
	Dummy1 uint64
	Offset uint64
	Size   uint32
	Dummy2 uint32
	Dummy3 uint64
	Dummy4 uint64
}

// NotifyPruneOut is struct fuse_notify_prune_out (16 bytes).
type NotifyPruneOut struct {
	Count   uint32
	Padding uint32
	Spare   uint64
}

// NotifyCode is enum fuse_notify_code.
type NotifyCode int32

const (
	NotifyPoll       NotifyCode = 1
	NotifyInvalInode NotifyCode = 2
	NotifyInvalEntry NotifyCode = 3
	NotifyStore      NotifyCode = 4
	NotifyRetrieve   NotifyCode = 5
	NotifyDelete     NotifyCode = 6
	NotifyResend     NotifyCode = 7
	NotifyIncEpoch   NotifyCode = 8
	NotifyPrune      NotifyCode = 9
)
