package ops

import (
	"bytes"
	"math"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

type rq = protocol.Request

func arg[T protocol.Wire](v T) []byte { return protocol.BytesOf(&v) }

func join(b ...[]byte) []byte { return bytes.Join(b, nil) }

func entryBytes() []byte {
	var e protocol.EntryOut
	fill(&e)
	return protocol.BytesOf(&e)
}

func attrBytes(fh uint64) []byte {
	return arg(protocol.AttrOut{AttrValid: 8, Attr: protocol.Attr{Ino: fh, Flags: 9}})
}

// requests has each opcode that is answered, the call it becomes, and the bytes
// of the answer.
var requests = []struct {
	op   protocol.Opcode
	req  rq
	call string
	want []byte
}{
	{protocol.OpLookup, rq{Name: []byte("x")}, "lookup 5 x 1000 100 7", entryBytes()},
	{protocol.OpGetattr, rq{Arg: arg(protocol.GetattrIn{Fh: 3})}, "getattr 3", attrBytes(3)},
	{protocol.OpSetattr, rq{Arg: arg(protocol.SetattrIn{Valid: 1, Fh: 4, Gid: 5})}, "setattr 1 5", attrBytes(4)},
	{protocol.OpReadlink, rq{}, "readlink 4095", []byte("target")},
	{protocol.OpSymlink, rq{Name: []byte("n"), Name2: []byte("to")}, "symlink n to", entryBytes()},
	{protocol.OpMknod, rq{Arg: arg(protocol.MknodIn{Mode: 1, Umask: 2}), Name: []byte("n")}, "mknod 1 2 n", entryBytes()},
	{protocol.OpMkdir, rq{Arg: arg(protocol.MkdirIn{Mode: 1}), Name: []byte("n")}, "mkdir 1 n", entryBytes()},
	{protocol.OpUnlink, rq{Name: []byte("n")}, "unlink n", nil},
	{protocol.OpRmdir, rq{Name: []byte("n")}, "rmdir n", nil},
	{protocol.OpRename, rq{Arg: arg(protocol.RenameIn{Newdir: 9}), Name: []byte("a"), Name2: []byte("b")}, "rename 9 a b 0", nil},
	{protocol.OpRename2, rq{Arg: arg(protocol.Rename2In{Newdir: 9, Flags: 2}), Name: []byte("a"), Name2: []byte("b")}, "rename 9 a b 2", nil},
	{protocol.OpLink, rq{Arg: arg(protocol.LinkIn{Oldnodeid: 8}), Name: []byte("n")}, "link 8 n", entryBytes()},
	{protocol.OpOpen, rq{Arg: arg(protocol.OpenIn{Flags: 2})}, "open", arg(protocol.OpenOut{Fh: 11, OpenFlags: 2, BackingID: 12})},
	{protocol.OpOpendir, rq{Arg: arg(protocol.OpenIn{Flags: 2})}, "opendir", arg(protocol.OpenOut{Fh: 13, OpenFlags: 2, BackingID: 12})},
	{protocol.OpRead, rq{Arg: arg(protocol.ReadIn{Offset: 1, Size: 3})}, "read 3", []byte{1, 2, 3}},
	{protocol.OpWrite, rq{Arg: arg(protocol.WriteIn{Offset: 6, Size: 4}), Data: []byte("data")}, "write 6 data", arg(protocol.WriteOut{Size: 4})},
	{protocol.OpStatfs, rq{}, "statfs", arg(protocol.Kstatfs{Blocks: 14, Frsize: 15})},
	{protocol.OpRelease, rq{Arg: arg(protocol.ReleaseIn{Fh: 3})}, "release 3", nil},
	{protocol.OpReleasedir, rq{Arg: arg(protocol.ReleaseIn{Fh: 3})}, "releasedir 3", nil},
	{protocol.OpFsync, rq{Arg: arg(protocol.FsyncIn{Fh: 3})}, "fsync 3", nil},
	{protocol.OpFsyncdir, rq{Arg: arg(protocol.FsyncIn{Fh: 3})}, "fsyncdir 3", nil},
	// SETXATTR_EXT is not in conn.DefaultWant: the short form.
	{protocol.OpSetxattr, rq{Arg: arg(protocol.SetxattrIn{Size: 2})[:8], Name: []byte("user.a"), Data: []byte("vv")}, "setxattr user.a vv", nil},
	{protocol.OpGetxattr, rq{Arg: arg(protocol.GetxattrIn{Size: 0}), Name: []byte("user.a")}, "getxattr user.a 0", arg(protocol.GetxattrOut{Size: 5})},
	{protocol.OpGetxattr, rq{Arg: arg(protocol.GetxattrIn{Size: 5}), Name: []byte("user.a")}, "getxattr user.a 5", []byte("value")},
	{protocol.OpListxattr, rq{Arg: arg(protocol.GetxattrIn{Size: 0})}, "listxattr 0", arg(protocol.GetxattrOut{Size: 4})},
	{protocol.OpListxattr, rq{Arg: arg(protocol.GetxattrIn{Size: 9})}, "listxattr 9", []byte("a\x00b\x00")},
	{protocol.OpRemovexattr, rq{Name: []byte("user.a")}, "removexattr user.a", nil},
	{protocol.OpFlush, rq{Arg: arg(protocol.FlushIn{LockOwner: 6})}, "flush 6", nil},
	{protocol.OpReaddir, rq{Arg: arg(protocol.ReadIn{Offset: 1, Size: 64})}, "readdir 1 64",
		protocol.AppendDirent(protocol.AppendDirent(nil, 1, 2, 4, []byte("abc")), 1, 2, 4, []byte("abc"))},
	{protocol.OpReaddirplus, rq{Arg: arg(protocol.ReadIn{Offset: 1, Size: 400})}, "readdirplus 1 400", plusBytes()},
	{protocol.OpGetlk, rq{Arg: arg(protocol.LkIn{Lk: protocol.FileLock{Start: 1, Pid: 2}})}, "getlk", arg(protocol.LkOut{Lk: protocol.FileLock{Start: 1, Pid: 2}})},
	{protocol.OpSetlk, rq{Arg: arg(protocol.LkIn{Owner: 2})}, "setlk 2", nil},
	{protocol.OpSetlkw, rq{Arg: arg(protocol.LkIn{Owner: 2})}, "setlkw 2", nil},
	{protocol.OpAccess, rq{Arg: arg(protocol.AccessIn{Mask: 4})}, "access 4", nil},
	{protocol.OpCreate, rq{Arg: arg(protocol.CreateIn{Flags: 1, Mode: 2}), Name: []byte("n")}, "create n 2",
		join(entryBytes(), arg(protocol.OpenOut{Fh: 16, OpenFlags: 1, BackingID: 17}))},
	{protocol.OpTmpfile, rq{Arg: arg(protocol.CreateIn{Flags: 1, Mode: 2}), Name: []byte("/")}, "tmpfile 2",
		join(entryBytes(), arg(protocol.OpenOut{Fh: 16, OpenFlags: 1, BackingID: 17}))},
	{protocol.OpBmap, rq{Arg: arg(protocol.BmapIn{Block: 2})}, "bmap", arg(protocol.BmapOut{Block: 3})},
	{protocol.OpDestroy, rq{}, "destroy", nil},
	{protocol.OpIoctl, rq{Arg: arg(protocol.IoctlIn{Cmd: 2, InSize: 2, OutSize: 9}), Data: []byte("in")}, "ioctl 2 in 9",
		join(arg(protocol.IoctlOut{Result: 3}), []byte("out"))},
	{protocol.OpPoll, rq{Arg: arg(protocol.PollIn{Events: 5})}, "poll", arg(protocol.PollOut{Revents: 5})},
	{protocol.OpFallocate, rq{Arg: arg(protocol.FallocateIn{Mode: 1})}, "fallocate 1", nil},
	{protocol.OpLseek, rq{Arg: arg(protocol.LseekIn{Offset: 1})}, "lseek", arg(protocol.LseekOut{Offset: 2})},
	{protocol.OpCopyFileRange, rq{Arg: arg(protocol.CopyFileRangeIn{OffIn: 1, Len: 70})}, "copyfilerange 1", arg(protocol.WriteOut{Size: 70})},
	{protocol.OpCopyFileRange, rq{Arg: arg(protocol.CopyFileRangeIn{OffIn: 1, Len: 1 << 40})}, "copyfilerange 1",
		arg(protocol.WriteOut{Size: uint32(min(0xfffff000, uint64(math.MaxInt-0xfff)))})},
	{protocol.OpCopyFileRange64, rq{Arg: arg(protocol.CopyFileRangeIn{OffIn: 1, Len: 1 << 40})}, "copyfilerange 1",
		arg(protocol.CopyFileRangeOut{BytesCopied: min(1<<40, uint64(math.MaxInt-0xfff))})},
	{protocol.OpSetupmapping, rq{Arg: arg(protocol.SetupmappingIn{Moffset: 8})}, "setupmapping 8", nil},
	{protocol.OpRemovemapping, rq{Arg: arg(protocol.RemovemappingIn{Count: 1}), Data: arg(protocol.RemovemappingOne{Moffset: 4})}, "removemapping 1 4 true", nil},
	{protocol.OpSyncfs, rq{Arg: arg(protocol.SyncfsIn{})}, "syncfs", nil},
	{protocol.OpStatx, rq{Arg: arg(protocol.StatxIn{Fh: 3, SxMask: 6})}, "statx 6", arg(protocol.StatxOut{AttrValid: 18,
		Stat: protocol.Statx{Ino: 3, Spare2: [14]uint64{13: 19}}})},
}

func plusBytes() []byte {
	var e, dot protocol.EntryOut
	fill(&e)
	e.Nodeid = 100
	dot.Attr.Ino = 1
	b := protocol.AppendDirentplus(nil, &dot, 1, 4, []byte("."))
	return protocol.AppendDirentplus(b, &e, 100, 8, []byte("abc"))
}

// unanswered are the opcodes that requests does not have.
var unanswered = map[protocol.Opcode]bool{protocol.OpForget: true, protocol.OpBatchForget: true,
	protocol.OpInterrupt: true, protocol.OpNotifyReply: true, protocol.OpInit: true}

func TestEveryOpcode(t *testing.T) {
	f := &full{}
	k := serve(t, f, nil)
	seen := map[protocol.Opcode]bool{}
	for _, q := range requests {
		seen[q.op] = true
		e, body := k.call(q.op, 5, q.req)
		if e != 0 || !bytes.Equal(body, q.want) {
			t.Errorf("%v: %v, %x\nwant %x", q.op, e, body, q.want)
		}
		if got := f.take(); got != q.call {
			t.Errorf("%v: called %q, want %q", q.op, got, q.call)
		}
		fixed, variable := protocol.ReplySize(q.op, k.c.Params())
		if len(q.want) < fixed && !variable {
			t.Errorf("%v: reply of %d bytes, protocol says %d", q.op, len(q.want), fixed)
		}
	}
	for op := protocol.OpLookup; op <= protocol.OpCopyFileRange64; op++ {
		if op != 7 && op != 19 && !seen[op] && !unanswered[op] {
			t.Errorf("%v is in no test", op)
		}
	}
	// An error reply has nothing besides, whatever the handler filled in.
	f.set(unix.EXDEV, 0)
	for _, q := range requests {
		if q.op == protocol.OpDestroy {
			continue
		}
		if e, _ := k.call(q.op, 5, q.req); e != unix.EXDEV {
			t.Errorf("%v: %v, want EXDEV", q.op, e)
		}
	}
	f.take()
	k.send(protocol.OpForget, 9, rq{Arg: arg(protocol.ForgetIn{Nlookup: 3})})
	k.send(protocol.OpBatchForget, 0, rq{Arg: arg(protocol.BatchForgetIn{Count: 2}),
		Data: join(arg(protocol.ForgetOne{Nodeid: 4, Nlookup: 5}), arg(protocol.ForgetOne{Nodeid: 6, Nlookup: 7}))})
	k.send(protocol.OpNotifyReply, 9, rq{Arg: arg(protocol.NotifyRetrieveIn{Offset: 3, Size: 2}), Data: []byte("dd")})
	k.c.Params()
	got := map[string]bool{}
	eventually(t, "forgets and notify reply", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.calls {
			got[c] = true
		}
		return got["forget 9 3"] && got["forget 4 5"] && got["forget 6 7"] && got["notifyreply 3 dd"]
	})
	f.take()
	k.unmount()
	if got := f.take(); got != "done" {
		t.Errorf("at the end: %q", got)
	}
}

