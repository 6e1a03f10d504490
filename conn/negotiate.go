package conn

import (
	"strconv"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// minMinor is the oldest protocol spoken here: 7.12, Linux 2.6.31. From there on
// only INIT, MKNOD, CREATE and SETXATTR had or have more than one layout.
const minMinor = 12

// initReplySize is the length of init_out that a kernel of this minor knows.
func initReplySize(minor uint32) int {
	switch {
	case minor < 5:
		return protocol.CompatInitOutSize
	case minor < 23:
		return protocol.Compat22InitOutSize
	}
	return 64
}

// init answers the first request and starts the other readers.
func (c *Conn) init(r *Request) {
	in := r.InitIn()
	if in.Major > protocol.KernelVersion {
		// The header's comment has the kernel ask again with our major. Kernels
		// do not (fs/fuse/inode.c: process_init_reply), and take no other.
		out := protocol.ViewOf[protocol.InitOut](r.Out())
		out.Major, out.Minor = protocol.KernelVersion, protocol.KernelMinorVersion
		_ = r.Reply(initReplySize(0), 0)
		return
	}
	out := protocol.ViewOf[protocol.InitOut](r.Out())
	err := c.negotiate(in, out)
	if err != nil {
		c.refuse(r, err)
		return
	}
	rings := c.rings
	if err := r.Reply(initReplySize(out.Minor), 0); err != nil {
		if rings != nil {
			c.endRings(rings)
		}
		c.inited.Store(false)
		if err == unix.ENOENT {
			c.end(nil) // unmounted before it was answered
		} else {
			c.end(&Error{Op: "init", Err: err, Detail: "the kernel refused the reply"})
		}
		return
	}
	if rings != nil && c.engageRings(rings) {
		// What comes on the device now is little.
		c.opt.IdleThreads = 1
	} else {
		c.zeroed(unix.EOPNOTSUPP)
	}
	c.monIdle.Store(false)
	c.users.Add(1)
	go c.monitor()
	c.mu.Lock()
	for i := 1; i < c.opt.IdleThreads && !c.ended.Load(); i++ {
		c.startThread(i, nil)
	}
	c.mu.Unlock()
	close(c.ready)
}

func (c *Conn) refuse(r *Request, err error) {
	e := Errno(err)
	if e == 0 {
		e = unix.EIO
	}
	_ = r.ReplyError(e)
	c.end(err)
}

// negotiate fills in out and fixes c.params.
func (c *Conn) negotiate(in *protocol.InitIn, out *protocol.InitOut) error {
	if in.Major < protocol.KernelVersion || in.Minor < minMinor {
		return &Error{Op: "init", Err: unix.EPROTO, Detail: "the kernel speaks FUSE " +
			strconv.FormatUint(uint64(in.Major), 10) + "." + strconv.FormatUint(uint64(in.Minor), 10) +
			", at least 7.12 is needed"}
	}
	o := &c.opt
	offered := protocol.InitFlags(in.Flags)
	if offered&protocol.InitExt != 0 {
		offered |= protocol.InitFlags(in.Flags2) << 32
	}
	flags := c.accept(offered)
	if lacking := o.Need &^ flags; lacking != 0 {
		d := "the kernel does not offer"
		if lacking&offered != 0 {
			d = "not offered by the kernel, or masked:"
		}
		return &Error{Op: "init", Err: unix.EOPNOTSUPP, Detail: string(lacking.AppendText([]byte(d + " ")))}
	}

	out.Major = protocol.KernelVersion
	out.Minor = min(in.Minor, protocol.KernelMinorVersion)
	out.MaxReadahead = in.MaxReadahead
	if o.MaxReadahead != 0 {
		out.MaxReadahead = min(in.MaxReadahead, o.MaxReadahead)
	}
	out.MaxBackground = o.MaxBackground
	out.CongestionThreshold = min(o.CongestionThreshold, o.MaxBackground)
	out.TimeGran = o.TimeGran
	out.MaxWrite = o.MaxWrite
	if flags&protocol.InitPassthrough != 0 {
		out.MaxStackDepth = o.MaxStackDepth
	}
	if flags&protocol.InitRequestTimeout != 0 {
		out.RequestTimeout = o.RequestTimeout
	}
	out.Flags, out.Flags2 = uint32(flags), uint32(flags>>32)
	limitWrite(out, flags)

	if err := c.callInit(in, out); err != nil {
		return err
	}
	c.mu.Lock()
	c.wantDone = true
	c.mu.Unlock()

	flags &= protocol.InitFlags(out.Flags) | protocol.InitFlags(out.Flags2)<<32
	flags = consistent(flags, o)
	if lacking := o.Need &^ flags; lacking != 0 {
		return &Error{Op: "init", Err: unix.EOPNOTSUPP, Detail: string(lacking.AppendText([]byte("given up by the handler: ")))}
	}
	out.Flags, out.Flags2 = uint32(flags), uint32(flags>>32)
	out.MaxWrite = min(max(out.MaxWrite, 4096), o.MaxWrite)
	limitWrite(out, flags)

	if ok, why := o.ringsWanted(offered&protocol.InitOverIOUring != 0); ok {
		flags |= protocol.InitOverIOUring | protocol.InitExt
		limitWrite(out, flags)
		if err := c.prepareRings(out, offered); err != nil {
			flags = consistent(flags&^protocol.InitOverIOUring, o)
			c.noRings(err.Error())
		}
		out.Flags, out.Flags2 = uint32(flags), uint32(flags>>32)
	} else if why != "" {
		c.noRings(why)
	}

	c.maxWrite = int(out.MaxWrite)
	c.params = protocol.Params{Minor: out.Minor, Flags: flags}
	c.inited.Store(true)
	return nil
}

// callInit asks the handler; a panic is a refusal.
func (c *Conn) callInit(in *protocol.InitIn, out *protocol.InitOut) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.count.panics.Add(1)
			err = &Error{Op: "init", Err: unix.EIO, Detail: "handler panicked: " + panicText(p)}
		}
	}()
	return c.h.Init(c, in, out)
}

