package conn

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
)

// DefaultWant are the INIT flags that suit every file system: they change how
// the kernel sends requests, not what a handler has to do.
const DefaultWant = protocol.InitAsyncRead | protocol.InitAsyncDio | protocol.InitParallelDirops |
	protocol.InitAutoInvalData | protocol.InitHasIoctlDir | protocol.InitNoOpenSupport |
	protocol.InitNoOpendirSupport | protocol.InitHasExpireOnly

// channelFlags are accepted whenever offered, unless masked: they concern the
// channel alone.
const channelFlags = protocol.InitBigWrites | protocol.InitMaxPages | protocol.InitExt |
	protocol.InitAbortError | protocol.InitHasResend

// unsupported are never accepted: nothing here speaks them. Whether InitOverIOUring
// is says Transport alone.
const unsupported = protocol.InitOverIOUring | protocol.InitHasIOUringBufpool |
	protocol.InitFileOps | protocol.InitReserved | protocol.InitMapAlignment

// Options of a connection. The zero value of each field is its default.
type Options struct {
	MaxWrite            uint32 // bytes of the largest WRITE, rounded up to pages, least 4096; default 1 MiB, up to 4 MiB where fs.fuse.max_pages_limit was raised
	MaxBackground       uint16 // asynchronous requests the kernel hands out at once; default 256
	CongestionThreshold uint16 // of those, when readahead and write-back hold off; default three quarters
	MaxReadahead        uint32 // bytes; default what the kernel offers, which it only ever lowers
	TimeGran            uint32 // ns, 1 to 1e9; default 1
	MaxStackDepth       uint32 // 1 or 2, for InitPassthrough; default 1 if that is wanted
	RequestTimeout      uint16 // seconds after which the kernel aborts the connection; default never

	Want protocol.InitFlags // flags to accept where offered; default DefaultWant
	Need protocol.InitFlags // flags without which Serve refuses to start
	Mask protocol.InitFlags // flags never to accept, whoever wants them

	Transport Transport // default TransportDev
	RingDepth int       // requests that each CPU's queue can hold at once, what is detached not counted; 1 to 1024, default 8

	ZeroCopy ZeroCopy // default ZeroCopyOff

	Threads     int  // most readers, those in blocked handlers included; default 10
	IdleThreads int  // readers that wait for requests; default 2
	Slots       int  // most requests in service, detached ones included; default Threads + 1024, on 32-bit + 64
	Clone       bool // a device descriptor for each reader, where the device can

	// DrainTimeout is how long Serve waits, after the end of the mount, for
	// handlers that still run; default 10 s.
	DrainTimeout clock.Duration

	Trace Tap          // sees every message; nil costs nothing
	Log   func(string) // told of what should not happen, one line each (a panic: with its stack); may be nil
}

// maxWriteCap keeps a slot addressable on 32-bit systems; max_pages cannot go
// beyond 65535 pages anyway.
const maxWriteCap = 64 << 20

// defaultSlots are beside those of readers. A slot costs address space, which
// 32-bit systems have little of, and memory only as far as it is used.
const defaultSlots = 64 + 960*(^uint(0)>>63)

// defaultMaxWrite follows the limit on pages in a request that an administrator
// may have raised from 256 (fs/fuse/sysctl.c, 6.13), as far as slots stay modest.
func defaultMaxWrite(page uint32) uint32 {
	const least, most = 1 << 20, 4 << 20
	if defaultSlots == 64 { // on 32-bit address space is short
		return least
	}
	b, _ := readFile("/proc/sys/fs/fuse/max_pages_limit")
	pages, _ := number(trim(string(b)))
	if pages <= protocol.MaxPagesLimitDefault {
		return least
	}
	return uint32(min(max(pages*int(page), least), most))
}

// withDefaults returns o with every zero filled in and every value in bounds.
func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	page := uint32(unix.Getpagesize())
	if r.MaxWrite == 0 {
		r.MaxWrite = defaultMaxWrite(page)
	}
	r.MaxWrite = min(max(r.MaxWrite, 4096), maxWriteCap)
	r.MaxWrite = min((r.MaxWrite+page-1)/page, 65535) * page
	if r.MaxBackground == 0 {
		r.MaxBackground = 256
	}
	if r.CongestionThreshold == 0 {
		r.CongestionThreshold = uint16(uint32(r.MaxBackground) * 3 / 4)
	}
	if r.TimeGran == 0 || r.TimeGran > 1e9 {
		r.TimeGran = 1
	}
	if r.Want == 0 {
		r.Want = DefaultWant
	}
	if (r.Want|r.Need)&protocol.InitPassthrough != 0 && r.MaxStackDepth == 0 {
		r.MaxStackDepth = 1
	}
	r.MaxStackDepth = min(r.MaxStackDepth, 2)
	if r.RingDepth <= 0 {
		r.RingDepth = 8
	}
	r.RingDepth = min(r.RingDepth, 1024)
	if r.Threads <= 0 {
		r.Threads = 10
	}
	if r.IdleThreads <= 0 {
		r.IdleThreads = 2
	}
	r.IdleThreads = min(r.IdleThreads, r.Threads)
	if r.Slots <= 0 {
		r.Slots = r.Threads + int(defaultSlots)
		if r.Transport != TransportDev { // what the rings' entries are made of
			r.Slots += min(readPossibleCPUs()*r.RingDepth, int(defaultSlots))
		}
	}
	if clock.Of(r.DrainTimeout) <= 0 {
		r.DrainTimeout = 10 * clock.Second
	}
	return r
}
