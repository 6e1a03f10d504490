package ops

import (
	"math"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// serve calls r's handler. One function with a case an opcode: with a closure an
// opcode, this is 30 KB more of a program.
func (t *Table) serve(r *Request) (n int, err error) {
	h := &t.handlers
	out := r.Out()
	switch r.Header.Opcode {

	// Names, and what they lead to.
	case protocol.OpLookup:
		if h.lookup != nil {
			return 0, h.lookup.Lookup(r, r.Name, protocol.ViewOf[entry](out))
		}
	case protocol.OpSymlink:
		if h.symlink != nil {
			return 0, h.symlink.Symlink(r, r.Name, r.Name2, protocol.ViewOf[entry](out))
		}
	case protocol.OpMknod:
		if h.mknod != nil {
			return 0, h.mknod.Mknod(r, r.MknodIn(), r.Name, protocol.ViewOf[entry](out))
		}
	case protocol.OpMkdir:
		if h.mkdir != nil {
			return 0, h.mkdir.Mkdir(r, r.MkdirIn(), r.Name, protocol.ViewOf[entry](out))
		}
	case protocol.OpLink:
		if h.link != nil {
			return 0, h.link.Link(r, r.LinkIn().Oldnodeid, r.Name, protocol.ViewOf[entry](out))
		}
	case protocol.OpUnlink:
		if h.unlink != nil {
			return 0, h.unlink.Unlink(r, r.Name)
		}
	case protocol.OpRmdir:
		if h.rmdir != nil {
			return 0, h.rmdir.Rmdir(r, r.Name)
		}
	case protocol.OpRename:
		if h.rename != nil {
			return 0, h.rename.Rename(r, r.RenameIn().Newdir, r.Name, r.Name2, 0)
		}
	case protocol.OpRename2:
		if h.rename != nil {
			in := r.Rename2In()
			return 0, h.rename.Rename(r, in.Newdir, r.Name, r.Name2, in.Flags)
		}

	// Opening and closing.
	case protocol.OpOpen:
		if h.open != nil {
			return 0, h.open.Open(r, r.OpenIn(), protocol.ViewOf[open](out))
		}
		if t.opens {
			r.shape = &noHandle
			return 0, nil
		}
	case protocol.OpCreate:
		if h.create != nil {
			return 0, h.create.Create(r, r.CreateIn(), r.Name, protocol.ViewOf[entry](out), protocol.ViewOf[open](out[sizeEntry:]))
		}
	case protocol.OpTmpfile:
		if h.tmpfile != nil {
			return 0, h.tmpfile.Tmpfile(r, r.CreateIn(), protocol.ViewOf[entry](out), protocol.ViewOf[open](out[sizeEntry:]))
		}
	case protocol.OpFlush:
		if h.flush != nil {
			return 0, h.flush.Flush(r, r.FlushIn())
		}
	case protocol.OpRelease:
		if h.release != nil {
			return 0, h.release.Release(r, r.ReleaseIn())
		}
		return 0, nil // nobody is told of a RELEASE's error
	case protocol.OpFsync:
		if h.fsync != nil {
			return 0, h.fsync.Fsync(r, r.FsyncIn())
		}

	// What is in files.
	case protocol.OpRead:
		if h.read != nil {
			in := r.ReadIn()
			return h.read.Read(r, in, r.room(in.Size))
		}
	case protocol.OpWrite:
		if h.write != nil {
			r.gives, r.limit = givesU32, len(r.Data)
			if r.ZeroCopy() {
				r.limit = int(r.WriteIn().Size)
			}
			return h.write.Write(r, r.WriteIn(), r.Data)
		}
	case protocol.OpFallocate:
		if h.fallocate != nil {
			return 0, h.fallocate.Fallocate(r, r.FallocateIn())
		}
	case protocol.OpLseek:
		if h.lseek != nil {
			return 0, h.lseek.Lseek(r, r.LseekIn(), protocol.ViewOf[protocol.LseekOut](out))
		}
	case protocol.OpCopyFileRange, protocol.OpCopyFileRange64:
		if h.copyRange != nil {
			n, err := h.copyRange.CopyFileRange(r, r.copyRange())
			return int(min(n, math.MaxInt)), err
		}
	case protocol.OpBmap:
		if h.bmap != nil {
			return 0, h.bmap.Bmap(r, r.BmapIn(), protocol.ViewOf[protocol.BmapOut](out))
		}

	// Attributes, targets of symbolic links, the file system as a whole.
	case protocol.OpGetattr:
		if h.getattr != nil {
			return 0, h.getattr.Getattr(r, r.GetattrIn(), protocol.ViewOf[protocol.AttrOut](out))
		}
	case protocol.OpSetattr:
		if h.setattr != nil {
			return 0, h.setattr.Setattr(r, r.SetattrIn(), protocol.ViewOf[protocol.AttrOut](out))
		}
	case protocol.OpStatx:
		if h.statx != nil {
			return 0, h.statx.Statx(r, r.StatxIn(), protocol.ViewOf[protocol.StatxOut](out))
		}
	case protocol.OpReadlink:
		if h.readlink != nil {
			// fs/fuse/dir.c: fuse_readlink_folio takes a page less the NUL.
			r.over = unix.ENAMETOOLONG
			return h.readlink.Readlink(r, r.room(maxTarget))
		}
	case protocol.OpAccess:
		if h.access != nil {
			return 0, h.access.Access(r, r.AccessIn())
		}
	case protocol.OpStatfs:
		st := protocol.ViewOf[protocol.Kstatfs](out)
		if h.statfs != nil {
			return 0, h.statfs.Statfs(r, st)
		}
		st.Bsize, st.Frsize, st.Namelen = 4096, 4096, 255
		return 0, nil
	case protocol.OpSyncfs:
		if h.syncfs != nil {
			return 0, h.syncfs.Syncfs(r)
		}

	// Extended attributes.
	case protocol.OpSetxattr:
		if h.setxattr != nil {
			return 0, h.setxattr.Setxattr(r, r.SetxattrIn(), r.Name, r.Data)
		}
	case protocol.OpGetxattr:
		if h.getxattr != nil {
			return h.getxattr.Getxattr(r, r.Name, r.xattrRoom())
		}
	case protocol.OpListxattr:
		if h.listxattr != nil {
			return h.listxattr.Listxattr(r, r.xattrRoom())
		}
	case protocol.OpRemovexattr:
		if h.removexattr != nil {
			return 0, h.removexattr.Removexattr(r, r.Name)
		}

	// Directories as handles.
	case protocol.OpOpendir:
		if h.opendir != nil {
			return 0, h.opendir.Opendir(r, r.OpenIn(), protocol.ViewOf[open](out))
		}
		if t.opendirs {
			r.shape = &noHandle
			return 0, nil
		}
	case protocol.OpReaddir:
		if h.readdir != nil {
			in := r.ReadIn()
			return 0, h.readdir.Readdir(r, in, r.dirBuf(in.Size, false))
		}
	case protocol.OpReaddirplus:
		if h.readdirplus != nil {
			in := r.ReadIn()
			return 0, h.readdirplus.Readdirplus(r, in, r.dirBuf(in.Size, true))
		}
	case protocol.OpReleasedir:
		if h.releasedir != nil {
			return 0, h.releasedir.Releasedir(r, r.ReleaseIn())
		}
		return 0, nil
	case protocol.OpFsyncdir:
		if h.fsyncdir != nil {
			return 0, h.fsyncdir.Fsyncdir(r, r.FsyncIn())
		}

	// POSIX locks and flock.
	case protocol.OpGetlk:
		if h.getlk != nil {
			return 0, h.getlk.Getlk(r, r.LkIn(), protocol.ViewOf[protocol.LkOut](out))
		}
	case protocol.OpSetlk:
		if h.setlk != nil {
			return 0, h.setlk.Setlk(r, r.LkIn())
		}
	case protocol.OpSetlkw:
		if h.setlkw != nil {
			return 0, h.setlkw.Setlkw(r, r.LkIn())
		}

	// Device-like operations, DAX, the end.
	case protocol.OpIoctl:
		if h.ioctl != nil {
			in := r.IoctlIn()
			return h.ioctl.Ioctl(r, in, r.Data, r.room(in.OutSize), protocol.ViewOf[protocol.IoctlOut](out))
		}
	case protocol.OpPoll:
		if h.poll != nil {
			return 0, h.poll.Poll(r, r.PollIn(), protocol.ViewOf[protocol.PollOut](out))
		}
	case protocol.OpSetupmapping:
		if h.setupmap != nil {
			return 0, h.setupmap.Setupmapping(r, r.SetupmappingIn())
		}
	case protocol.OpRemovemapping:
		if h.removemap != nil {
			return 0, h.removemap.Removemapping(r, r.RemovemappingIn())
		}
	case protocol.OpDestroy:
		if h.destroy != nil {
			h.destroy.Destroy(r)
		}
		return 0, nil
	}
	return 0, unix.ENOSYS
}

type (
	entry = protocol.EntryOut
	open  = protocol.OpenOut
)

const maxTarget = 4095

// room returns the payload area for size bytes of data, or as much as there is.
func (r *Request) room(size uint32) []byte {
	b := r.Payload()
	if uint64(size) < uint64(len(b)) {
		b = b[:size:size]
	}
	r.limit = len(b)
	return b
}

// xattrRoom returns the room for a value or list. Size 0 asks how much there
// would be: a getxattr_out is the answer, and there is no room.
func (r *Request) xattrRoom() []byte {
	size := r.GetxattrIn().Size
	r.over = unix.ERANGE
	if size == 0 {
		r.gives, r.limit = givesU32, math.MaxInt32
		return nil
	}
	return r.room(size)
}

func (r *Request) dirBuf(size uint32, plus bool) *DirBuf {
	r.gives = givesEntries
	r.dir = DirBuf{b: r.room(size), plus: plus, lost: r.t}
	return &r.dir
}

// copyRange returns the argument with a length whose copy can be said.
func (r *Request) copyRange() *protocol.CopyFileRangeIn {
	in := r.CopyFileRangeIn()
	most := uint64(math.MaxInt - 0xfff)
	r.gives = givesU64
	if r.Header.Opcode == protocol.OpCopyFileRange {
		r.gives, most = givesU32, min(most, 0xfffff000)
	}
	if in.Len > most {
		// A shorter copy is no error, a result that cannot be said is.
		r.cfr = *in
		in = &r.cfr
		in.Len = most
	}
	r.limit = int(in.Len)
	return in
}
