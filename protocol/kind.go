package protocol

// kind numbers the wire structs. It is the index of the table of sizes and of
// the table of descriptions that the one printer works from.
type kind uint8

const (
	kNone kind = iota
	kAttr
	kSxTime
	kStatx
	kKstatfs
	kFileLock
	kEntryOut
	kForgetIn
	kForgetOne
	kBatchForgetIn
	kGetattrIn
	kAttrOut
	kStatxIn
	kStatxOut
	kMknodIn
	kMkdirIn
	kRenameIn
	kRename2In
	kLinkIn
	kSetattrIn
	kOpenIn
	kCreateIn
	kOpenOut
	kReleaseIn
	kFlushIn
	kReadIn
	kWriteIn
	kWriteOut
	kStatfsOut
	kFsyncIn
	kSetxattrIn
	kGetxattrIn
	kGetxattrOut
	kLkIn
	kLkOut
	kAccessIn
	kInitIn
	kInitOut
	kCuseInitIn
	kCuseInitOut
	kInterruptIn
	kBmapIn
	kBmapOut
	kIoctlIn
	kIoctlIovec
	kIoctlOut
	kPollIn
	kPollOut
	kNotifyPollWakeupOut
	kFallocateIn
	kInHeader
	kOutHeader
	kDirent
	kDirentplus
	kNotifyInvalInodeOut
	kNotifyInvalEntryOut
	kNotifyDeleteOut
	kNotifyStoreOut
	kNotifyRetrieveOut
	kNotifyRetrieveIn
	kNotifyPruneOut
	kBackingMap
	kLseekIn
	kLseekOut
	kCopyFileRangeIn
	kCopyFileRangeOut
	kSetupmappingIn
	kRemovemappingIn
	kRemovemappingOne
	kSyncfsIn
	kSecctx
	kSecctxHeader
	kExtHeader
	kSuppGroups
	kUringEntInOut
	kUringReqHeader
	kUringCmdReq
	kindCount
)

// structSize is the full size of each struct, at the newest minor.
var structSize = [kindCount]uint16{
	kAttr:                88,
	kSxTime:              16,
	kStatx:               256,
	kKstatfs:             80,
	kFileLock:            24,
	kEntryOut:            128,
	kForgetIn:            8,
	kForgetOne:           16,
	kBatchForgetIn:       8,
	kGetattrIn:           16,
	kAttrOut:             104,
	kStatxIn:             24,
	kStatxOut:            288,
	kMknodIn:             16,
	kMkdirIn:             8,
	kRenameIn:            8,
	kRename2In:           16,
	kLinkIn:              8,
	kSetattrIn:           88,
	kOpenIn:              8,
	kCreateIn:            16,
	kOpenOut:             16,
	kReleaseIn:           24,
	kFlushIn:             24,
	kReadIn:              40,
	kWriteIn:             40,
	kWriteOut:            8,
	kStatfsOut:           80,
	kFsyncIn:             16,
	kSetxattrIn:          16,
	kGetxattrIn:          8,
	kGetxattrOut:         8,
	kLkIn:                48,
	kLkOut:               24,
	kAccessIn:            8,
	kInitIn:              64,
	kInitOut:             64,
	kCuseInitIn:          16,
	kCuseInitOut:         72,
	kInterruptIn:         8,
	kBmapIn:              16,
	kBmapOut:             8,
	kIoctlIn:             32,
	kIoctlIovec:          16,
	kIoctlOut:            16,
	kPollIn:              24,
	kPollOut:             8,
	kNotifyPollWakeupOut: 8,
	kFallocateIn:         32,
	kInHeader:            40,
	kOutHeader:           16,
	kDirent:              24,
	kDirentplus:          152,
	kNotifyInvalInodeOut: 24,
	kNotifyInvalEntryOut: 16,
	kNotifyDeleteOut:     24,
	kNotifyStoreOut:      24,
	kNotifyRetrieveOut:   32,
	kNotifyRetrieveIn:    40,
	kNotifyPruneOut:      16,
	kBackingMap:          16,
	kLseekIn:             24,
	kLseekOut:            8,
	kCopyFileRangeIn:     56,
	kCopyFileRangeOut:    8,
	kSetupmappingIn:      40,
	kRemovemappingIn:     4,
	kRemovemappingOne:    16,
	kSyncfsIn:            8,
	kSecctx:              8,
	kSecctxHeader:        8,
	kExtHeader:           8,
	kSuppGroups:          4,
	kUringEntInOut:       32,
	kUringReqHeader:      288,
	kUringCmdReq:         40,
}
