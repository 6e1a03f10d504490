package conn

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Notifications: messages to the kernel that answer no request. Each blocks
// until the kernel is done with it. None may be sent by a handler while it
// serves an operation on the same inode or directory: the kernel may wait for
// that operation (locks, write-back) before it comes back.
//
// Errors are ErrUnmounted once the connection has ended, else an *Error with the
// errno of the write: ENOENT if the kernel has nothing cached to act on, EINVAL
// if it is too old to know the notification.

// notify sends one: fixed, then data.
func (c *Conn) notify(code protocol.NotifyCode, fixed, data []byte) error {
	if !c.enter() {
		return ErrUnmounted
	}
	defer c.exit()
	n := outOff + len(fixed) + len(data)
	if uint64(n) > 1<<32-1 {
		return &Error{Op: "notify", Err: unix.EINVAL}
	}
	h := protocol.OutHeader{Len: uint32(n), Error: int32(code)}
	// One piece: the names in here are short, and the kernel copies anyway. Data
	// to store is sent from where it is.
	head := append(append(make([]byte, 0, 64), protocol.BytesOf(&h)...), fixed...)
	iov := make([]unix.Iovec, 1, 2)
	iov[0].Base = &head[0]
	iov[0].SetLen(len(head))
	if len(data) > 0 {
		iov = iov[:2]
		iov[1].Base = &data[0]
		iov[1].SetLen(len(data))
	}
	_, err := c.port.WriteNotify(iov)
	if tap := c.opt.Trace; tap != nil {
		tap.Notify(flatten(iov), err)
	}
	c.count.notifies.Add(1)
	switch err {
	case nil:
		return nil
	case unix.ENODEV, unix.ENOTCONN, unix.EPIPE, unix.ECONNRESET:
		return ErrUnmounted
	}
	return &Error{Op: "notify", Err: err}
}

// NotifyPoll wakes those who poll the file that asked with this kh (POLL with
// PollScheduleNotify).
func (c *Conn) NotifyPoll(kh uint64) error {
	return c.notify(protocol.NotifyPoll, protocol.BytesOf(&protocol.NotifyPollWakeupOut{Kh: kh}), nil)
}

// NotifyInvalInode drops cached attributes of an inode and its data in the range
// of length bytes from off; a negative off spares the data, a length of 0 or
// below means up to the end.
func (c *Conn) NotifyInvalInode(nodeid uint64, off, length int64) error {
	return c.notify(protocol.NotifyInvalInode,
		protocol.BytesOf(&protocol.NotifyInvalInodeOut{Ino: nodeid, Off: off, Len: length}), nil)
}

// NotifyInvalEntry drops a directory entry, or with expireOnly (7.38) makes the
// kernel look it up again at its next use.
func (c *Conn) NotifyInvalEntry(parent uint64, name []byte, expireOnly bool) error {
	o := protocol.NotifyInvalEntryOut{Parent: parent, Namelen: uint32(len(name))}
	if expireOnly {
		o.Flags = protocol.ExpireOnly
	}
	return c.notify(protocol.NotifyInvalEntry, protocol.BytesOf(&o), zeroed(name))
}

// NotifyDelete drops a directory entry because it was removed, if it is child's;
// watchers (inotify) are told.
func (c *Conn) NotifyDelete(parent, child uint64, name []byte) error {
	o := protocol.NotifyDeleteOut{Parent: parent, Child: child, Namelen: uint32(len(name))}
	return c.notify(protocol.NotifyDelete, protocol.BytesOf(&o), zeroed(name))
}

// NotifyStore puts data into the page cache of a regular file at byte off.
func (c *Conn) NotifyStore(nodeid, off uint64, data []byte) error {
	o := protocol.NotifyStoreOut{Nodeid: nodeid, Offset: off, Size: uint32(len(data))}
	return c.notify(protocol.NotifyStore, protocol.BytesOf(&o), data)
}

// NotifyRetrieve asks for what the page cache holds of a file, size bytes from
// off. It comes as a NOTIFY_REPLY request whose id is unique, chosen by the
// caller: even, and from 1<<61 up to below 1<<62, so that it is none of the
// kernel's. (About odd ones the kernel complains in its log, on a ring.)
func (c *Conn) NotifyRetrieve(unique, nodeid, off uint64, size uint32) error {
	o := protocol.NotifyRetrieveOut{NotifyUnique: unique, Nodeid: nodeid, Offset: off, Size: size}
	return c.notify(protocol.NotifyRetrieve, protocol.BytesOf(&o), nil)
}

// NotifyResend has every unanswered request delivered once more (7.40). Those in
// service here are not served twice.
func (c *Conn) NotifyResend() error { return c.notify(protocol.NotifyResend, nil, nil) }

// NotifyIncEpoch makes the kernel look up every entry again at its next use
// (7.44).
func (c *Conn) NotifyIncEpoch() error { return c.notify(protocol.NotifyIncEpoch, nil, nil) }

// NotifyPrune asks the kernel to forget inodes it does not use (7.45).
func (c *Conn) NotifyPrune(nodeids []uint64) error {
	o := protocol.NotifyPruneOut{Count: uint32(len(nodeids))}
	ids := make([]byte, 0, 8*len(nodeids))
	for _, id := range nodeids {
		ids = appendNative(ids, id)
	}
	return c.notify(protocol.NotifyPrune, protocol.BytesOf(&o), ids)
}

// appendNative appends v in host byte order.
func appendNative(dst []byte, v uint64) []byte {
	return append(dst, protocol.BytesOf(&protocol.ForgetIn{Nlookup: v})...)
}

// zeroed returns name with a NUL behind it.
func zeroed(name []byte) []byte {
	return append(append(make([]byte, 0, len(name)+1), name...), 0)
}
