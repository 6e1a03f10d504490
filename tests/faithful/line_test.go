package faithful

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/fusewire/fusewire/protocol"
)

// barrier is how many STATFSs of the root end a group.
const barrier = 10

// tap turns the requests of a connection into lines, in groups: the requests of
// one operation each. barrier STATFSs of the root, which programs do not send,
// end a group: whatever the operation has put into the queue comes before the
// first, and what FORGETs it has led to before the last, since the kernel sends
// them in a rhythm of at most 8 requests to 16 FORGETs.
type tap struct {
	mu     sync.Mutex
	groups [][]string
	group  []string
	forget map[uint64]uint64
	marks  int
	owners map[uint64]string
}

func newTap() *tap {
	return &tap{forget: map[uint64]uint64{}, owners: map[uint64]string{}}
}

// id names an id. Nodeids and handles are the server's, which gives them in
// order; lock owners are the kernel's: they are told apart by which came first.
func (t *tap) id(kind string, v uint64) string {
	if kind != "o" {
		return fmt.Sprint(kind, v)
	}
	if t.owners[v] == "" {
		t.owners[v] = fmt.Sprint(kind, len(t.owners))
	}
	return t.owners[v]
}

// Reply, Notify: only requests count.
func (t *tap) Reply(protocol.Opcode, []byte, error) {}
func (t *tap) Notify([]byte, error)                 {}

func (t *tap) Request(r *protocol.Request, _ []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := r.Header
	switch h.Opcode {
	case protocol.OpInit:
		return
	case protocol.OpForget:
		t.forget[h.Nodeid] += r.ForgetIn().Nlookup
		return
	case protocol.OpBatchForget:
		for _, f := range r.Forgets() {
			t.forget[f.Nodeid] += f.Nlookup
		}
		return
	case protocol.OpStatfs:
		if h.Nodeid == protocol.RootID {
			if t.marks++; t.marks%barrier == 0 {
				t.cut()
			}
			return
		}
	}
	t.group = append(t.group, t.line(r))
}

// cut ends a group. FORGETs have a queue of their own, beside the requests', so
// they stand at its end, sorted.
func (t *tap) cut() {
	var l []string
	for id, n := range t.forget {
		l = append(l, fmt.Sprintf("FORGET %s nlookup=%d", t.id("n", id), n))
	}
	sort.Strings(l)
	t.groups = append(t.groups, append(t.group, l...))
	t.group = nil
	clear(t.forget)
}

// when hides times of day.
func when(sec uint64, nsec uint32) string {
	if sec >= 1_500_000_000 {
		return "now"
	}
	return fmt.Sprintf("%d.%09d", sec, nsec)
}

