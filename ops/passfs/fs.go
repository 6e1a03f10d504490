package passfs

import (
	"sync/atomic"

	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
)

// FS serves one directory. It implements the handler interfaces of package
// ops; give it to ops.New. Its methods are safe for concurrent use.
//
// Inside the package:
//
//	fs.inode(nodeid)        the inode of a request, ESTALE if unknown
//	fs.pin(i), fs.unpin(i)  an O_PATH descriptor on it for a while
//	fs.reopen(i, flags)     a real descriptor; closed by fs.closeFD
//	i.opened, fs.closing    an open file comes, goes
//	fs.intern(...)          the inode of a file just found, +1 nlookup
//	fs.entry(i, st, out)    the reply to LOOKUP and its kin
//	fs.assume(r, ...)       to be the caller
//	fs.thread(r)            what is cached per serving OS thread
type FS struct {
	opt    Options
	nodes  ops.Nodes[inode]
	shards [nShards]shard
	budget budget
	mounts mounts
	root   *inode
	procFD int // /proc/self/fd, O_PATH

	switching  bool // may become the caller: CAP_SETUID and CAP_SETGID
	euid, egid uint32

	hasFsetid   bool       // CAP_FSETID is in effect, see killpriv.go
	stacked     bool       // the source lies on other file systems (overlayfs)
	mmapsDirect bool       // DIRECT_IO_ALLOW_MMAP is in force
	writeback   bool       // WRITEBACK_CACHE is in force
	conn        *conn.Conn // since INIT

	backs    atomic.Bool  // kernel passthrough is in force, see backing.go
	backSaid atomic.Bool  // that it is not has been said
	backed   atomic.Int32 // backing ids there are

	files    fileTable
	locks    lockTable
	overflow overflow
	names    nameGuess
	dirs     ops.Nodes[dir]
	dirBufs  dirBufs

	entryTimeout, attrTimeout, negativeTimeout clock.Nanos // see Options
}

// fdReserve is kept free below RLIMIT_NOFILE for what passfs does not count:
// the channel, the runtime, a descriptor in passing on each thread.
const fdReserve = 64

// New serves the directory srcFD is open on; an O_PATH descriptor will do.
// New duplicates it, the caller closes its own. o may be nil: DefaultOptions.
// It needs /proc. Errors are *Error.
func New(srcFD int, o *Options) (*FS, error) {
	fs := &FS{procFD: -1, opt: DefaultOptions()}
	if o != nil {
		fs.opt = *o
	}
	fs.entryTimeout, fs.attrTimeout, fs.negativeTimeout = fs.opt.timeouts()
	switch {
	case fs.opt.WriteCache == nil:
	case !ownCache:
		return nil, &Error{Op: "a write-back cache in what was built with -tags tiny", Err: unix.EOPNOTSUPP}
	case fs.opt.Writeback:
		return nil, &Error{Op: "two write-back caches", Err: unix.EINVAL}
	}
	fs.budget.max = int32(maxFDs(fs.opt.MaxFDs))
	fs.euid, fs.egid = uint32(unix.Geteuid()), uint32(unix.Getegid())
	fs.switching = canSwitch()
	fs.hasFsetid = hasCap(unix.CAP_FSETID)
	fs.mounts.m = make(map[uint64]*mount)
	if err := fs.open(srcFD); err != nil {
		fs.Done()
		return nil, err
	}
	return fs, nil
}

func (fs *FS) open(srcFD int) error {
	var err error
	fs.procFD, err = unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &Error{Op: "open /proc/self/fd", Err: err}
	}
	// A descriptor of our own on the same directory, as "." of it.
	fd, err := unix.Openat(srcFD, ".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &Error{Op: "open source", Err: err}
	}
	var st unix.Statx_t
	if err := statxFD(fd, &st); err != nil {
		unix.Close(fd)
		return &Error{Op: "statx source", Err: err}
	}
	fs.stacked = fsType(fd) == unix.OVERLAYFS_SUPER_MAGIC
	fs.budget.used.Add(1)
	root := &inode{nodeid: protocol.RootID, key: keyOf(&st), mode: uint32(st.Mode) & unix.S_IFMT}
	root.mnt = fs.mountOf(nil, &root.key, fd, root.mode)
	root.state.Store(uint64(fd+1)<<32 | 1) // pinned for good
	fs.root = root
	fs.nodes.SetRoot(root)
	return nil
}

// Error is what New returns.
type Error struct {
	_ [0]func() // not comparable: no code for it

	Op  string // what was done
	Err error  // a unix.Errno
}

