package protocol

import "unsafe"

// This is the only file of the package that uses unsafe (assert.go takes sizes
// and offsets with it, which is safe). Soundness:
//
//   - Every struct in Wire has only fixed-size integers and arrays of them, and
//     no padding but what is a field: assert.go proves at compile time that the
//     sizes are the sum of the C header's, on all architectures. So any bytes
//     are a valid value, and any value has only initialised bytes.
//   - A pointer into a slice is made only after its length was compared with
//     the struct's size and its address with 8, the largest alignment. It keeps
//     the slice's backing array alive (if that is memory of the Go heap).
//   - Nothing stores a pointer that was an integer in between.

// Wire is any struct of the protocol.
type Wire interface {
	Attr | GetattrIn | AttrOut | SetattrIn | SxTime | Statx | StatxIn | StatxOut | AccessIn |
		Kstatfs | StatfsOut | SyncfsIn | Dirent | Direntplus | EntryOut | ForgetIn | ForgetOne |
		BatchForgetIn | MknodIn | MkdirIn | RenameIn | Rename2In | LinkIn | Secctx | SecctxHeader |
		ExtHeader | SuppGroups | OpenIn | CreateIn | OpenOut | ReleaseIn | FlushIn | ReadIn |
		WriteIn | WriteOut | FsyncIn | FallocateIn | LseekIn | LseekOut | CopyFileRangeIn |
		CopyFileRangeOut | BmapIn | BmapOut | PollIn | PollOut | SetupmappingIn | RemovemappingIn |
		RemovemappingOne | BackingMap | InHeader | OutHeader | InitIn | InitOut | CuseInitIn |
		CuseInitOut | InterruptIn | IoctlIn | IoctlIovec | IoctlOut | FileLock | LkIn | LkOut |
		NotifyPollWakeupOut | NotifyInvalInodeOut | NotifyInvalEntryOut | NotifyDeleteOut |
		NotifyStoreOut | NotifyRetrieveOut | NotifyRetrieveIn | NotifyPruneOut | UringEntInOut |
		UringReqHeader | UringCmdReq | UringBufpool | UringSqe128 | SetxattrIn | GetxattrIn | GetxattrOut
}

// BytesOf views a struct as bytes, in host byte order. No copy is made.
func BytesOf[T Wire](p *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}

// ViewOf views the first bytes of b as a struct. It returns nil if b is too
// short or does not begin at a multiple of 8.
func ViewOf[T Wire](b []byte) *T {
	var t T
	if len(b) < int(unsafe.Sizeof(t)) || !aligned(b) {
		return nil
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(b)))
}

// aligned reports whether b begins at a multiple of 8.
func aligned(b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))&7 == 0
}

// full is a fixed argument at its full length: a view of the message if it is
// complete and aligned there, else a zero-extended copy in scratch. kind tells
// which struct it is, so that no accessor can look at it as a longer one.
type full struct {
	p    unsafe.Pointer
	kind kind
}

// scratch holds a copy of an argument, the longest that needs one being
// EntryOut (128 bytes).
type scratch [16]uint64

// set points f at a struct of kind k whose first bytes are arg.
// s is used for it if arg is short or misaligned; structSize[k] must fit then.
func (f *full) set(k kind, arg []byte, s *scratch) {
	f.kind = k
	if len(arg) >= int(structSize[k]) && aligned(arg) {
		f.p = unsafe.Pointer(unsafe.SliceData(arg))
		return
	}
	*s = scratch{}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s)), arg)
	f.p = unsafe.Pointer(s)
}

// as returns f as *T if it is of kind k, else nil. T must be k's struct.
func as[T Wire](f *full, k kind) *T {
	if f.kind != k {
		return nil
	}
	return (*T)(f.p)
}

// EntZeroCopyBufIndex returns the other member of Bufpool's union, the slot in
// the ring's buffer table: ent_zero_copy_buf_index (2 bytes, 7.46), with
// IOUringCmdRegister on a queue made with UringZeroCopy.
func (r *UringCmdReq) EntZeroCopyBufIndex() uint16 {
	return *(*uint16)(unsafe.Pointer(&r.Bufpool))
}

// SetEntZeroCopyBufIndex sets it. The rest of the union becomes zero.
func (r *UringCmdReq) SetEntZeroCopyBufIndex(v uint16) {
	r.Bufpool = UringBufpool{}
	*(*uint16)(unsafe.Pointer(&r.Bufpool)) = v
}

// forgets views whole entries of b. b is 8-aligned: it follows a header of 40
// and an argument of 8 bytes, or starts a ring's payload.
func forgets(b []byte) []ForgetOne {
	n := len(b) / int(unsafe.Sizeof(ForgetOne{}))
	if n == 0 || !aligned(b) {
		return nil
	}
	return unsafe.Slice((*ForgetOne)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// load16, load32 and load64 read an integer of host byte order at the start
// of b, which may be misaligned. They panic like an index if b is too short.
func load16(b []byte) uint16 {
	var v uint16
	copy((*[2]byte)(unsafe.Pointer(&v))[:], b[:2])
	return v
}

func load32(b []byte) uint32 {
	var v uint32
	copy((*[4]byte)(unsafe.Pointer(&v))[:], b[:4])
	return v
}

func load64(b []byte) uint64 {
	var v uint64
	copy((*[8]byte)(unsafe.Pointer(&v))[:], b[:8])
	return v
}
