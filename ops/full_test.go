package ops

import (
	"fmt"
	"strings"
	"sync"

	"github.com/fusewire/fusewire/protocol"
)

// full has every handler. Each notes its call and answers with what the
// arguments say, so that a mix-up shows.
type full struct {
	mu    sync.Mutex
	calls []string
	err   error
	n     int // added to what is returned
}

func (f *full) note(format string, a ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, a...))
	return f.err
}

// set says what the next calls return.
func (f *full) set(err error, n int) {
	f.mu.Lock()
	f.err, f.n = err, n
	f.mu.Unlock()
}

func (f *full) more() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *full) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, "; ")
	f.calls = nil
	return s
}

func fill(e *protocol.EntryOut) {
	*e = protocol.EntryOut{Nodeid: 77, Generation: 1, EntryValid: 2, AttrValid: 3, EntryValidNsec: 4, AttrValidNsec: 5}
	e.Attr.Ino, e.Attr.Flags = 6, 7
}

func (f *full) Forget(id, n uint64)               { f.note("forget %d %d", id, n) }
func (f *full) CancelOpen(id, fh uint64, d bool)  { f.note("cancel %d %d %v", id, fh, d) }
func (f *full) Done()                             { f.note("done") }
func (f *full) Destroy(r *Request)                { f.note("destroy") }
func (f *full) Unlink(r *Request, n []byte) error { return f.note("unlink %s", n) }
func (f *full) Rmdir(r *Request, n []byte) error  { return f.note("rmdir %s", n) }
func (f *full) Syncfs(r *Request) error           { return f.note("syncfs") }