func (e *Error) Error() string { return "passfs: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Err }

func (fs *FS) log(s string) {
	if fs.opt.Log != nil {
		fs.opt.Log(s)
	}
}

// maxFDs is the budget: what was asked for, at most what the limit allows.
func maxFDs(asked int) int {
	limit := 32768
	var rl unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &rl) == nil && rl.Cur < uint64(limit)+fdReserve {
		limit = int(rl.Cur) - fdReserve
		if limit < int(rl.Cur)/2 {
			limit = int(rl.Cur) / 2
		}
	}
	if asked > 0 {
		limit = min(limit, asked)
	}
	return max(limit, 16)
}

// Want returns the INIT flags the file system can honour and would like to
// have: conn.Options.Want. What each obliges us to:
//
//   - ASYNC_READ, ASYNC_DIO, PARALLEL_DIROPS, BIG_WRITES, MAX_PAGES: handlers run in any order, any number at a time.
//   - POSIX_LOCKS, FLOCK_LOCKS: locks are taken in the source (lock.go); not with LocalLocks.
//   - DONT_MASK: the caller's umask is ours to apply (creds.go).
//   - HANDLE_KILLPRIV_V2: suid, sgid and file capabilities are dropped when a request says so.
//   - POSIX_ACL: the kernel enforces what GETXATTR says; SETXATTR_EXT brings the flag to drop sgid.
//   - AUTO_INVAL_DATA: size and mtime in our replies decide about cached data; not with CacheAlways.
//   - CACHE_SYMLINKS: only where nobody else changes the source.
//   - CREATE_SUPP_GROUP: the group a setgid directory needs, sent with creations.
//   - EXPORT_SUPPORT: LOOKUP of "." and "..", as far as the kernel still knows the node.
//   - PASSTHROUGH: backing.go. Without write-back, DirectIO and the like, which are explicit.
//   - HAS_EXPIRE_ONLY, HAS_RESEND, ABORT_ERROR, INIT_EXT: the channel's business, no cost here.
//
// Not wanted: SECURITY_CTX (labels would have to be set with the creation),
// HANDLE_KILLPRIV (version 1 kills always), EXPLICIT_INVAL_DATA (nobody here
// would send the notifications), WRITEBACK_CACHE, SPLICE_*; and
// ATOMIC_O_TRUNC: with it an O_TRUNC reaches us before the kernel finds that the
// file is a running program, and ETXTBSY comes when its text is gone (fs/namei.c:
// do_open). Without it an opener who truncates costs one SETATTR more.
func (fs *FS) Want() protocol.InitFlags {
	w := protocol.InitAsyncRead | protocol.InitPosixLocks | protocol.InitFlockLocks |
		protocol.InitBigWrites | protocol.InitDontMask |
		protocol.InitHasIoctlDir | protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto |
		protocol.InitAsyncDio | protocol.InitParallelDirops | protocol.InitHandleKillprivV2 |
		protocol.InitMaxPages | protocol.InitAbortError | protocol.InitExt |
		protocol.InitDirectIOAllowMmap | protocol.InitHasExpireOnly | protocol.InitHasResend
	if fs.opt.Xattr == XattrPassthrough && !fs.opt.Unchecked {
		w |= protocol.InitPosixACL | protocol.InitSetxattrExt
	}
	if fs.opt.LocalLocks {
		w &^= protocol.InitPosixLocks | protocol.InitFlockLocks
	}
	if fs.opt.Cache == CacheAlways {
		w |= protocol.InitCacheSymlinks
	} else {
		w |= protocol.InitAutoInvalData
	}
	if fs.direct() {
		// Where O_APPEND is left to the source, the parts of one write(2) must
		// come one after the other (fs/fuse/file.c: fuse_direct_IO).
		w &^= protocol.InitAsyncDio
	}
	if fs.opt.Writeback {
		w |= protocol.InitWritebackCache
	}
	if o := &fs.opt; !o.NoPassthrough && !o.Writeback && fs.writeCache() == nil && !o.Slow && o.Parallel != ParallelAlways && !fs.direct() {
		w |= protocol.InitPassthrough
	}
	if fs.switching {
		w |= protocol.InitCreateSuppGroup
	}
	if fs.root.mnt.openable {
		w |= protocol.InitExportSupport
	}
	return w
}

// direct reports whether every file bypasses the page cache.
func (fs *FS) direct() bool {
	return fs.opt.DirectIO || fs.opt.Cache == CacheNever || fs.opt.Cache == CacheMetadata
}

