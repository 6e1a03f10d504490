package conntest_test

import (
	"bytes"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// ioctl numbers with what they move, made of protocol's for this architecture:
// reading and writing 4 and 16 bytes.
const (
	ioctlRead4   = protocol.DevIocClone
	ioctlWrite16 = protocol.DevIocBackingOpen
	ioctlNone    = protocol.DevIocSyncInit
)

func TestIoctl(t *testing.T) {
	h := &robot{answer: answers{}}
	var in protocol.IoctlIn
	var data []byte
	result, flags, extra := int32(0), uint32(0), 0
	h.answer[protocol.OpIoctl] = func(r *conn.Request) bool {
		in, data = *r.IoctlIn(), append([]byte(nil), r.Data...)
		out := protocol.ViewOf[protocol.IoctlOut](r.Out())
		out.Result, out.Flags = result, flags
		n := copy(r.Payload(), "abcdefghijklmnopqrstuvwxyz"[:int(in.OutSize)+extra])
		_ = r.Reply(16, n)
		return true
	}
	k := robotKernel(t, h, conntest.Options{}, "room for 4")
	c := k.Process(0, 0)
	f, d := open(t, c, "/f", unix.O_RDONLY), open(t, c, "/d", unix.O_DIRECTORY)

	arg := []byte("0123456789abcdef")
	if n, err := f.Ioctl(ioctlWrite16, arg); n != 0 || err != nil || string(data) != string(arg) || in.InSize != 16 || in.OutSize != 0 {
		t.Errorf("%d %v %q %+v", n, err, data, in)
	}
	result = 7
	if n, err := f.Ioctl(ioctlRead4, arg); n != 7 || err != nil || !bytes.HasPrefix(arg, []byte("abcd4567")) || in.InSize != 0 || in.OutSize != 4 {
		t.Errorf("%d %v %q %+v", n, err, arg, in)
	}
	if n, err := d.Ioctl(ioctlNone, nil); n != 7 || err != nil || in.Flags&protocol.IoctlDir == 0 || in.OutSize != 0 {
		t.Errorf("%d %v %+v", n, err, in)
	}
	if _, err := f.IoctlCompat(ioctlNone, nil); err != nil || in.Flags != protocol.IoctlCompat|protocol.Ioctl32bit {
		t.Errorf("%v %+v", err, in)
	}
	_, err := f.Ioctl(ioctlRead4, arg[:3])
	want(t, err, unix.EFAULT)
	result = -int32(unix.EPERM)
	_, err = f.Ioctl(ioctlNone, nil)
	want(t, err, unix.EPERM)
	result = -int32(unix.ENOSYS)
	_, err = f.Ioctl(ioctlNone, nil)
	want(t, err, unix.ENOTTY)
	result, extra = 0, 1
	_, err = f.Ioctl(ioctlRead4, arg)
	want(t, err, unix.EIO)
	extra, flags = 0, protocol.IoctlRetry
	_, err = f.Ioctl(ioctlNone, nil)
	want(t, err, unix.EIO)
	expect(t, k, "IOCTL_RETRY")
}

// TestFileattr reads and writes the flags of inodes, through a private open.
func TestFileattr(t *testing.T) {
	for _, minor := range []uint32{32, 33, 45} {
		h := &robot{answer: answers{}}
		var seen []uint32
		short := false
		h.answer[protocol.OpIoctl] = func(r *conn.Request) bool {
			in := r.IoctlIn()
			seen = append(seen, in.Cmd)
			n := int(in.OutSize)
			clear(r.Payload()[:n])
			r.Payload()[0], r.Payload()[3] = 0x10, 0x10
			if short {
				n--
			}
			_ = r.Reply(16, n)
			return true
		}
		bad := ""
		if minor >= 33 {
			bad = "a payload of 19 bytes, not 20"
		}
		k := robotKernel(t, h, conntest.Options{Minor: minor}, bad)
		c := k.Process(0, 0)
		f := open(t, c, "/f", unix.O_WRONLY)
		opens := k.Count(protocol.OpOpen)
		v, err := f.Getflags()
		check(t, err)
		if v != 0x10000010 {
			t.Errorf("flags %#x", v)
		}
		check(t, f.Setflags(0x20))
		k.Idle()
		opens = k.Count(protocol.OpOpen) - opens
		if minor < 33 {
			if len(seen) != 2 || opens != 0 {
				t.Errorf("%x, %d OPENs", seen, opens)
			}
			continue
		}
		if len(seen) != 3 || seen[0] != unix.FS_IOC_GETFLAGS || seen[1]&0xffff != 'X'<<8|31 || seen[2] != unix.FS_IOC_SETFLAGS {
			t.Errorf("%x", seen)
		}
		if n := k.Count(protocol.OpRelease); opens != 3 || n != 3 {
			t.Errorf("%d OPENs, %d RELEASEs", opens, n)
		}
		short = true
		_, err = f.Getflags()
		want(t, err, unix.EIO)
	}
}
