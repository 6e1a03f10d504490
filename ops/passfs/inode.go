package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// key is what statx tells about a file's identity. An inode number is used
// again once its file is gone, and on a coarse clock the birth time too: a
// key match is believed only while the inode is held (a descriptor keeps the
// number from being reused) or after its file handle was compared.
// Two mounts of one file system are two trees: a file seen through both has
// two inodes here, as link and rename between them fail with EXDEV.
type key struct {
	mnt, dev, ino uint64
	// Birth time, where it means something: not on overlayfs, which moves a
	// file to another layer when it is first changed and has no device of its
	// own, like others whose inode numbers are not used again or that have
	// file handles to tell.
	bsec, bnsec uint64
}

// keyOf returns the identity that st tells.
//
//go:noinline
func keyOf(st *unix.Statx_t) key {
	k := key{dev: uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), ino: st.Ino}
	if st.Mask&unix.STATX_MNT_ID != 0 {
		k.mnt = st.Mnt_id
	}
	if st.Mask&unix.STATX_BTIME != 0 && st.Dev_major != 0 {
		k.bsec, k.bnsec = uint64(st.Btime.Sec), uint64(st.Btime.Nsec)
	}
	return k
}

// inode is one file of the source the kernel knows.
type inode struct {
	nodeid uint64
	key    key
	mode   uint32        // S_IFMT bits; a file never changes its type
	hint   atomic.Uint32 // its bit in FS.names (0: none), and openedBefore
	mnt    *mount

	state   atomic.Uint64 // descriptor, flags and pins: see budget.go
	opens   atomic.Int32  // len(files), readable without mu
	writers atomic.Int32  // open files through which the kernel may have data that we have not

	chain *inode // the next with this hash, guarded by shard.mu

	// The CLOCK ring, guarded by budget.mu.
	next, prev *inode

	mu     mutex
	handle string   // file handle; taken once, before the descriptor goes
	parent *inode   // where it was seen last; nil when that name is gone
	name   string   // "" when it is not needed (the mount has file handles)
	files  []int    // descriptors of open files, to come back through
	last   *version // of a file that was opened

	users   int32 // open files: above 0 with a backing id, below without
	backing int32 // the id

	holders int                     // open files that know wb
	wb      atomic.Pointer[wb.File] // what is held back: see writecache.go
	plain   atomic.Bool             // has no set-id bits, as long as anything is held back
}

func (i *inode) isDir() bool { return i.mode == unix.S_IFDIR }

// held reports whether a descriptor of ours keeps the inode number in use.
func (i *inode) held() bool { return i.state.Load()>>32 != 0 || i.opens.Load() > 0 }

// opened tells the inode that fd, a real descriptor, is an open file on it.
// Through it the inode can be re-opened even when it has no name any more.
func (i *inode) opened(fd int) {
	i.mu.Lock()
	i.files = append(i.files, fd)
	i.hint.Or(openedBefore)
	i.opens.Store(int32(len(i.files)))
	i.mu.Unlock()
}

// closing takes back opened, before fd is closed. An inode that hangs on
// this descriptor alone gets another hold first.
func (fs *FS) closing(i *inode, fd int) {
	i.mu.Lock()
	pinned := false
	if len(i.files) == 1 {
		held := i.state.Load()>>32 != 0
		// Made by CREATE and never looked at since: a reference, while there is
		// room for more, saves whoever asks next from opening by the handle.
		hold := held || fs.budget.used.Load() < fs.budget.max
		if !hold && i.handle == "" {
			i.handle = fs.handleOf(fd)
		}
		// A hold may be about to be evicted because of this file: a pin, until
		// the file is out of the list, is not.
		if hold || i.handle == "" || !i.mnt.openable || unlinked(fd) {
			i.mu.Unlock()
			_, err := fs.pin(i)
			pinned = err == nil
			i.mu.Lock()
		}
	}
	for n, f := range i.files {
		if f == fd {
			last := len(i.files) - 1
			i.files[n] = i.files[last]
			i.files = i.files[:last]
			break
		}
	}
	if len(i.files) == 0 {
		i.files = nil
	}
	i.opens.Store(int32(len(i.files)))
	i.mu.Unlock()
	if pinned {
		fs.unpin(i)
	}
}

// unlinked reports whether the file behind fd has no name left, as far as can
// be told.
func unlinked(fd int) bool {
	var st unix.Statx_t
	return statxFD(fd, &st) != nil || st.Nlink == 0
}