// Init is called before INIT is answered: it takes out of the reply what the
// file system cannot honour, whatever the channel was told to want.
func (fs *FS) Init(c *conn.Conn, in *protocol.InitIn, out *protocol.InitOut) error {
	w := fs.Want()
	no := protocol.InitHandleKillpriv | protocol.InitExplicitInvalData |
		protocol.InitSecurityCtx | protocol.InitAllowIdmap
	for _, f := range [...]protocol.InitFlags{protocol.InitPosixACL, protocol.InitCacheSymlinks, protocol.InitWritebackCache,
		protocol.InitAutoInvalData, protocol.InitPassthrough, protocol.InitPosixLocks, protocol.InitFlockLocks,
		protocol.InitCreateSuppGroup, protocol.InitExportSupport} {
		if w&f == 0 {
			no |= f
		}
	}
	out.Flags &^= uint32(no)
	out.Flags2 &^= uint32(no >> 32)
	fs.conn = c
	fs.writeback = out.Flags&uint32(protocol.InitWritebackCache) != 0
	fs.mmapsDirect = out.Flags2&uint32(protocol.InitDirectIOAllowMmap>>32) != 0
	fs.mayBack(out)
	return nil
}

// Done frees everything: descriptors, inodes, threads. The FS is finished.
func (fs *FS) Done() {
	fs.doneCache()
	fs.doneFiles()
	fs.doneDirs()
	for n := range fs.shards {
		s := &fs.shards[n]
		s.mu.Lock()
		for _, i := range s.rows {
			for ; i != nil; i = i.chain {
				fs.closeInode(i)
			}
		}
		s.rows, s.n = nil, 0
		s.mu.Unlock()
	}
	fs.nodes.Each(func(_ uint64, i *inode) bool {
		fs.closeInode(i) // those that lost their place in the map
		return true
	})
	if fs.root != nil {
		fs.closeInode(fs.root)
	}
	fs.mounts.mu.Lock()
	for id, m := range fs.mounts.m {
		if m.fd >= 0 {
			fs.closeFD(m.fd)
			m.fd = -1
		}
		delete(fs.mounts.m, id)
	}
	fs.mounts.mu.Unlock()
	if fs.procFD >= 0 {
		unix.Close(fs.procFD)
		fs.procFD = -1
	}
}

// closeInode closes the descriptor whatever is pinned: nothing runs any more.
func (fs *FS) closeInode(i *inode) {
	if s := i.state.Swap(0); s>>32 != 0 {
		fs.closeFD(int(s>>32) - 1)
	}
}

// inode returns the inode of a request.
func (fs *FS) inode(nodeid uint64) (*inode, error) {
	if i := fs.nodes.Get(nodeid); i != nil {
		return i, nil
	}
	return nil, unix.ESTALE
}

// pinned is inode and pin: the inode of a request with a descriptor to it,
// until unpin.
func (fs *FS) pinned(nodeid uint64) (*inode, int, error) {
	i, err := fs.inode(nodeid)
	if err != nil {
		return nil, -1, err
	}
	fd, err := fs.pin(i)
	return i, fd, err
}

// Statfs answers for the file system the inode lies on.
func (fs *FS) Statfs(r *ops.Request, out *protocol.Kstatfs) error {
	i, fd, err := fs.pinned(r.Nodeid())
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	for {
		err = unix.Fstatfs(fd, &st)
		if err != unix.EINTR {
			break
		}
	}
	fs.unpin(i)
	if err != nil {
		return err
	}
	out.Blocks, out.Bfree, out.Bavail = uint64(st.Blocks), uint64(st.Bfree), uint64(st.Bavail)
	out.Files, out.Ffree = uint64(st.Files), uint64(st.Ffree)
	out.Bsize, out.Namelen, out.Frsize = uint32(st.Bsize), uint32(st.Namelen), uint32(st.Frsize)
	return nil
}

// Syncfs writes back the file system the inode lies on. Plain FUSE mounts are
// never asked; virtiofs and fuseblk are.
func (fs *FS) Syncfs(r *ops.Request) error {
	i, err := fs.inode(r.Nodeid())
	if err != nil {
		return err
	}
	if !i.mnt.tryRef() {
		return unix.ESTALE
	}
	defer i.mnt.unref(fs)
	if r.Elsewhere() {
		return ops.Elsewhere
	}
	fs.files.each(func(f *file) { _ = written(f.back()) })
	if i.mnt.fd < 0 {
		unix.Sync()
		return nil
	}
	return unix.Syncfs(i.mnt.fd)
}