// accept chooses among the flags offered.
func (c *Conn) accept(offered protocol.InitFlags) protocol.InitFlags {
	o := &c.opt
	want := (o.Want | o.Need | channelFlags) &^ (o.Mask | unsupported)
	if o.RequestTimeout != 0 {
		want |= protocol.InitRequestTimeout &^ o.Mask
	}
	return consistent(offered&want, o)
}

// consistent drops flags that need another one, or a value, which is not there
// (fs/fuse/inode.c: process_init_reply).
func consistent(f protocol.InitFlags, o *Options) protocol.InitFlags {
	const low = protocol.InitFlags(1<<32 - 1)
	if f&protocol.InitExt == 0 {
		f &= low
	} else if f&^low == 0 {
		f &^= protocol.InitExt
	}
	if f&protocol.InitWritebackCache != 0 || o.MaxStackDepth == 0 {
		f &^= protocol.InitPassthrough
	}
	if f&protocol.InitDoReaddirplus == 0 {
		f &^= protocol.InitReaddirplusAuto
	}
	if o.RequestTimeout == 0 {
		f &^= protocol.InitRequestTimeout
	}
	return f
}

// limitWrite sets max_pages from max_write, and keeps max_write to what the
// kernel will send: one page without BIG_WRITES, 32 without MAX_PAGES. It sizes
// its demand on the read buffer by max_write alone.
func limitWrite(out *protocol.InitOut, f protocol.InitFlags) {
	page := uint32(unix.Getpagesize())
	if f&protocol.InitBigWrites == 0 {
		out.MaxWrite = min(out.MaxWrite, page)
	}
	if f&protocol.InitMaxPages == 0 {
		out.MaxWrite = min(out.MaxWrite, 32*page)
		out.MaxPages = 0
		return
	}
	pages := (out.MaxWrite + page - 1) / page
	if f&protocol.InitOverIOUring != 0 {
		// The payload is as long, and must hold a SETXATTR's 65792 bytes.
		pages = max(pages, 128<<10/page, 2)
	}
	out.MaxPages = uint16(min(pages, 65535))
}
