package ops

import (
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// A file system implements the interfaces it needs, one method each; New finds
// them once. The rules that hold for all of them:
//
//   - The call is made on a reader's locked OS thread. A handler that is about
//     to wait says so first (r.Block), or hands the work on and returns Later.
//   - Everything passed in (names, data, in, out, dst, d) lies in the request's
//     slot: valid until the request is answered, to be copied if kept.
//   - out is zeroed before the call. It is sent only if the handler succeeds.
//   - An error becomes an errno: see Errno.
//   - A handler that fills an EntryOut with a nodeid other than 0 and succeeds
//     has counted one lookup of that node already, before the reply is sent. If
//     the kernel does not take the reply, ops calls Forget(nodeid, 1). A
//     handler that fails has counted nothing.
//   - A name is as the kernel sent it, 1 to 4095 bytes without NUL and without
//     '/' as far as the kernel is honest. What it means (".", "..") is for the
//     file system to check.

// Initer is told of the connection before INIT is answered. It may lower
// values in out; an error refuses the mount.
type Initer interface {
	Init(c *conn.Conn, in *protocol.InitIn, out *protocol.InitOut) error
}

// Doner is told that no request will follow: unmounted or aborted. Nothing is
// forgotten one by one at that point, so everything is to be freed here.
type Doner interface{ Done() }

// Lookuper answers LOOKUP (1). out.Nodeid 0 with EntryValid is a negative
// entry the kernel may cache; unix.ENOENT is one that it may not.
type Lookuper interface {
	Lookup(r *Request, name []byte, out *protocol.EntryOut) error
}

// Forgetter is told of FORGET (2), of each entry of BATCH_FORGET (42), and of
// entries in replies that the kernel did not take. It must not block.
type Forgetter interface {
	Forget(nodeid, nlookup uint64)
}

// Getattrer answers GETATTR (3). in.Fh counts only with GetattrFh.
type Getattrer interface {
	Getattr(r *Request, in *protocol.GetattrIn, out *protocol.AttrOut) error
}

// Setattrer answers SETATTR (4). in.Valid says which fields count.
type Setattrer interface {
	Setattr(r *Request, in *protocol.SetattrIn, out *protocol.AttrOut) error
}

// Readlinker answers READLINK (5) with the target, n bytes in dst (4095 at
// most); more is ENAMETOOLONG.
type Readlinker interface {
	Readlink(r *Request, dst []byte) (n int, err error)
}

// Symlinker answers SYMLINK (6).
type Symlinker interface {
	Symlink(r *Request, name, target []byte, out *protocol.EntryOut) error
}

// Mknoder answers MKNOD (8). in.Rdev is in the kernel's new_encode_dev form.
type Mknoder interface {
	Mknod(r *Request, in *protocol.MknodIn, name []byte, out *protocol.EntryOut) error
}

// Mkdirer answers MKDIR (9).
type Mkdirer interface {
	Mkdir(r *Request, in *protocol.MkdirIn, name []byte, out *protocol.EntryOut) error
}

// Unlinker answers UNLINK (10).
type Unlinker interface {
	Unlink(r *Request, name []byte) error
}

// Rmdirer answers RMDIR (11).
type Rmdirer interface {
	Rmdir(r *Request, name []byte) error
}

// Renamer answers RENAME (12, flags 0) and RENAME2 (45, RENAME_* flags).
type Renamer interface {
	Rename(r *Request, newdir uint64, oldname, newname []byte, flags uint32) error
}

// Linker answers LINK (13): oldnodeid gets name in the directory r.Nodeid().
type Linker interface {
	Link(r *Request, oldnodeid uint64, name []byte, out *protocol.EntryOut) error
}

// Opener answers OPEN (14). Without it, and if NO_OPEN_SUPPORT was negotiated,
// the answer is ENOSYS: the kernel then opens by itself for the rest of the
// connection, keeps file data cached over opens, sends fh 0 and no RELEASE.
// Else each open succeeds with fh 0.
type Opener interface {
	Open(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error
}

// Opendirer answers OPENDIR (27). Its file handles are a space of their own.
// Without it the same holds as for Opener (flag NO_OPENDIR_SUPPORT).
type Opendirer interface {
	Opendir(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error
}

// OpenCanceler is told that the reply to an OPEN, CREATE or TMPFILE (dir
// false) or OPENDIR (dir true) was not taken by the kernel, which therefore
// will send no RELEASE for fh. Without it such a handle stays open until Done.
// It may run on any thread, after the request has gone.
type OpenCanceler interface {
	CancelOpen(nodeid, fh uint64, dir bool)
}

// Reader answers READ (15): n bytes in dst, whose length is in.Size or the
// slot's payload area if that is smaller. Less than asked is end of file.
type Reader interface {
	Read(r *Request, in *protocol.ReadIn, dst []byte) (n int, err error)
}

// Writer answers WRITE (16) with the bytes taken. data is page-aligned.
type Writer interface {
	Write(r *Request, in *protocol.WriteIn, data []byte) (n int, err error)
}

// Statfser answers STATFS (17). Without it the answer is block size 4096, name
// length 255 and no space: df works, and so does whatever calls statfs only
// to know the limits.
type Statfser interface {
	Statfs(r *Request, out *protocol.Kstatfs) error
}

// Releaser answers RELEASE (18); nobody sees its error.
type Releaser interface {
	Release(r *Request, in *protocol.ReleaseIn) error
}

// Releasedirer answers RELEASEDIR (29); nobody sees its error.
type Releasedirer interface {
	Releasedir(r *Request, in *protocol.ReleaseIn) error
}

// Fsyncer answers FSYNC (20). ENOSYS: fsync succeeds, asked no more.
type Fsyncer interface {
	Fsync(r *Request, in *protocol.FsyncIn) error
}

// Fsyncdirer answers FSYNCDIR (30). ENOSYS: as for Fsyncer.
type Fsyncdirer interface {
	Fsyncdir(r *Request, in *protocol.FsyncIn) error
}

// Setxattrer answers SETXATTR (21). in.SetxattrFlags is 0 unless
// SETXATTR_EXT was negotiated. ENOSYS: EOPNOTSUPP, asked no more.
type Setxattrer interface {
	Setxattr(r *Request, in *protocol.SetxattrIn, name, value []byte) error
}

// Getxattrer answers GETXATTR (22). With len(dst) 0 it returns the value's
// size; else the value in dst, and if n exceeds len(dst), ERANGE is sent.
// unix.ENODATA: no such attribute. ENOSYS: EOPNOTSUPP, asked no more.
type Getxattrer interface {
	Getxattr(r *Request, name, dst []byte) (n int, err error)
}

// Listxattrer answers LISTXATTR (23): names, each followed by NUL; dst and n
// as for Getxattrer.
type Listxattrer interface {
	Listxattr(r *Request, dst []byte) (n int, err error)
}

// Removexattrer answers REMOVEXATTR (24).
type Removexattrer interface {
	Removexattr(r *Request, name []byte) error
}

// Flusher answers FLUSH (25), one for each close(2) of each descriptor.
// ENOSYS: close succeeds, asked no more.
type Flusher interface {
	Flush(r *Request, in *protocol.FlushIn) error
}

// Readdirer answers READDIR (28): entries from cookie in.Offset on (0: from
// the start), added to d until it is full. None added is the end.
type Readdirer interface {
	Readdir(r *Request, in *protocol.ReadIn, d *DirBuf) error
}

// Readdirpluser answers READDIRPLUS (44). Each entry added with a nodeid other
// than 0 has been counted once. Without it Table clears DO_READDIRPLUS.
type Readdirpluser interface {
	Readdirplus(r *Request, in *protocol.ReadIn, d *DirBuf) error
}

// Getlker answers GETLK (31): the lock in the way, or type F_UNLCK.
type Getlker interface {
	Getlk(r *Request, in *protocol.LkIn, out *protocol.LkOut) error
}

// Setlker answers SETLK (32), POSIX or (LkFlock) flock. Without it Table
// clears POSIX_LOCKS and FLOCK_LOCKS and the kernel keeps locks by itself.
type Setlker interface {
	Setlk(r *Request, in *protocol.LkIn) error
}

// Setlkwer answers SETLKW (33). It waits, so it must not do so on the reader:
// Detach or Later. When interrupted it answers EINTR.
type Setlkwer interface {
	Setlkw(r *Request, in *protocol.LkIn) error
}

// Accesser answers ACCESS (34). ENOSYS: access is granted, asked no more.
type Accesser interface {
	Access(r *Request, in *protocol.AccessIn) error
}

// Creater answers CREATE (35). ENOSYS: the kernel uses MKNOD and OPEN instead.
type Creater interface {
	Create(r *Request, in *protocol.CreateIn, name []byte, e *protocol.EntryOut, o *protocol.OpenOut) error
}

// Tmpfiler answers TMPFILE (51), a file without a name in r.Nodeid().
// ENOSYS: EOPNOTSUPP, asked no more.
type Tmpfiler interface {
	Tmpfile(r *Request, in *protocol.CreateIn, e *protocol.EntryOut, o *protocol.OpenOut) error
}

// Bmaper answers BMAP (37), sent to fuseblk mounts only.
type Bmaper interface {
	Bmap(r *Request, in *protocol.BmapIn, out *protocol.BmapOut) error
}

// Destroyer is told of DESTROY (38), which only fuseblk and virtiofs send.
type Destroyer interface{ Destroy(r *Request) }

// Ioctler answers IOCTL (39). data is in.InSize bytes, dst room for
// in.OutSize (or less, if the slot has less); n of it are sent.
type Ioctler interface {
	Ioctl(r *Request, in *protocol.IoctlIn, data, dst []byte, out *protocol.IoctlOut) (n int, err error)
}

// Poller answers POLL (40). ENOSYS: always ready, asked no more.
type Poller interface {
	Poll(r *Request, in *protocol.PollIn, out *protocol.PollOut) error
}

// NotifyReplier is given what a NotifyRetrieve asked for (NOTIFY_REPLY, 41);
// r.Unique() is the id of the notification. There is no answer.
type NotifyReplier interface {
	NotifyReply(r *Request, in *protocol.NotifyRetrieveIn, data []byte)
}

// Fallocater answers FALLOCATE (43). ENOSYS: EOPNOTSUPP, asked no more.
type Fallocater interface {
	Fallocate(r *Request, in *protocol.FallocateIn) error
}

// Lseeker answers LSEEK (46), SEEK_DATA and SEEK_HOLE only.
type Lseeker interface {
	Lseek(r *Request, in *protocol.LseekIn, out *protocol.LseekOut) error
}

// CopyFileRanger answers COPY_FILE_RANGE (47), in.Len then bounded by what its
// reply can say, and COPY_FILE_RANGE_64 (53). It returns the bytes copied.
type CopyFileRanger interface {
	CopyFileRange(r *Request, in *protocol.CopyFileRangeIn) (n uint64, err error)
}

// Setupmapper answers SETUPMAPPING (48), DAX only.
type Setupmapper interface {
	Setupmapping(r *Request, in *protocol.SetupmappingIn) error
}

// Removemapper answers REMOVEMAPPING (49), DAX only. The in.Count ranges are
// had from r.Removemapping.
type Removemapper interface {
	Removemapping(r *Request, in *protocol.RemovemappingIn) error
}

// Syncfser answers SYNCFS (50), sent to fuseblk and virtiofs only.
type Syncfser interface {
	Syncfs(r *Request) error
}

// Statxer answers STATX (52), sent when the birth time is asked for. ENOSYS:
// GETATTR is used instead.
type Statxer interface {
	Statx(r *Request, in *protocol.StatxIn, out *protocol.StatxOut) error
}
