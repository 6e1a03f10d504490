package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// Kernel passthrough (PASSTHROUGH, 7.40, Linux 6.9): an OPEN or CREATE is
// answered with a backing id, and the kernel opens the file behind it once more,
// with the caller's flags (fs/fuse/passthrough.c: fuse_passthrough_open). Reads,
// writes, splices and mappings go there and never come here; everything else
// does.
//
// Who may have it together (fs/fuse/iomode.c): as long as an inode has an open
// file with a backing id, every open of it must have the same one; as long as
// it has one without, none may have any. A mistake is EIO to the caller. So
// inode.users counts, like the kernel's iocachectr, the first kind upwards and
// the second downwards, from before the reply to OPEN until RELEASE. The kernel
// counts from after the reply, and stops before it sends RELEASE
// (fs/fuse/file.c: fuse_file_put): whatever it counts is counted here.
//
// Whose writes: the kernel writes with the credentials of BACKING_OPEN, and asks
// only for set-id bits that it knows of to be taken (SETATTR of nothing, see
// chownNothing). The source must take those that it does not know of, so the
// id is made without CAP_FSETID. That would take them from root's writes too,
// who keeps them natively: files that have such bits are not passed through.
//
// The descriptor's own flags do not matter, but the caller's stay with what the
// kernel opened: fcntl(F_SETFL) adds O_APPEND, but takes neither it nor O_DIRECT
// away. A writer who leaves O_DIRECT for a last block that is not whole (dd
// oflag=direct) would get EINVAL, so those who only write have FOPEN_DIRECT_IO
// besides, where direct I/O has to be aligned: their writes come here
// (fs/fuse/file.c: fuse_file_write_iter). Databases and the like open for both.

// mayBack takes PASSTHROUGH out of a reply to INIT that it does not go with.
// Called at INIT, after what else is in out has been decided.
func (fs *FS) mayBack(out *protocol.InitOut) {
	const bit = uint32(protocol.InitPassthrough >> 32)
	if out.Flags2&bit == 0 {
		return
	}
	fs.backs.Store(!fs.writeback && out.Flags&uint32(protocol.InitHandleKillprivV2) != 0)
	switch {
	case !fs.backs.Load(), !hasCap(unix.CAP_SYS_ADMIN):
		// Without the capability the first who opens a file is told.
		out.Flags2 &^= bit
		out.MaxStackDepth = 0
	case fs.stacked:
		// The mount counts as stacked this deep, for who stacks upon it (there
		// may be two levels in all), and passes through to what is less deep.
		out.MaxStackDepth = 2
	}
}

// noBacking ends passing through for good, and says so, once.
func (fs *FS) noBacking(why string) {
	fs.backs.Store(false)
	if !fs.backSaid.Swap(true) {
		fs.log("no kernel passthrough (" + why + "): reads and writes are served here")
	}
}

// Where files are passed through to.
const (
	backUnknown = iota
	backYes
	backMemory // yes, and direct I/O need not be aligned
	backNo
)

// backable reports whether the files of a mount are good for passing through,
// going by one of them. Where reading is more than copying, by who reads or
// when (procfs, sysfs, cgroupfs), or errors come with close(2) (NFS and other
// network file systems), the answer is no: on a block device yes, else only
// what is known.
func (fs *FS) backable(i *inode, fd int) bool {
	m := i.mnt
	if n := m.backable.Load(); n != backUnknown {
		return n != backNo
	}
	n := int32(backNo)
	switch fsType(fd) {
	case unix.TMPFS_MAGIC:
		n = backMemory
	case unix.FUSE_SUPER_MAGIC: // fuseblk too
	case unix.BTRFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, bcachefsMagic, zfsMagic:
		n = backYes
	default:
		if i.key.dev>>32 != 0 {
			n = backYes
		}
	}
	m.backable.CompareAndSwap(backUnknown, n)
	return n != backNo
}

const (
	bcachefsMagic = 0xca451a4e
	zfsMagic      = 0x2fc12fc1
)

// fsType is the f_type of statfs(2), 0 if that fails.
func fsType(fd int) uint32 {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return 0
	}
	return uint32(st.Type)
}

// wary reports whether an open file that is passed through has its writes come
// here all the same.
func (i *inode) wary(flags uint32) bool {
	return flags&(unix.O_ACCMODE|unix.O_DIRECT) == unix.O_WRONLY|unix.O_DIRECT && i.mnt.backable.Load() != backMemory
}

// enter counts a new open file of i, to be taken back by leave, and returns its
// backing id, 0 if it has none. fd is a descriptor of it, flags are the
// caller's, st may be nil. r is nil off the serving thread: then nothing new is
// passed through.
//
// Where an id is due because others have it the kernel's open must not fail:
// EINVAL for O_DIRECT where the source has none, as from the source itself.
func (fs *FS) enter(r *ops.Request, i *inode, fd int, flags uint32, st *unix.Statx_t) (id int32, err error) {
	i.mu.Lock()
	switch {
	case i.users > 0:
		if flags&unix.O_DIRECT != 0 {
			err = fs.tryDirect(fd, flags)
		}
	case i.users == 0 && r != nil && fs.backs.Load():
		i.backing = fs.back(r, i, fd, flags, st)
	}
	switch id = i.backing; {
	case err != nil:
	case id != 0:
		i.users++
	default:
		i.users--
	}
	i.mu.Unlock()
	return id, err
}

// leave takes back enter. The id goes with the last user; the kernel, which has
// released all its own, needs it no more.
func (fs *FS) leave(i *inode, backed bool) {
	i.mu.Lock()
	if !backed {
		i.users++
	} else if i.users--; i.users == 0 {
		_ = fs.conn.BackingClose(i.backing) // ENOENT cannot be; without a connection there is no id
		i.backing = 0
		fs.backed.Add(-1)
	}
	i.mu.Unlock()
}

// back makes a backing id for i, 0 if it cannot have one.
func (fs *FS) back(r *ops.Request, i *inode, fd int, flags uint32, st *unix.Statx_t) int32 {
	if !fs.backable(i, fd) || flags&unix.O_DIRECT != 0 && fs.tryDirect(fd, flags) != nil {
		return 0
	}
	if st == nil {
		st = new(unix.Statx_t)
		if statxFD(fd, st) != nil {
			return 0
		}
	}
	if st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		return 0
	}
	if fs.backed.Add(1) <= fs.budget.max {
		fs.fsetid(r, false)
		if !fs.hasFsetid || fs.thread(r).noFsetid {
			id, err := fs.conn.BackingOpen(fd)
			if err == nil {
				return id
			}
			// Others are of the moment: no memory, no id, no descriptor.
			switch conn.Errno(err) {
			case unix.ELOOP:
				i.mnt.backable.Store(backNo)
				if !fs.backSaid.Swap(true) {
					fs.log("no kernel passthrough where the source is itself stacked on file systems")
				}
			case unix.EPERM:
				fs.noBacking("it needs CAP_SYS_ADMIN")
			case unix.ENOTTY, unix.EOPNOTSUPP:
				fs.noBacking("the kernel has none")
			}
		}
	}
	fs.backed.Add(-1)
	return 0
}

// tryDirect opens what fd is open on once more, with O_DIRECT: EINVAL where the
// source has no such mode. To set it by fcntl(2) would tell less (overlayfs).
func (fs *FS) tryDirect(fd int, flags uint32) error {
	var b [12]byte
	fd, err := openAt(fs.procFD, fdName(fd, &b), int(flags&(unix.O_ACCMODE|unix.O_APPEND))|unix.O_DIRECT|unix.O_NONBLOCK, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
