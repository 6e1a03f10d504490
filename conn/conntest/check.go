package conntest

import (
	"fmt"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// write takes one message from the server and returns what write(2) on
// /dev/fuse does, in the order of fs/fuse/dev.c: fuse_dev_do_write. b is not
// kept. k.mu is held; a notification may give it up for a while.
func (k *Kernel) write(b []byte) unix.Errno {
	var h protocol.OutHeader
	if len(b) < 16 {
		k.report(nil, 0, fmt.Sprintf("a message of %d bytes", len(b)), "EINVAL to the server")
		return unix.EINVAL
	}
	copy(protocol.BytesOf(&h), b)
	if uint64(h.Len) != uint64(len(b)) {
		k.report(k.sent[h.Unique], h.Unique, fmt.Sprintf("len is %d in a message of %d bytes", h.Len, len(b)),
			"EINVAL to the server, the request stays unanswered")
		return unix.EINVAL
	}
	if h.Unique == 0 {
		return k.notify(b, &h)
	}
	if h.Error > 0 || h.Error <= -512 {
		k.report(k.sent[h.Unique], h.Unique, fmt.Sprintf("error %d is none of -511 to 0", h.Error),
			"EINVAL to the server, the request stays unanswered")
		return unix.EINVAL
	}
	if h.Unique&1 != 0 {
		return k.writeInterrupt(b, &h)
	}
	r := k.sent[h.Unique]
	if r == nil {
		return k.unknown(&h)
	}
	if r.lose {
		k.lost++
		k.finish(r, nil, unix.ECONNABORTED)
		return unix.ENOENT
	}
	payload := len(b) - 16
	if h.Error != 0 {
		if payload != 0 {
			k.report(r, h.Unique, fmt.Sprintf("error %d with a payload of %d bytes", h.Error, payload), "EINVAL to the server, EIO to the caller")
			k.finish(r, nil, unix.EIO)
			return unix.EINVAL
		}
		k.finish(r, nil, unix.Errno(-h.Error))
		return 0
	}
	if !k.fits(r, payload) {
		want := fmt.Sprint(r.fixed)
		if r.variable > 0 {
			want = fmt.Sprintf("%d to %d", r.fixed, r.fixed+r.variable)
		}
		k.report(r, h.Unique, fmt.Sprintf("a payload of %d bytes, not %s", payload, want), "EINVAL to the server, EIO to the caller")
		k.finish(r, nil, unix.EIO)
		return unix.EINVAL
	}
	k.finish(r, append([]byte(nil), b[16:]...), 0)
	return 0
}

// fits is fs/fuse/dev.c: fuse_copy_out_args on the length.
func (k *Kernel) fits(r *request, n int) bool {
	if r.op == protocol.OpInit { // argvar: 8, 24, 64 and what is between
		return n <= 64
	}
	return n >= r.fixed && n <= r.fixed+r.variable
}

// unknown is a reply to a request that is not in service: ENOENT, which is
// benign only if the kernel has given the request up.
func (k *Kernel) unknown(h *protocol.OutHeader) unix.Errno {
	switch {
	case k.gone[h.Unique] || k.dead:
	case k.past[h.Unique]:
		k.report(nil, h.Unique, "a second reply", "ENOENT to the server; once ids repeat, an answer to another request")
	case k.sent[h.Unique|protocol.UniqueResend] != nil:
		// Answered while the copy was on its way; conn sends it again.
	default:
		k.report(nil, h.Unique, "a reply to a request that was not sent", "ENOENT to the server")
	}
	return unix.ENOENT
}

// writeInterrupt is a reply to an INTERRUPT.
func (k *Kernel) writeInterrupt(b []byte, h *protocol.OutHeader) unix.Errno {
	r := k.sent[h.Unique&^1]
	if r == nil {
		return unix.ENOENT // answered meanwhile: benign
	}
	if len(b) != 16 {
		k.report(r, h.Unique, "a reply to INTERRUPT with a payload", "EINVAL to the server")
		return unix.EINVAL
	}
	switch unix.Errno(-h.Error) {
	case unix.ENOSYS:
		k.noInterrupt = true
	case unix.EAGAIN:
		k.queueInterrupt(r)
	}
	return 0
}

// badAttr is fs/fuse/dir.c: fuse_invalid_attr.
func badAttr(a *protocol.Attr) string {
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
	default:
		return fmt.Sprintf("mode %#o has no file type", a.Mode)
	}
	if a.Size > 1<<63-1 {
		return fmt.Sprintf("size %d is above 1<<63-1", a.Size)
	}
	return ""
}

// view copies a struct out of a payload.
func view[T protocol.Wire](b []byte) *T {
	v := new(T)
	copy(protocol.BytesOf(v), b)
	return v
}
