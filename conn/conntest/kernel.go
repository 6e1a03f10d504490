package conntest

import (
	"errors"
	"sync"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// AllFlags are the INIT flags that an ordinary mount of Linux 6.18 offers, less
// io_uring and passthrough, which this kernel does not have.
const AllFlags = protocol.InitFlags(0x7fd<<32|0x73fffffb) &^ (protocol.InitOverIOUring | protocol.InitPassthrough)

// Options of a kernel. The zero value of each field is its default.
type Options struct {
	Minor    uint32             // of the protocol spoken, 12 to 46; default 45
	Flags    protocol.InitFlags // INIT flags offered; default AllFlags as far as Minor has them
	MaxPages int                // fs.fuse.max_pages_limit; default 256
	MaxRead  uint32             // mount option max_read, bytes; default no limit

	// DefaultPermissions is the mount option: the kernel checks modes and owners
	// itself. Without it the server does; POSIX_ACL implies it.
	DefaultPermissions bool

	// Block says that the mount is one of a block device (fuseblk): there are
	// BMAP, SYNCFS and, at its end, DESTROY.
	Block bool

	// Shared says that files may change behind the kernel's back. Without it a
	// READ that ends before the end of the file is a violation.
	Shared bool

	// Readahead is the window of cached reads that go on, in pages; 0: what is
	// asked for is read, and no more.
	Readahead int

	// BufferOffset is how far behind a page boundary the buffers of direct I/O
	// begin: one that is not aligned has a page more to be split by.
	BufferOffset int

	// DirtyLimit is how many dirty pages of a file begin its write-back; 0: only
	// fsync, close and Writeback do.
	DirtyLimit int

	// Lose chooses requests whose reply is refused with ENOENT, as when the
	// kernel has given them up; their callers get ECONNABORTED.
	Lose func(op protocol.Opcode, nodeid uint64) bool

	// Trace sees each request as it is queued. It must not call the kernel.
	Trace func(msg []byte)

	// Deadline is how long, in real time, a reply may take; default 10 s. Past
	// it there is a violation and the connection is aborted.
	Deadline time.Duration

	// Conn are the options of the connection that New serves the handler on.
	Conn *conn.Options
}

// Kernel is the kernel's side of one mount. Its methods may be called from any
// goroutine.
type Kernel struct {
	o        Options
	mu       sync.Mutex // everything below, and all of inodes, dentries, files
	cond     *sync.Cond
	params   protocol.Params
	init     protocol.InitOut
	maxWrite int
	maxPages int
	page     int

	now    int64  // virtual time, ns
	epoch  uint32 // NOTIFY_INC_EPOCH
	unique uint64
	attrs  uint64 // attr_version
	pids   uint32
	owners uint64

	handles uint64 // of polled files
	polls   map[uint64]*File

	queue       []*request
	forgets     []forget
	waiting     []*request // background requests above max_background
	background  int        // those within
	interrupts  []*request
	rhythm      int
	sent        map[uint64]*request
	past        map[uint64]bool // ids answered
	pastIDs     []uint64
	gone        map[uint64]bool // ids given up
	no          map[protocol.Opcode]bool
	noInterrupt bool
	entered     uint64 // calls of ReadRequest
	taken       uint64 // messages they returned
	lost        int
	count       map[protocol.Opcode]int

	inodes map[uint64]*inode
	root   *dentry
	rename lock // s_vfs_rename_mutex

	dead, aborted, refused bool
	violations             []*Violation

	sched  *schedule
	conn   *conn.Conn
	served chan error
}

// New serves h over a device in memory, as conn.Conn.Serve does, and mounts it.
// The error is that of INIT.
func New(h conn.Handler, o *Options) (*Kernel, error) {
	k := newKernel(o)
	k.conn = conn.New(&device{k}, k.o.Conn)
	k.served = make(chan error, 1)
	go func() { k.served <- k.conn.Serve(h) }()
	return k.mount()
}

// mount sends INIT; on an error the server is waited for.
func (k *Kernel) mount() (*Kernel, error) {
	k.mu.Lock()
	err := k.sendInit()
	k.mu.Unlock()
	if err != nil {
		return nil, errors.Join(err, k.Unmount())
	}
	return k, nil
}

func newKernel(o *Options) *Kernel {
	k := &Kernel{
		sent: map[uint64]*request{}, past: map[uint64]bool{}, gone: map[uint64]bool{},
		no: map[protocol.Opcode]bool{}, count: map[protocol.Opcode]int{}, inodes: map[uint64]*inode{}, polls: map[uint64]*File{},
		page: unix.Getpagesize(), maxWrite: 4096, maxPages: protocol.DefaultMaxPagesPerReq,
	}
	k.cond = sync.NewCond(&k.mu)
	if o != nil {
		k.o = *o
	}
	if k.o.Minor == 0 {
		k.o.Minor = 45
	}
	if k.o.Flags == 0 {
		k.o.Flags = AllFlags
	}
	if k.o.MaxPages == 0 {
		k.o.MaxPages = protocol.MaxPagesLimitDefault
	}
	if k.o.Deadline == 0 {
		k.o.Deadline = 10 * time.Second
	}
	k.o.Flags &= known(k.o.Minor)
	root := k.newInode(protocol.RootID, 0)
	root.attr.Mode = unix.S_IFDIR
	root.nlookup = 1
	k.root = &dentry{ino: root, refs: 1, hashed: true, children: map[string]*dentry{}}
	root.refs++
	return k
}

// sendInit is fs/fuse/inode.c: fuse_send_init and process_init_reply.
func (k *Kernel) sendInit() error {
	in := protocol.InitIn{Major: protocol.KernelVersion, Minor: k.o.Minor, MaxReadahead: 128 << 10,
		Flags: uint32(k.o.Flags), Flags2: uint32(k.o.Flags >> 32)}
	arg := protocol.BytesOf(&in)
	if k.o.Minor < 36 {
		arg = arg[:16]
	}
	b, e := k.call(&Client{k: k}, &body{op: protocol.OpInit, arg: arg, size: 64, force: true})
	if e == 0 && (len(b) < 8 || view[protocol.InitOut](b).Major != protocol.KernelVersion) {
		k.report(&request{op: protocol.OpInit}, 2, "a reply too short, or with another major", "ECONNREFUSED to every user")
		e = unix.EPROTO
	}
	if e != 0 {
		k.refused = true
		return &Violation{Op: protocol.OpInit, Unique: 2, Rule: "refused: " + e.Error(), Effect: "ECONNREFUSED to every user"}
	}
	out := view[protocol.InitOut](b)
	k.init = *out
	f := out.InitFlags()
	if extra := f &^ k.o.Flags; extra != 0 {
		k.report(&request{op: protocol.OpInit}, 2, "flags that were not offered: "+extra.String(), "most are ignored")
	}
	f &= k.o.Flags
	if out.Minor > k.o.Minor {
		k.report(&request{op: protocol.OpInit}, 2, "a minor above the kernel's", "accepted, but the kernel does not know what it stands for")
	}
	k.params = protocol.Params{Minor: out.Minor, Flags: f}
	k.maxWrite = max(4096, int(out.MaxWrite))
	if f&protocol.InitMaxPages != 0 {
		k.maxPages = min(max(int(out.MaxPages), 1), k.o.MaxPages)
	}
	return nil
}

// known are the flags a kernel of this minor can offer.
func known(minor uint32) protocol.InitFlags {
	since := [...]uint8{6, 7, 9, 9, 9, 9, 12, 14, 14, 14, 17, 18, 20, 21, 21, 22, 23, 23, 25, 26, 26, 27, 28, 28,
		29, 30, 31, 32, 33, 33, 36, 36, 36, 36, 38, 38, 39, 40, 40, 40, 41, 42, 43, 46}
	var f protocol.InitFlags
	for i, m := range since {
		if minor >= uint32(m) {
			f |= 1 << i
		}
	}
	return f
}

func (k *Kernel) has(f protocol.InitFlags) bool { return k.params.Flags&f != 0 }
func (k *Kernel) abortError() bool              { return k.has(protocol.InitAbortError) }

// Params returns what was negotiated.
func (k *Kernel) Params() protocol.Params { return k.params }

// Conn returns the connection that New serves, nil over a socket.
func (k *Kernel) Conn() *conn.Conn { return k.conn }

// Advance moves the virtual clock, on which names and attributes expire, and
// with it a request_timeout of INIT.
func (k *Kernel) Advance(d time.Duration) {
	k.mu.Lock()
	k.now += int64(d)
	k.checkTimeout()
	k.mu.Unlock()
}

// Count returns how many requests of op there were. FORGETs that were sent in
// one BATCH_FORGET count as that.
func (k *Kernel) Count(op protocol.Opcode) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count[op]
}