func TestMissingHandlers(t *testing.T) {
	k := serve(t, struct{}{}, nil)
	for _, q := range requests {
		want := unix.ENOSYS
		switch q.op {
		case protocol.OpStatfs, protocol.OpDestroy, protocol.OpRelease, protocol.OpReleasedir:
			want = 0
		}
		if e, _ := k.call(q.op, 5, q.req); e != want {
			t.Errorf("%v: %v, want %v", q.op, e, want)
		}
	}
	if e, _ := k.call(54, 5, rq{}); e != unix.ENOSYS {
		t.Errorf("opcode 54: %v", e)
	}
	if e, _ := k.call(7, 5, rq{}); e != unix.ENOSYS {
		t.Errorf("opcode 7: %v", e)
	}
	if k.c.Flags()&(protocol.InitDoReaddirplus|protocol.InitPosixLocks|protocol.InitFlockLocks) != 0 {
		t.Errorf("flags %#x promise what is not there", k.c.Flags())
	}
}

func TestFlagsFollowHandlers(t *testing.T) {
	want := conn.DefaultWant | protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto | protocol.InitPosixLocks | protocol.InitFlockLocks
	k := serve(t, &full{}, &conn.Options{Want: want})
	if k.c.Flags()&want != want {
		t.Errorf("flags %#x lack some of %#x", k.c.Flags(), want)
	}
	k = serve(t, struct{}{}, &conn.Options{Want: want, Mask: protocol.InitNoOpenSupport | protocol.InitNoOpendirSupport})
	for _, op := range []protocol.Opcode{protocol.OpOpen, protocol.OpOpendir} {
		if e, b := k.call(op, 1, rq{Arg: arg(protocol.OpenIn{})}); e != 0 || !bytes.Equal(b, make([]byte, 16)) {
			t.Errorf("%v without NO_OPEN_SUPPORT: %v %x", op, e, b)
		}
	}
	if k.c.Flags()&(protocol.InitDoReaddirplus|protocol.InitReaddirplusAuto|protocol.InitPosixLocks|protocol.InitFlockLocks) != 0 {
		t.Errorf("flags %#x promise what is not there", k.c.Flags())
	}
}