func (t *tap) line(r *protocol.Request) string {
	h := r.Header
	var b strings.Builder
	pid := "-"
	if h.Pid != 0 {
		pid = "pid"
	}
	fmt.Fprintf(&b, "%v %s %d:%d/%s", h.Opcode, t.id("n", h.Nodeid), h.Uid, h.Gid, pid)
	p := func(format string, arg ...any) { fmt.Fprintf(&b, " "+format, arg...) }
	fh := func(v uint64) string { return t.id("f", v) }
	owner := func(set bool, v uint64) string {
		if !set && v == 0 {
			return "-"
		}
		return t.id("o", v)
	}
	switch h.Opcode {
	case protocol.OpGetattr:
		in := r.GetattrIn()
		if p("flags=%#x", in.GetattrFlags); in.GetattrFlags != 0 || in.Fh != 0 {
			p("fh=%s", fh(in.Fh))
		}
	case protocol.OpSetattr:
		in := r.SetattrIn()
		p("valid=%#x", in.Valid)
		if in.Valid&protocol.FattrFh != 0 || in.Fh != 0 {
			p("fh=%s", fh(in.Fh))
		}
		if in.Valid&protocol.FattrSize != 0 {
			p("size=%d", in.Size)
		}
		p("owner=%s", owner(in.Valid&protocol.FattrLockowner != 0, in.LockOwner))
		if in.Valid&protocol.FattrAtime != 0 {
			p("atime=%s", when(in.Atime, in.Atimensec))
		}
		if in.Valid&protocol.FattrMtime != 0 {
			p("mtime=%s", when(in.Mtime, in.Mtimensec))
		}
		if in.Valid&protocol.FattrMode != 0 {
			p("mode=%#o", in.Mode)
		}
		if in.Valid&protocol.FattrUid != 0 {
			p("uid=%d", in.Uid)
		}
		if in.Valid&protocol.FattrGid != 0 {
			p("gid=%d", in.Gid)
		}
	case protocol.OpMknod:
		in := r.MknodIn()
		p("mode=%#o rdev=%#x umask=%#o", in.Mode, in.Rdev, in.Umask)
	case protocol.OpMkdir:
		in := r.MkdirIn()
		p("mode=%#o umask=%#o", in.Mode, in.Umask)
	case protocol.OpRename:
		p("newdir=%s", t.id("n", r.RenameIn().Newdir))
	case protocol.OpRename2:
		p("newdir=%s flags=%#x", t.id("n", r.Rename2In().Newdir), r.Rename2In().Flags)
	case protocol.OpLink:
		p("old=%s", t.id("n", r.LinkIn().Oldnodeid))
	case protocol.OpOpen, protocol.OpOpendir:
		in := r.OpenIn()
		p("flags=%#x open=%#x", in.Flags, in.OpenFlags)
	case protocol.OpCreate, protocol.OpTmpfile:
		in := r.CreateIn()
		p("flags=%#x mode=%#o umask=%#o open=%#x", in.Flags, in.Mode, in.Umask, in.OpenFlags)
	case protocol.OpRead, protocol.OpReaddir, protocol.OpReaddirplus:
		in := r.ReadIn()
		p("fh=%s off=%d size=%d rflags=%#x owner=%s flags=%#x", fh(in.Fh), in.Offset, in.Size, in.ReadFlags,
			owner(in.ReadFlags&protocol.ReadLockowner != 0, in.LockOwner), in.Flags)
	case protocol.OpWrite:
		in := r.WriteIn()
		p("fh=%s off=%d size=%d wflags=%#x owner=%s flags=%#x sum=%08x", fh(in.Fh), in.Offset, in.Size, in.WriteFlags,
			owner(in.WriteFlags&protocol.WriteLockowner != 0, in.LockOwner), in.Flags, sum(r.Data))
	case protocol.OpRelease, protocol.OpReleasedir:
		in := r.ReleaseIn()
		p("fh=%s flags=%#x rflags=%#x owner=%s", fh(in.Fh), in.Flags, in.ReleaseFlags, owner(in.ReleaseFlags != 0, in.LockOwner))
	case protocol.OpFsync, protocol.OpFsyncdir:
		p("fh=%s flags=%#x", fh(r.FsyncIn().Fh), r.FsyncIn().FsyncFlags)
	case protocol.OpFlush:
		p("fh=%s owner=%s", fh(r.FlushIn().Fh), owner(true, r.FlushIn().LockOwner))
	case protocol.OpSetxattr:
		in := r.SetxattrIn()
		p("size=%d flags=%#x xflags=%#x value=%08x", in.Size, in.Flags, in.SetxattrFlags, sum(r.Data))
	case protocol.OpGetxattr, protocol.OpListxattr:
		p("size=%d", r.GetxattrIn().Size)
	case protocol.OpAccess:
		p("mask=%#x", r.AccessIn().Mask)
	case protocol.OpLseek:
		in := r.LseekIn()
		p("fh=%s off=%d whence=%d", fh(in.Fh), in.Offset, in.Whence)
	case protocol.OpFallocate:
		in := r.FallocateIn()
		p("fh=%s off=%d len=%d mode=%#x", fh(in.Fh), in.Offset, in.Length, in.Mode)
	case protocol.OpCopyFileRange, protocol.OpCopyFileRange64:
		in := r.CopyFileRangeIn()
		p("fh=%s off=%d out=%s fhout=%s offout=%d len=%d flags=%#x", fh(in.FhIn), in.OffIn, t.id("n", in.NodeidOut), fh(in.FhOut), in.OffOut, in.Len, in.Flags)
	case protocol.OpStatx:
		in := r.StatxIn()
		p("flags=%#x sx=%#x/%#x", in.GetattrFlags, in.SxFlags, in.SxMask)
		if in.GetattrFlags != 0 {
			p("fh=%s", fh(in.Fh))
		}
	case protocol.OpGetlk, protocol.OpSetlk, protocol.OpSetlkw:
		in := r.LkIn()
		p("fh=%s owner=%s type=%d %d-%d flags=%#x", fh(in.Fh), owner(true, in.Owner), in.Lk.Type, in.Lk.Start, in.Lk.End, in.LkFlags)
	}
	if r.Name != nil {
		p("%q", r.Name)
	}
	if r.Name2 != nil {
		p("%q", r.Name2)
	}
	if len(r.Ext) > 0 {
		p("ext=%x", r.Ext)
	}
	return b.String()
}

// sum is a hash, FNV-1a.
func sum(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