// byName reports whether the inode can only be found again by name.
func (i *inode) byName() bool { return !i.mnt.openable }

// seen records where the inode was just found, if that matters.
func (i *inode) seen(parent *inode, name []byte) {
	if !i.byName() || len(name) == 0 {
		return
	}
	i.mu.Lock()
	if i.parent != parent || i.name != string(name) {
		i.parent, i.name = parent, string(name)
	}
	i.mu.Unlock()
}

// moved records a rename done through us.
func (i *inode) moved(from *inode, old []byte, to *inode, name []byte) {
	i.mu.Lock()
	if i.parent == from && (i.name == "" || i.name == string(old)) {
		i.parent = to
		if i.name != "" {
			i.name = string(name)
		}
	}
	i.mu.Unlock()
}

// removed records that a name has gone.
func (i *inode) removed(dir *inode, name []byte) {
	i.mu.Lock()
	if i.parent == dir && i.name == string(name) {
		i.parent, i.name = nil, ""
	}
	i.mu.Unlock()
}

// intern returns the inode of the file behind fd, found or made, with one
// nlookup counted. st is fd's own statx. path says that fd is an O_PATH
// descriptor that the inode may keep: intern owns it then, also on error.
// Otherwise fd is an open file, which the caller keeps; on success it has
// been announced (i.opened).
func (fs *FS) intern(parent *inode, name []byte, fd int, path bool, st *unix.Statx_t) (*inode, error) {
	k := keyOf(st)
	s := fs.shard(&k)
	h, asked := "", false
	s.mu.Lock()
	for {
		i := s.get(&k)
		if i == nil {
			break
		}
		if !i.held() {
			if !asked {
				s.mu.Unlock()
				h, asked = fs.handleOf(fd), true
				s.mu.Lock()
				continue
			}
			if i.handleOnce() != h || i.mode != uint32(st.Mode)&unix.S_IFMT {
				break // the number was used again: another file
			}
		}
		if !fs.nodes.Ref(i.nodeid) {
			break // being forgotten: its place in the map is ours
		}
		s.mu.Unlock()
		if !path {
			i.opened(fd)
		} else if !fs.install(i, fd) {
			fs.closeFD(fd)
		}
		i.seen(parent, name)
		return i, nil
	}
	i := &inode{key: k, mode: uint32(st.Mode) & unix.S_IFMT, handle: h, parent: parent}
	i.mnt = fs.mountOf(parent, &k, fd, i.mode)
	if i.byName() {
		i.name = string(name)
	} else if !i.isDir() {
		i.parent = nil
	}
	id, err := fs.nodes.Add(i, 1)
	if err != nil {
		s.mu.Unlock()
		i.mnt.unref(fs)
		if path {
			fs.closeFD(fd)
		}
		return nil, err
	}
	i.nodeid = id
	if path {
		i.state.Store(uint64(fd+1)<<32 | stUsed)
	} else {
		i.files = []int{fd}
		i.opens.Store(1)
		fs.budget.evicted.Add(1)
	}
	s.put(i)
	s.mu.Unlock()
	if path {
		fs.budget.add(i)
	}
	return i, nil
}

// Forget takes back n lookups of a node and lets go of it with the last one.
func (fs *FS) Forget(nodeid, n uint64) {
	if nodeid == protocol.RootID {
		return
	}
	i, gone := fs.nodes.Forget(nodeid, n)
	if !gone || i == nil {
		return
	}
	s := fs.shard(&i.key)
	s.mu.Lock()
	s.remove(i)
	s.mu.Unlock()
	fs.names.clear(i.hint.Load() &^ openedBefore)
	fs.kill(i)
}

// entry fills out for i with attributes st.
func (fs *FS) entry(i *inode, st *unix.Statx_t, out *protocol.EntryOut) {
	out.Nodeid = i.nodeid
	out.Generation = 0 // nodeids are never used again
	out.EntryValid, out.EntryValidNsec = split(fs.entryTimeout)
	out.AttrValid, out.AttrValidNsec = split(fs.attrTimeout)
	fs.asWritten(i, st, anyGen)
	attrFrom(st, &out.Attr)
}

// split is a timeout in the wire's seconds and nanoseconds.
func split(d clock.Nanos) (sec uint64, nsec uint32) {
	return uint64(d / clock.Second), uint32(d % clock.Second)
}
