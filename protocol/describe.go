package protocol

// describe holds one line a struct: its fields in the order of the wire, each as
// name:type, without a gap. One function prints them all (a printer a struct
// would be ten times the size), and the tests swap byte order and compare
// offsets by it. Types:
//
//	U X I    uint64 in decimal, uint64 in hexadecimal, int64
//	u x o i  uint32 in decimal, hexadecimal or octal, int32
//	w q      uint16 in decimal or octal
//	f F      uint32 or uint64 of flags; the next letter is a key of flagKeys
//	P p h b  reserved: 64, 32, 16 or 8 bits, times the number that follows
//	N        uint64, an id of a request
//	{        a struct; the next letter is a key of nested
var describe = [kindCount]string{
	kAttr:                "ino:U size:U blocks:U atime:I mtime:I ctime:I atimensec:u mtimensec:u ctimensec:u mode:o nlink:u uid:u gid:u rdev:u blksize:u flags:fA",
	kSxTime:              "tv_sec:I tv_nsec:u reserved:p",
	kStatx:               "mask:u blksize:u attributes:X nlink:u uid:u gid:u mode:q spare0:h ino:U size:U blocks:U attributes_mask:X atime:{t btime:{t ctime:{t mtime:{t rdev_major:u rdev_minor:u dev_major:u dev_minor:u spare2:P14",
	kKstatfs:             "blocks:U bfree:U bavail:U files:U ffree:U bsize:u namelen:u frsize:u padding:p spare:p6",
	kFileLock:            "start:U end:U type:u pid:u",
	kEntryOut:            "nodeid:U generation:U entry_valid:U attr_valid:U entry_valid_nsec:u attr_valid_nsec:u attr:{a",
	kForgetIn:            "nlookup:U",
	kForgetOne:           "nodeid:U nlookup:U",
	kBatchForgetIn:       "count:u dummy:p",
	kGetattrIn:           "getattr_flags:fG dummy:p fh:X",
	kAttrOut:             "attr_valid:U attr_valid_nsec:u dummy:p attr:{a",
	kStatxIn:             "getattr_flags:fG reserved:p fh:X sx_flags:x sx_mask:x",
	kStatxOut:            "attr_valid:U attr_valid_nsec:u flags:x spare:P2 stat:{x",
	kMknodIn:             "mode:o rdev:u umask:o padding:p",
	kMkdirIn:             "mode:o umask:o",
	kRenameIn:            "newdir:U",
	kRename2In:           "newdir:U flags:x padding:p",
	kLinkIn:              "oldnodeid:U",
	kSetattrIn:           "valid:fS padding:p fh:X size:U lock_owner:X atime:I mtime:I ctime:I atimensec:u mtimensec:u ctimensec:u mode:o unused4:p uid:u gid:u unused5:p",
	kOpenIn:              "flags:x open_flags:fO",
	kCreateIn:            "flags:x mode:o umask:o open_flags:fO",
	kOpenOut:             "fh:X open_flags:fF backing_id:i",
	kReleaseIn:           "fh:X flags:x release_flags:fR lock_owner:X",
	kFlushIn:             "fh:X unused:p padding:p lock_owner:X",
	kReadIn:              "fh:X offset:U size:u read_flags:fr lock_owner:X flags:x padding:p",
	kWriteIn:             "fh:X offset:U size:u write_flags:fW lock_owner:X flags:x padding:p",
	kWriteOut:            "size:u padding:p",
	kStatfsOut:           "st:{k",
	kFsyncIn:             "fh:X fsync_flags:fY padding:p",
	kSetxattrIn:          "size:u flags:x setxattr_flags:fX padding:p",
	kGetxattrIn:          "size:u padding:p",
	kGetxattrOut:         "size:u padding:p",
	kLkIn:                "fh:X owner:X lk:{l lk_flags:fL padding:p",
	kLkOut:               "lk:{l",
	kAccessIn:            "mask:u padding:p",
	kInitIn:              "major:u minor:u max_readahead:u flags:f1 flags2:f2 unused:p11",
	kInitOut:             "major:u minor:u max_readahead:u flags:f1 max_background:w congestion_threshold:w max_write:u time_gran:u max_pages:w map_alignment:w flags2:f2 max_stack_depth:u request_timeout:w unused:h11",
	kCuseInitIn:          "major:u minor:u unused:p flags:fC",
	kCuseInitOut:         "major:u minor:u unused:p flags:fC max_read:u max_write:u dev_major:u dev_minor:u spare:p10",
	kInterruptIn:         "unique:N",
	kBmapIn:              "block:U blocksize:u padding:p",
	kBmapOut:             "block:U",
	kIoctlIn:             "fh:X flags:fI cmd:x arg:X in_size:u out_size:u",
	kIoctlIovec:          "base:X len:U",
	kIoctlOut:            "result:i flags:fI in_iovs:u out_iovs:u",
	kPollIn:              "fh:X kh:X flags:fP events:x",
	kPollOut:             "revents:x padding:p",
	kNotifyPollWakeupOut: "kh:X",
	kFallocateIn:         "fh:X offset:U length:U mode:x padding:p",
	kInHeader:            "len:u opcode:u unique:N nodeid:U uid:u gid:u pid:u total_extlen:w padding:h",
	kOutHeader:           "len:u error:i unique:N",
	kDirent:              "ino:U off:U namelen:u type:u",
	kDirentplus:          "entry_out:{e dirent:{d",
	kNotifyInvalInodeOut: "ino:U off:I len:I",
	kNotifyInvalEntryOut: "parent:U namelen:u flags:fE",
	kNotifyDeleteOut:     "parent:U child:U namelen:u padding:p",
	kNotifyStoreOut:      "nodeid:U offset:U size:u padding:p",
	kNotifyRetrieveOut:   "notify_unique:U nodeid:U offset:U size:u padding:p",
	kNotifyRetrieveIn:    "dummy1:P offset:U size:u dummy2:p dummy3:P dummy4:P",
	kNotifyPruneOut:      "count:u padding:p spare:P",
	kBackingMap:          "fd:i flags:x padding:P",
	kLseekIn:             "fh:X offset:U whence:u padding:p",
	kLseekOut:            "offset:U",
	kCopyFileRangeIn:     "fh_in:X off_in:U nodeid_out:U fh_out:X off_out:U len:U flags:X",
	kCopyFileRangeOut:    "bytes_copied:U",
	kSetupmappingIn:      "fh:X foffset:U len:U flags:FM moffset:U",
	kRemovemappingIn:     "count:u",
	kRemovemappingOne:    "moffset:U len:U",
	kSyncfsIn:            "padding:P",
	kSecctx:              "size:u padding:p",
	kSecctxHeader:        "size:u nr_secctx:u",
	kExtHeader:           "size:u type:u",
	kSuppGroups:          "nr_groups:u",
	kUringEntInOut:       "flags:Fe commit_id:U payload_sz:u offset:u reserved:P",
	kUringReqHeader:      "in_out:b128 op_in:b128 ring_ent_in_out:{u",
	kUringCmdReq:         "flags:Fu commit_id:U qid:w padding:b6 uaddr:X len:u reserved:p",
}

