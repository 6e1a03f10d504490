package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/unix"
)

// mount is one mount of the source: the one SRC lies on, or one inside it.
type mount struct {
	_        [0]func() // not comparable: no code for it
	id       uint64
	fd       int  // a real descriptor on it, for open_by_handle_at and syncfs; -1: none
	openable bool // file handles can be opened
	quiet    bool // close(2) has no errors to tell, and O_NONBLOCK no meaning
	memory   bool // reads wait for nothing but swap
	refs     atomic.Int32
	backable atomic.Int32 // backYes and so on
}

// maxMounts bounds the descriptors held for mounts inside the source. Files
// on further mounts are found again by name.
const maxMounts = 64

type mounts struct {
	mu  mutex
	m   map[uint64]*mount
	fds int
}

// mountID is the mount id, or where the kernel does not tell (before 5.8)
// the device in its place.
func (k *key) mountID() uint64 {
	if k.mnt != 0 {
		return k.mnt
	}
	return k.dev | 1<<63
}

func (m *mount) tryRef() bool {
	for {
		n := m.refs.Load()
		if n == 0 {
			return false
		}
		if m.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unref lets the mount go with its last inode, so that it can be unmounted.
func (m *mount) unref(fs *FS) {
	if m.refs.Add(-1) != 0 {
		return
	}
	t := &fs.mounts
	defer t.mu.hold()()
	if m.refs.Load() != 0 || t.m[m.id] != m {
		return
	}
	delete(t.m, m.id)
	if m.fd >= 0 {
		fs.closeFD(m.fd)
		t.fds--
	}
}

// mountOf returns the mount of the file with key k, one reference taken. A
// file on a mount not seen before is that mount's root, as lookups go one
// component at a time.
func (fs *FS) mountOf(parent *inode, k *key, fd int, mode uint32) *mount {
	id := k.mountID()
	if parent != nil && parent.mnt.id == id && parent.mnt.tryRef() {
		return parent.mnt
	}
	t := &fs.mounts
	defer t.mu.hold()()
	if m := t.m[id]; m != nil {
		// Not tryRef: unref looks at the count again under our lock.
		m.refs.Add(1)
		return m
	}
	m := &mount{id: id, fd: -1}
	m.refs.Store(1)
	t.m[id] = m
	if t.fds >= maxMounts || mode != unix.S_IFDIR && mode != unix.S_IFREG {
		return m
	}
	var b [12]byte
	mfd, err := openAt(fs.procFD, fdName(fd, &b), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return m
	}
	m.fd = mfd
	fs.takeFDHeld()
	t.fds++
	m.openable = probeHandles(mfd)
	var sf unix.Statfs_t
	if unix.Fstatfs(mfd, &sf) == nil {
		m.memory = sf.Type == unix.TMPFS_MAGIC
		switch int64(sf.Type) {
		case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
			m.quiet = true // no flush in their file_operations, nobody looks at O_NONBLOCK
		}
	}
	return m
}

// probeHandles tries whether a file handle of the mount can be opened, which
// needs a file system that has them and CAP_DAC_READ_SEARCH.
func probeHandles(fd int) bool {
	h := nameToHandle(fd)
	if h == "" {
		return false
	}
	p, err := openByHandle(fd, h, unix.O_PATH)
	if err != nil {
		return false
	}
	var a, b unix.Statx_t
	same := statxFD(fd, &a) == nil && statxFD(p, &b) == nil && keyOf(&a) == keyOf(&b)
	unix.Close(p)
	return same
}

// handleOf returns the file handle behind a descriptor, "" if it has none.
// Handles carry a generation: equal handles are the same file even when the
// inode number was used before.
func (fs *FS) handleOf(fd int) string { return nameToHandle(fd) }

// canComeBack reports whether i can be opened again once fd, its descriptor,
// is closed. Called with budget.mu held.
func (fs *FS) canComeBack(i *inode, fd int) bool {
	defer i.mu.hold()()
	if i.handle == "" {
		// Now or never; also to recognise the file by later.
		i.handle = fs.handleOf(fd)
	}
	if len(i.files) > 0 {
		return true // closing sees to it when that goes
	}
	if unlinked(fd) {
		return false // only the descriptor keeps it alive
	}
	return i.handle != "" && i.mnt.openable || i.parent != nil && i.name != ""
}

// comeBack opens a new O_PATH descriptor on i.
func (fs *FS) comeBack(i *inode, depth int) (int, error) {
	fs.takeFD(1)
	for {
		fd, err := fs.comeBackOnce(i, depth)
		if err == nil {
			return fd, nil
		}
		if !fs.full(err) {
			fs.giveFD(1)
			return -1, err
		}
	}
}

// maxDepth bounds the way up by names; the records of a tree that others
// rearrange may even form a circle.
const maxDepth = 4096

func (fs *FS) comeBackOnce(i *inode, depth int) (int, error) {
	i.mu.Lock()
	if len(i.files) > 0 {
		// closing needs the lock before the descriptor goes.
		var b [12]byte
		fd, err := openAt(fs.procFD, fdName(i.files[0], &b), unix.O_PATH, 0)
		i.mu.Unlock()
		return fd, err
	}
	h, parent, name := i.handle, i.parent, i.name
	i.mu.Unlock()
	if h != "" && i.mnt.openable && i.mnt.tryRef() {
		fd, err := openByHandle(i.mnt.fd, h, unix.O_PATH|unix.O_NOFOLLOW)
		i.mnt.unref(fs)
		return fd, err
	}
	if parent == nil || name == "" || depth > maxDepth {
		return -1, unix.ESTALE
	}
	dir, err := fs.pinDeep(parent, depth+1)
	if err != nil {
		return -1, err
	}
	var nb nameBuf
	fd, err := openAt(dir, cstr([]byte(name), &nb), unix.O_PATH|unix.O_NOFOLLOW, 0)
	fs.unpin(parent)
	if err != nil {
		if err == unix.ENOENT || err == unix.ENOTDIR {
			err = unix.ESTALE
		}
		return -1, err
	}
	var st unix.Statx_t
	err = statxFD(fd, &st)
	if err == nil && (keyOf(&st) != i.key || h != "" && fs.handleOf(fd) != h) {
		err = unix.ESTALE // another file has this name now
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// pinDeep is pin on the way up.
func (fs *FS) pinDeep(i *inode, depth int) (int, error) {
	for {
		s := i.state.Load()
		if s>>32 == 0 {
			return fs.pinAgain(i, depth)
		}
		if i.state.CompareAndSwap(s, (s|stUsed)+1) {
			return int(s>>32) - 1, nil
		}
	}
}

// reopen opens a real descriptor on i, a regular file or a directory, with
// open(2)'s flags. It never follows a link, makes a file, or touches a FIFO or
// a device (ELOOP, ENXIO). The descriptor is counted: close it by closeFD.
// One that becomes an open file is announced by i.opened and, before it is
// closed, taken back by fs.closing.
func (fs *FS) reopen(i *inode, flags int) (int, error) {
	switch i.mode {
	case unix.S_IFREG, unix.S_IFDIR:
	case unix.S_IFLNK:
		return -1, unix.ELOOP
	default:
		return -1, unix.ENXIO
	}
	flags &^= unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW
	fs.takeFD(1)
	for {
		fd, err := fs.reopenOnce(i, flags)
		if err == nil {
			return fd, nil
		}
		if !fs.full(err) {
			fs.giveFD(1)
			return -1, err
		}
	}
}

func (fs *FS) reopenOnce(i *inode, flags int) (int, error) {
	h := i.handleOnce()
	if i.mnt.openable && h != "" && i.mnt.tryRef() {
		// Straight from the handle: two thirds of the time that the way
		// through /proc takes, and no reference is needed.
		fd, err := openByHandle(i.mnt.fd, h, flags)
		i.mnt.unref(fs)
		if err != unix.ESTALE { // of a file without a name, on ext4
			return fd, err
		}
	}
	p, err := fs.pin(i)
	if err != nil {
		return -1, err
	}
	if h == "" && i.mnt.openable && i.hint.Load()&openedBefore != 0 {
		i.takeHandle(p) // there will be a next time
	}
	var b [12]byte
	fd, err := openAt(fs.procFD, fdName(p, &b), flags, 0)
	fs.unpin(i)
	return fd, err
}

// takeHandle sees to it that the inode has its file handle, if there is one.
func (i *inode) takeHandle(fd int) {
	defer i.mu.hold()()
	if i.handle == "" {
		i.handle = nameToHandle(fd)
	}
}

// handleOnce returns the file handle if it has been taken.
func (i *inode) handleOnce() string {
	defer i.mu.hold()()
	return i.handle
}
