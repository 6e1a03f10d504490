package protocol

// One method for each argument struct. Each returns nil unless the request's
// opcode has that argument, and a full struct if it has: fields that were not
// sent under the connection's minor and flags are zero.

// GetattrIn returns the argument of GETATTR.
func (r *Request) GetattrIn() *GetattrIn { return as[GetattrIn](&r.arg, kGetattrIn) }

// SetattrIn returns the argument of SETATTR.
func (r *Request) SetattrIn() *SetattrIn { return as[SetattrIn](&r.arg, kSetattrIn) }

// MknodIn returns the argument of MKNOD.
func (r *Request) MknodIn() *MknodIn { return as[MknodIn](&r.arg, kMknodIn) }

// MkdirIn returns the argument of MKDIR.
func (r *Request) MkdirIn() *MkdirIn { return as[MkdirIn](&r.arg, kMkdirIn) }

// RenameIn returns the argument of RENAME.
func (r *Request) RenameIn() *RenameIn { return as[RenameIn](&r.arg, kRenameIn) }

// Rename2In returns the argument of RENAME2.
func (r *Request) Rename2In() *Rename2In { return as[Rename2In](&r.arg, kRename2In) }

// LinkIn returns the argument of LINK.
func (r *Request) LinkIn() *LinkIn { return as[LinkIn](&r.arg, kLinkIn) }

// OpenIn returns the argument of OPEN and OPENDIR.
func (r *Request) OpenIn() *OpenIn { return as[OpenIn](&r.arg, kOpenIn) }

// CreateIn returns the argument of CREATE and TMPFILE.
func (r *Request) CreateIn() *CreateIn { return as[CreateIn](&r.arg, kCreateIn) }

// ReleaseIn returns the argument of RELEASE and RELEASEDIR.
func (r *Request) ReleaseIn() *ReleaseIn { return as[ReleaseIn](&r.arg, kReleaseIn) }

// FlushIn returns the argument of FLUSH.
func (r *Request) FlushIn() *FlushIn { return as[FlushIn](&r.arg, kFlushIn) }

// ReadIn returns the argument of READ, READDIR and READDIRPLUS.
func (r *Request) ReadIn() *ReadIn { return as[ReadIn](&r.arg, kReadIn) }

// WriteIn returns the argument of WRITE.
func (r *Request) WriteIn() *WriteIn { return as[WriteIn](&r.arg, kWriteIn) }

// FsyncIn returns the argument of FSYNC and FSYNCDIR.
func (r *Request) FsyncIn() *FsyncIn { return as[FsyncIn](&r.arg, kFsyncIn) }

// SetxattrIn returns the argument of SETXATTR.
func (r *Request) SetxattrIn() *SetxattrIn { return as[SetxattrIn](&r.arg, kSetxattrIn) }

// GetxattrIn returns the argument of GETXATTR and LISTXATTR.
func (r *Request) GetxattrIn() *GetxattrIn { return as[GetxattrIn](&r.arg, kGetxattrIn) }

// LkIn returns the argument of GETLK, SETLK and SETLKW.
func (r *Request) LkIn() *LkIn { return as[LkIn](&r.arg, kLkIn) }

// AccessIn returns the argument of ACCESS.
func (r *Request) AccessIn() *AccessIn { return as[AccessIn](&r.arg, kAccessIn) }

// InitIn returns the argument of INIT.
func (r *Request) InitIn() *InitIn { return as[InitIn](&r.arg, kInitIn) }

// InterruptIn returns the argument of INTERRUPT.
func (r *Request) InterruptIn() *InterruptIn { return as[InterruptIn](&r.arg, kInterruptIn) }

// BmapIn returns the argument of BMAP.
func (r *Request) BmapIn() *BmapIn { return as[BmapIn](&r.arg, kBmapIn) }

// IoctlIn returns the argument of IOCTL.
func (r *Request) IoctlIn() *IoctlIn { return as[IoctlIn](&r.arg, kIoctlIn) }

// PollIn returns the argument of POLL.
func (r *Request) PollIn() *PollIn { return as[PollIn](&r.arg, kPollIn) }

// FallocateIn returns the argument of FALLOCATE.
func (r *Request) FallocateIn() *FallocateIn { return as[FallocateIn](&r.arg, kFallocateIn) }

// LseekIn returns the argument of LSEEK.
func (r *Request) LseekIn() *LseekIn { return as[LseekIn](&r.arg, kLseekIn) }

// CopyFileRangeIn returns the argument of COPY_FILE_RANGE and COPY_FILE_RANGE_64.
func (r *Request) CopyFileRangeIn() *CopyFileRangeIn {
	return as[CopyFileRangeIn](&r.arg, kCopyFileRangeIn)
}

// SetupmappingIn returns the argument of SETUPMAPPING.
func (r *Request) SetupmappingIn() *SetupmappingIn {
	return as[SetupmappingIn](&r.arg, kSetupmappingIn)
}

// RemovemappingIn returns the argument of REMOVEMAPPING.
func (r *Request) RemovemappingIn() *RemovemappingIn {
	return as[RemovemappingIn](&r.arg, kRemovemappingIn)
}