func (f *full) Lookup(r *Request, n []byte, out *protocol.EntryOut) error {
	fill(out)
	return f.note("lookup %d %s %d %d %d", r.Nodeid(), n, r.Uid(), r.Gid(), r.Pid())
}
func (f *full) Getattr(r *Request, in *protocol.GetattrIn, out *protocol.AttrOut) error {
	out.AttrValid, out.Attr.Ino, out.Attr.Flags = 8, in.Fh, 9
	return f.note("getattr %d", in.Fh)
}
func (f *full) Setattr(r *Request, in *protocol.SetattrIn, out *protocol.AttrOut) error {
	out.AttrValid, out.Attr.Ino, out.Attr.Flags = 8, in.Fh, 9
	return f.note("setattr %d %d", in.Valid, in.Gid)
}
func (f *full) Readlink(r *Request, dst []byte) (int, error) {
	return copy(dst, "target") + f.more(), f.note("readlink %d", len(dst))
}
func (f *full) Symlink(r *Request, n, to []byte, out *protocol.EntryOut) error {
	fill(out)
	return f.note("symlink %s %s", n, to)
}
func (f *full) Mknod(r *Request, in *protocol.MknodIn, n []byte, out *protocol.EntryOut) error {
	fill(out)
	return f.note("mknod %d %d %s", in.Mode, in.Umask, n)
}
func (f *full) Mkdir(r *Request, in *protocol.MkdirIn, n []byte, out *protocol.EntryOut) error {
	fill(out)
	return f.note("mkdir %d %s", in.Mode, n)
}
func (f *full) Rename(r *Request, dir uint64, a, b []byte, flags uint32) error {
	return f.note("rename %d %s %s %d", dir, a, b, flags)
}
func (f *full) Link(r *Request, old uint64, n []byte, out *protocol.EntryOut) error {
	fill(out)
	return f.note("link %d %s", old, n)
}
func (f *full) Open(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	out.Fh, out.OpenFlags, out.BackingID = 11, in.Flags, 12
	return f.note("open")
}
func (f *full) Opendir(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	out.Fh, out.OpenFlags, out.BackingID = 13, in.Flags, 12
	return f.note("opendir")
}
func (f *full) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error) {
	for i := range dst {
		dst[i] = byte(in.Offset) + byte(i)
	}
	return len(dst) + f.more(), f.note("read %d", len(dst))
}
func (f *full) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	return len(data) + f.more(), f.note("write %d %s", in.Offset, data)
}
func (f *full) Statfs(r *Request, out *protocol.Kstatfs) error {
	out.Blocks, out.Frsize = 14, 15
	return f.note("statfs")
}
func (f *full) Release(r *Request, in *protocol.ReleaseIn) error {
	return f.note("release %d", in.Fh)
}
func (f *full) Releasedir(r *Request, in *protocol.ReleaseIn) error {
	return f.note("releasedir %d", in.Fh)
}
func (f *full) Fsync(r *Request, in *protocol.FsyncIn) error { return f.note("fsync %d", in.Fh) }
func (f *full) Fsyncdir(r *Request, in *protocol.FsyncIn) error {
	return f.note("fsyncdir %d", in.Fh)
}
func (f *full) Setxattr(r *Request, in *protocol.SetxattrIn, n, v []byte) error {
	return f.note("setxattr %s %s", n, v)
}
func (f *full) Getxattr(r *Request, n, dst []byte) (int, error) {
	copy(dst, "value")
	return 5, f.note("getxattr %s %d", n, len(dst))
}
func (f *full) Listxattr(r *Request, dst []byte) (int, error) {
	copy(dst, "a\x00b\x00")
	return 4, f.note("listxattr %d", len(dst))
}
func (f *full) Removexattr(r *Request, n []byte) error { return f.note("removexattr %s", n) }
func (f *full) Flush(r *Request, in *protocol.FlushIn) error {
	return f.note("flush %d", in.LockOwner)
}
func (f *full) Readdir(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	for d.Add(1, 2, 4, []byte("abc")) {
	}
	return f.note("readdir %d %d", in.Offset, d.Len()+d.Room())
}
func (f *full) Readdirplus(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	var e protocol.EntryOut
	d.Add(1, 1, 4, []byte("."))
	for i := uint64(100); ; i++ {
		fill(&e)
		e.Nodeid = i
		if !d.AddPlus(&e, i, 8, []byte("abc")) {
			break
		}
	}
	return f.note("readdirplus %d %d", in.Offset, d.Len()+d.Room())
}
func (f *full) Getlk(r *Request, in *protocol.LkIn, out *protocol.LkOut) error {
	out.Lk = in.Lk
	return f.note("getlk")
}
func (f *full) Setlk(r *Request, in *protocol.LkIn) error  { return f.note("setlk %d", in.Owner) }
func (f *full) Setlkw(r *Request, in *protocol.LkIn) error { return f.note("setlkw %d", in.Owner) }
func (f *full) Access(r *Request, in *protocol.AccessIn) error {
	return f.note("access %d", in.Mask)
}
func (f *full) Create(r *Request, in *protocol.CreateIn, n []byte, e *protocol.EntryOut, o *protocol.OpenOut) error {
	fill(e)
	o.Fh, o.OpenFlags, o.BackingID = 16, in.Flags, 17
	return f.note("create %s %d", n, in.Mode)
}
func (f *full) Tmpfile(r *Request, in *protocol.CreateIn, e *protocol.EntryOut, o *protocol.OpenOut) error {
	fill(e)
	o.Fh, o.OpenFlags, o.BackingID = 16, in.Flags, 17
	return f.note("tmpfile %d", in.Mode)
}
func (f *full) Bmap(r *Request, in *protocol.BmapIn, out *protocol.BmapOut) error {
	out.Block = in.Block + 1
	return f.note("bmap")
}
func (f *full) Ioctl(r *Request, in *protocol.IoctlIn, data, dst []byte, out *protocol.IoctlOut) (int, error) {
	out.Result = 3
	return copy(dst, "out") + f.more(), f.note("ioctl %d %s %d", in.Cmd, data, len(dst))
}
func (f *full) Poll(r *Request, in *protocol.PollIn, out *protocol.PollOut) error {
	out.Revents = in.Events
	return f.note("poll")
}
func (f *full) NotifyReply(r *Request, in *protocol.NotifyRetrieveIn, data []byte) {
	f.note("notifyreply %d %s", in.Offset, data)
}
func (f *full) Fallocate(r *Request, in *protocol.FallocateIn) error {
	return f.note("fallocate %d", in.Mode)
}
func (f *full) Lseek(r *Request, in *protocol.LseekIn, out *protocol.LseekOut) error {
	out.Offset = in.Offset + 1
	return f.note("lseek")
}
func (f *full) CopyFileRange(r *Request, in *protocol.CopyFileRangeIn) (uint64, error) {
	return in.Len, f.note("copyfilerange %d", in.OffIn)
}
func (f *full) Setupmapping(r *Request, in *protocol.SetupmappingIn) error {
	return f.note("setupmapping %d", in.Moffset)
}
func (f *full) Removemapping(r *Request, in *protocol.RemovemappingIn) error {
	one, ok := r.Removemapping(int(in.Count) - 1)
	return f.note("removemapping %d %d %v", in.Count, one.Moffset, ok)
}
func (f *full) Statx(r *Request, in *protocol.StatxIn, out *protocol.StatxOut) error {
	out.AttrValid, out.Stat.Ino, out.Stat.Spare2[13] = 18, in.Fh, 19
	return f.note("statx %d", in.SxMask)
}
