package protocol

// NotifyCode is enum fuse_notify_code: what a message of Unique 0 says.
type NotifyCode int32

// The notifications, with the minor that introduced each. They are never sent
// through io_uring.
const (
	NotifyPoll       NotifyCode = 1 // 7.11: wake who polls
	NotifyInvalInode NotifyCode = 2 // 7.12: drop attributes and a range of data
	NotifyInvalEntry NotifyCode = 3 // 7.12: drop a name
	NotifyStore      NotifyCode = 4 // 7.15: put data into the page cache
	NotifyRetrieve   NotifyCode = 5 // 7.15: get data from it, by a NOTIFY_REPLY
	NotifyDelete     NotifyCode = 6 // 7.18: drop a name, its object is gone
	NotifyResend     NotifyCode = 7 // 7.40: send all unanswered requests again; no argument
	NotifyIncEpoch   NotifyCode = 8 // 7.44: look all names up again; no argument
	NotifyPrune      NotifyCode = 9 // 7.45: let go of unused inodes
)

// NotifyPollWakeupOut is struct fuse_notify_poll_wakeup_out (8 bytes, 7.11).
type NotifyPollWakeupOut struct {
	Kh uint64 // PollIn.Kh
}

// NotifyInvalInodeOut is struct fuse_notify_inval_inode_out (24 bytes, 7.12).
type NotifyInvalInodeOut struct {
	Ino uint64 // nodeid
	Off int64  // below 0: attributes only
	Len int64  // 0 or below: to the end
}

// NotifyInvalEntryOut is struct fuse_notify_inval_entry_out (16 bytes, 7.12).
// The name and a NUL follow.
type NotifyInvalEntryOut struct {
	Parent  uint64 // nodeid
	Namelen uint32 // bytes, without the NUL
	Flags   uint32 // 7.38: ExpireOnly
}

// Bits of NotifyInvalEntryOut.Flags.
const (
	ExpireOnly = 1 << 0 // 7.38: look the name up again, but keep it until then
)

// NotifyDeleteOut is struct fuse_notify_delete_out (24 bytes, 7.18). The name
// and a NUL follow.
type NotifyDeleteOut struct {
	Parent  uint64 // nodeid
	Child   uint64 // nodeid
	Namelen uint32 // bytes, without the NUL
	Padding uint32
}

// NotifyStoreOut is struct fuse_notify_store_out (24 bytes, 7.15). Size bytes of
// data follow.
type NotifyStoreOut struct {
	Nodeid  uint64
	Offset  uint64 // bytes
	Size    uint32 // bytes
	Padding uint32
}

// NotifyRetrieveOut is struct fuse_notify_retrieve_out (32 bytes, 7.15).
type NotifyRetrieveOut struct {
	NotifyUnique uint64 // becomes InHeader.Unique of the NOTIFY_REPLY
	Nodeid       uint64
	Offset       uint64 // bytes
	Size         uint32 // bytes
	Padding      uint32
}

// NotifyRetrieveIn is struct fuse_notify_retrieve_in (40 bytes, 7.15), the
// argument of NOTIFY_REPLY, laid out like a WriteIn. Size bytes of data follow.
type NotifyRetrieveIn struct {
	Dummy1 uint64
	Offset uint64 // bytes
	Size   uint32 // bytes, maybe fewer than were asked for
	Dummy2 uint32
	Dummy3 uint64
	Dummy4 uint64
}

// NotifyPruneOut is struct fuse_notify_prune_out (16 bytes, 7.45). Count nodeids
// follow, each a uint64.
type NotifyPruneOut struct {
	Count   uint32
	Padding uint32
	Spare   uint64
}