// SyncfsIn returns the argument of SYNCFS.
func (r *Request) SyncfsIn() *SyncfsIn { return as[SyncfsIn](&r.arg, kSyncfsIn) }

// StatxIn returns the argument of STATX.
func (r *Request) StatxIn() *StatxIn { return as[StatxIn](&r.arg, kStatxIn) }

// ForgetIn returns the argument of FORGET.
func (r *Request) ForgetIn() *ForgetIn { return as[ForgetIn](&r.arg, kForgetIn) }

// BatchForgetIn returns the argument of BATCH_FORGET.
func (r *Request) BatchForgetIn() *BatchForgetIn { return as[BatchForgetIn](&r.arg, kBatchForgetIn) }

// NotifyRetrieveIn returns the argument of NOTIFY_REPLY.
func (r *Request) NotifyRetrieveIn() *NotifyRetrieveIn {
	return as[NotifyRetrieveIn](&r.arg, kNotifyRetrieveIn)
}

// CuseInitIn returns the argument of CUSE_INIT.
func (r *Request) CuseInitIn() *CuseInitIn { return as[CuseInitIn](&r.arg, kCuseInitIn) }

// Forgets returns the entries of a BATCH_FORGET, nil for other opcodes.
func (r *Request) Forgets() []ForgetOne {
	if r.arg.kind != kBatchForgetIn {
		return nil
	}
	return forgets(r.Data)
}

// Removemapping returns entry i of a REMOVEMAPPING, whose Count says how many
// there are. It is a copy, because the entries are misaligned on the wire.
// ok is false if there is no such entry.
func (r *Request) Removemapping(i int) (one RemovemappingOne, ok bool) {
	if r.arg.kind != kRemovemappingIn || i < 0 || i >= len(r.Data)/16 {
		return one, false
	}
	b := r.Data[i*16:]
	return RemovemappingOne{Moffset: load64(b), Len: load64(b[8:])}, true
}

// One method for each struct of replies. Each returns nil unless the reply has
// it (one with an error has none), and a full struct if it has: fields that the
// connection's minor lacks are zero.

// EntryOut returns the struct of the reply to LOOKUP, SYMLINK, MKNOD, MKDIR, LINK, CREATE and TMPFILE.
func (r *Reply) EntryOut() *EntryOut { return as[EntryOut](&r.arg, kEntryOut) }

// AttrOut returns the struct of the reply to GETATTR and SETATTR.
func (r *Reply) AttrOut() *AttrOut { return as[AttrOut](&r.arg, kAttrOut) }

// StatxOut returns the struct of the reply to STATX.
func (r *Reply) StatxOut() *StatxOut { return as[StatxOut](&r.arg, kStatxOut) }

// WriteOut returns the struct of the reply to WRITE and COPY_FILE_RANGE.
func (r *Reply) WriteOut() *WriteOut { return as[WriteOut](&r.arg, kWriteOut) }

// StatfsOut returns the struct of the reply to STATFS.
func (r *Reply) StatfsOut() *StatfsOut { return as[StatfsOut](&r.arg, kStatfsOut) }

// InitOut returns the struct of the reply to INIT.
func (r *Reply) InitOut() *InitOut { return as[InitOut](&r.arg, kInitOut) }

// LkOut returns the struct of the reply to GETLK.
func (r *Reply) LkOut() *LkOut { return as[LkOut](&r.arg, kLkOut) }

// BmapOut returns the struct of the reply to BMAP.
func (r *Reply) BmapOut() *BmapOut { return as[BmapOut](&r.arg, kBmapOut) }

// IoctlOut returns the struct of the reply to IOCTL.
func (r *Reply) IoctlOut() *IoctlOut { return as[IoctlOut](&r.arg, kIoctlOut) }

// PollOut returns the struct of the reply to POLL.
func (r *Reply) PollOut() *PollOut { return as[PollOut](&r.arg, kPollOut) }

// LseekOut returns the struct of the reply to LSEEK.
func (r *Reply) LseekOut() *LseekOut { return as[LseekOut](&r.arg, kLseekOut) }

// CopyFileRangeOut returns the struct of the reply to COPY_FILE_RANGE_64.
func (r *Reply) CopyFileRangeOut() *CopyFileRangeOut {
	return as[CopyFileRangeOut](&r.arg, kCopyFileRangeOut)
}

// GetxattrOut returns the struct of the reply to GETXATTR and LISTXATTR with SizeOnly.
func (r *Reply) GetxattrOut() *GetxattrOut { return as[GetxattrOut](&r.arg, kGetxattrOut) }

// CuseInitOut returns the struct of the reply to CUSE_INIT.
func (r *Reply) CuseInitOut() *CuseInitOut { return as[CuseInitOut](&r.arg, kCuseInitOut) }

// OpenOut returns the struct of the reply to OPEN and OPENDIR, and the second one
// of that to CREATE and TMPFILE.
func (r *Reply) OpenOut() *OpenOut {
	if r.arg2.kind == kOpenOut {
		return as[OpenOut](&r.arg2, kOpenOut)
	}
	return as[OpenOut](&r.arg, kOpenOut)
}
