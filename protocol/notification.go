package protocol

import "strconv"

// Notify is one notification, a message to the kernel that answers no request.
// Views, lifetime and reuse are as for Request.
//
// To encode one that was not decoded, fill in Code, Arg (see BytesOf) and what
// the code has of Name and Data, and call Append.
type Notify struct {
	Code NotifyCode
	Arg  []byte // the fixed struct; RESEND and INC_EPOCH have none
	Name []byte // INVAL_ENTRY, DELETE: without NUL
	Data []byte // STORE: data. PRUNE: nodeids. Unknown code: all

	arg     full
	scratch scratch
}

// notes is indexed by code; the layout is written as that of a request.
var notes = [...]opInfo{
	NotifyPoll:       {name: "POLL", in: kNotifyPollWakeupOut},
	NotifyInvalInode: {name: "INVAL_INODE", in: kNotifyInvalInodeOut},
	NotifyInvalEntry: {name: "INVAL_ENTRY", in: kNotifyInvalEntryOut, tail: tailName, lenOff: 8},
	NotifyStore:      {name: "STORE", in: kNotifyStoreOut, tail: tailData, lenOff: 16, unit: 1},
	NotifyRetrieve:   {name: "RETRIEVE", in: kNotifyRetrieveOut},
	NotifyDelete:     {name: "DELETE", in: kNotifyDeleteOut, tail: tailName, lenOff: 16},
	NotifyResend:     {name: "RESEND"},
	NotifyIncEpoch:   {name: "INC_EPOCH"},
	NotifyPrune:      {name: "PRUNE", in: kNotifyPruneOut, tail: tailData, unit: 8},
}

// noteInfo returns c's layout. A code of a newer kernel is all data.
func noteInfo(c NotifyCode) *opInfo {
	if c > 0 && c < NotifyCode(len(notes)) {
		return &notes[c]
	}
	return &opUnknown
}

// String returns the kernel's name without its FUSE_NOTIFY_ prefix, or
// "NOTIFY_10" for a code that 7.46 does not have.
func (c NotifyCode) String() string {
	if i := noteInfo(c); i != &opUnknown {
		return i.name
	}
	return string(c.AppendText(nil))
}

// AppendText appends what String returns. It does not allocate.
func (c NotifyCode) AppendText(dst []byte) []byte {
	if i := noteInfo(c); i != &opUnknown {
		return add(dst, i.name)
	}
	return strconv.AppendInt(add(dst, "NOTIFY_"), int64(c), 10)
}

// IsNotify reports whether a message that begins with h is a notification, not
// a reply (fs/fuse/dev.c: fuse_dev_do_write).
func (h *OutHeader) IsNotify() bool { return h.Unique == 0 }

func (n *Notify) reset() {
	n.Code = 0
	n.Arg, n.Name, n.Data = nil, nil, nil
	n.arg = full{}
}

// Decode makes n a view of b, one whole notification as it was written to
// /dev/fuse. b must begin at a multiple of 8. The error is a *Error, among others
// for whatever makes fs/fuse/notify.c answer EINVAL: a size that does not fit,
// or a missing NUL.
func (n *Notify) Decode(b []byte) error {
	n.reset()
	if len(b) < outHeaderSize {
		return &Error{What: "out_header", Need: outHeaderSize, Have: len(b)}
	}
	h := ViewOf[OutHeader](b)
	if h == nil {
		return &Error{What: "alignment", Need: 8}
	}
	if uint64(h.Len) != uint64(len(b)) {
		return &Error{What: "out_header.len", Need: len(b), Have: int(h.Len)}
	}
	if !h.IsNotify() || h.Error <= 0 {
		return &Error{What: "notify code", Need: 1, Off: 4, Have: int(h.Error)}
	}
	n.Code = NotifyCode(h.Error)
	i := noteInfo(n.Code)
	off, size := outHeaderSize, int(structSize[i.in])
	rest := b[off:len(b):len(b)]
	if len(rest) < size {
		return &Error{What: "notification", Need: size, Off: off, Have: len(rest)}
	}
	if i.in != kNone {
		n.Arg = rest[:size:size]
		n.arg.set(i.in, n.Arg, &n.scratch)
	}
	rest, off = rest[size:], off+size
	need := uint64(0)
	switch i.tail {
	case tailAny:
		need = uint64(len(rest))
	case tailName:
		need = uint64(load32(n.Arg[i.lenOff:])) + 1
	case tailData:
		need = uint64(load32(n.Arg[i.lenOff:])) * uint64(i.unit)
	}
	if need != uint64(len(rest)) {
		n.reset()
		return &Error{What: "notification's tail", Need: int(min(need, 1<<31-1)), Off: off, Have: len(rest)}
	}
	if i.tail != tailName {
		n.Data = rest
		return nil
	}
	l := len(rest) - 1
	if rest[l] != 0 {
		n.reset()
		return &Error{What: "name's NUL", Off: off + l, Have: int(rest[l])}
	}
	n.Name = rest[:l:l]
	return nil
}

// Append appends the notification as one write(2) to /dev/fuse takes it. Counts
// in Arg (Namelen, Size, Count) are the caller's to set.
func (n *Notify) Append(dst []byte) []byte {
	t := noteInfo(n.Code).tail
	size := outHeaderSize + len(n.Arg) + len(n.Name) + len(n.Data)
	if t == tailName {
		size++
	}
	h := OutHeader{Len: uint32(size), Error: int32(n.Code)}
	dst = append(dst, BytesOf(&h)...)
	dst = append(dst, n.Arg...)
	dst = append(dst, n.Name...)
	if t == tailName {
		dst = append(dst, 0)
	}
	return append(dst, n.Data...)
}

// Prune returns nodeid i of a PRUNE, which may be misaligned on the wire. ok is
// false if there is no such entry.
func (n *Notify) Prune(i int) (nodeid uint64, ok bool) {
	if n.arg.kind != kNotifyPruneOut || i < 0 || i >= len(n.Data)/8 {
		return 0, false
	}
	return load64(n.Data[i*8:]), true
}

// One method for each struct. Each returns nil unless the code has it.

// PollWakeup returns the struct of NotifyPoll.
func (n *Notify) PollWakeup() *NotifyPollWakeupOut {
	return as[NotifyPollWakeupOut](&n.arg, kNotifyPollWakeupOut)
}

// InvalInode returns the struct of NotifyInvalInode.
func (n *Notify) InvalInode() *NotifyInvalInodeOut {
	return as[NotifyInvalInodeOut](&n.arg, kNotifyInvalInodeOut)
}

// InvalEntry returns the struct of NotifyInvalEntry.
func (n *Notify) InvalEntry() *NotifyInvalEntryOut {
	return as[NotifyInvalEntryOut](&n.arg, kNotifyInvalEntryOut)
}

// Store returns the struct of NotifyStore.
func (n *Notify) Store() *NotifyStoreOut { return as[NotifyStoreOut](&n.arg, kNotifyStoreOut) }

// Retrieve returns the struct of NotifyRetrieve.
func (n *Notify) Retrieve() *NotifyRetrieveOut {
	return as[NotifyRetrieveOut](&n.arg, kNotifyRetrieveOut)
}

// Delete returns the struct of NotifyDelete.
func (n *Notify) Delete() *NotifyDeleteOut { return as[NotifyDeleteOut](&n.arg, kNotifyDeleteOut) }

// PruneOut returns the struct of NotifyPrune.
func (n *Notify) PruneOut() *NotifyPruneOut { return as[NotifyPruneOut](&n.arg, kNotifyPruneOut) }