// nested returns the struct that a letter stands for after a "{".
func nested(key byte) kind {
	switch key {
	case 'a':
		return kAttr
	case 't':
		return kSxTime
	case 'x':
		return kStatx
	case 'k':
		return kKstatfs
	case 'l':
		return kFileLock
	case 'e':
		return kEntryOut
	case 'd':
		return kDirent
	case 'u':
		return kUringEntInOut
	}
	return kNone
}

// flagKeys returns the flag set that a letter stands for after an "f" or "F".
func flagKeys(key byte) FlagSet {
	switch key {
	case 'A':
		return AttrFlagNames
	case 'G':
		return GetattrFlagNames
	case 'S':
		return FattrFlagNames
	case 'O':
		return OpenFlagNames
	case 'F':
		return FopenFlagNames
	case 'R':
		return ReleaseFlagNames
	case 'r':
		return ReadFlagNames
	case 'W':
		return WriteFlagNames
	case 'Y':
		return FsyncFlagNames
	case 'L':
		return LkFlagNames
	case 'X':
		return SetxattrFlagNames
	case 'I':
		return IoctlFlagNames
	case 'P':
		return PollFlagNames
	case 'E':
		return InvalEntryFlagNames
	case '1':
		return InitFlagNames
	case '2':
		return initFlags2
	case 'C':
		return CuseFlagNames
	case 'M':
		return SetupmappingFlagNames
	case 'e':
		return UringEntFlagNames
	case 'u':
		return UringFlagNames
	}
	return ""
}