// Nlookup returns what the kernel owes the server: the nodeids it knows, the
// root included, and the lookups of each that it has not given back.
func (k *Kernel) Nlookup() map[uint64]uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := make(map[uint64]uint64)
	for id, i := range k.inodes {
		m[id] = i.nlookup
	}
	return m
}

// Idle waits until the server has taken everything that was queued, answered
// it, and come back for more, or until the Deadline; it reports which.
func (k *Kernel) Idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	idle := func() bool { return k.dead || !k.ready() && len(k.sent) == 0 }
	k.waitFor(k.o.Deadline, idle)
	return idle()
}

// Abort is writing to /sys/fs/fuse/connections/N/abort: requests in service end
// with ECONNABORTED, later ones fail with ENOTCONN.
func (k *Kernel) Abort() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dead {
		k.aborted = true
		k.abort()
	}
}

func (k *Kernel) abort() {
	if k.dead {
		return
	}
	k.dead = true
	for _, r := range k.queue {
		k.finish(r, nil, unix.ECONNABORTED)
	}
	for _, r := range k.sent {
		k.gone[r.unique] = true
		k.finish(r, nil, unix.ECONNABORTED)
	}
	if k.sched != nil {
		for _, r := range k.sched.offer {
			k.finish(r, nil, unix.ECONNABORTED)
		}
		k.sched.offer = nil
	}
	waiting := k.waiting
	k.waiting = nil
	for _, r := range waiting {
		k.finish(r, nil, unix.ECONNABORTED)
	}
	k.queue, k.forgets, k.interrupts = nil, nil, nil
	k.cond.Broadcast()
}

// Unmount ends the mount, as the kernel does: without a FORGET for what is
// still cached. It waits for Serve and returns every violation, and what Serve
// returned, as one error.
func (k *Kernel) Unmount() error {
	k.mu.Lock()
	k.destroy()
	k.abort()
	k.mu.Unlock()
	var errs []error
	if k.served != nil {
		select {
		case err := <-k.served:
			k.served <- err
			if !k.aborted || !errors.Is(err, conn.ErrAborted) {
				errs = append(errs, err)
			}
		case <-time.After(k.o.Deadline + 15*time.Second):
			errs = append(errs, errors.New("conntest: Serve did not return after the end of the mount"))
		}
	}
	for _, v := range k.Violations() {
		errs = append(errs, v)
	}
	return errors.Join(errs...)
}
