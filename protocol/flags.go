package protocol

import "strconv"

// FlagSet names the bits of a field: the kernel's names without their prefix,
// one a bit from bit 0 up, with a space between them and "-" for a bit that has
// no name.
type FlagSet string

// The flag sets of the protocol.
const (
	InitFlagNames FlagSet = "ASYNC_READ POSIX_LOCKS FILE_OPS ATOMIC_O_TRUNC EXPORT_SUPPORT BIG_WRITES DONT_MASK " +
		"SPLICE_WRITE SPLICE_MOVE SPLICE_READ FLOCK_LOCKS HAS_IOCTL_DIR AUTO_INVAL_DATA DO_READDIRPLUS " +
		"READDIRPLUS_AUTO ASYNC_DIO WRITEBACK_CACHE NO_OPEN_SUPPORT PARALLEL_DIROPS HANDLE_KILLPRIV POSIX_ACL " +
		"ABORT_ERROR MAX_PAGES CACHE_SYMLINKS NO_OPENDIR_SUPPORT EXPLICIT_INVAL_DATA MAP_ALIGNMENT SUBMOUNTS " +
		"HANDLE_KILLPRIV_V2 SETXATTR_EXT INIT_EXT INIT_RESERVED " + initFlags2
	FopenFlagNames        FlagSet = "DIRECT_IO KEEP_CACHE NONSEEKABLE CACHE_DIR STREAM NOFLUSH PARALLEL_DIRECT_WRITES PASSTHROUGH IO_URING_ZERO_COPY"
	FattrFlagNames        FlagSet = "MODE UID GID SIZE ATIME MTIME FH ATIME_NOW MTIME_NOW LOCKOWNER CTIME KILL_SUIDGID"
	AttrFlagNames         FlagSet = "SUBMOUNT DAX"
	GetattrFlagNames      FlagSet = "FH"
	OpenFlagNames         FlagSet = "KILL_SUIDGID"
	ReleaseFlagNames      FlagSet = "FLUSH FLOCK_UNLOCK"
	ReadFlagNames         FlagSet = "- LOCKOWNER"
	WriteFlagNames        FlagSet = "CACHE LOCKOWNER KILL_SUIDGID"
	FsyncFlagNames        FlagSet = "FDATASYNC"
	LkFlagNames           FlagSet = "FLOCK"
	SetxattrFlagNames     FlagSet = "ACL_KILL_SGID"
	IoctlFlagNames        FlagSet = "COMPAT UNRESTRICTED RETRY 32BIT DIR COMPAT_X32"
	PollFlagNames         FlagSet = "SCHEDULE_NOTIFY"
	SetupmappingFlagNames FlagSet = "WRITE READ"
	InvalEntryFlagNames   FlagSet = "EXPIRE_ONLY"
	CuseFlagNames         FlagSet = "UNRESTRICTED_IOCTL"
	UringFlagNames        FlagSet = "ZERO_COPY" // UringCmdReq.Flags
	UringEntFlagNames     FlagSet = "ZERO_COPY" // UringEntInOut.Flags

	// flags2 alone, for structs that keep the halves apart.
	initFlags2 = "SECURITY_CTX HAS_INODE_DAX CREATE_SUPP_GROUP HAS_EXPIRE_ONLY DIRECT_IO_ALLOW_MMAP PASSTHROUGH " +
		"NO_EXPORT_SUPPORT HAS_RESEND ALLOW_IDMAP OVER_IO_URING REQUEST_TIMEOUT HAS_IO_URING_BUFPOOL"
)

// AppendText appends the names of the bits of v with "|" between them, bits
// without a name last and as one hexadecimal number; "0" if there are none.
// It does not allocate.
func (s FlagSet) AppendText(dst []byte, v uint64) []byte {
	if v == 0 {
		return append(dst, '0')
	}
	start := len(dst)
	for bit, at := 0, 0; at < len(s) && v>>bit != 0; bit++ {
		end := at
		for end < len(s) && s[end] != ' ' {
			end++
		}
		if v&(1<<bit) != 0 && s[at:end] != "-" {
			if len(dst) > start {
				dst = append(dst, '|')
			}
			dst = add(dst, string(s[at:end]))
			v &^= 1 << bit
		}
		at = end + 1
	}
	if v == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, '|')
	}
	return appendHex(dst, v)
}

// AppendText appends the flags' names as FlagSet.AppendText does.
func (f InitFlags) AppendText(dst []byte) []byte {
	return InitFlagNames.AppendText(dst, uint64(f))
}

// String returns what AppendText appends.
func (f InitFlags) String() string { return string(f.AppendText(nil)) }

func appendHex(dst []byte, v uint64) []byte {
	return strconv.AppendUint(add(dst, "0x"), v, 16)
}
