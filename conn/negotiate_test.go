package conn

import (
	"errors"
	"strings"
	"testing"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

const all = ^protocol.InitFlags(0)

func offer(minor uint32, f protocol.InitFlags) *protocol.InitIn {
	return &protocol.InitIn{Major: 7, Minor: minor, MaxReadahead: 128 << 10, Flags: uint32(f), Flags2: uint32(f >> 32)}
}

// initReply runs INIT and returns the reply, and its length.
func initReply(t *testing.T, in *protocol.InitIn, o *Options, h *funcs) (*session, protocol.OutHeader, protocol.InitOut, int) {
	t.Helper()
	s := start(t, h, o)
	s.sendInit(in)
	hdr, body := s.recv()
	var out protocol.InitOut
	copy(protocol.BytesOf(&out), body)
	return s, hdr, out, len(body)
}

func flagsOf(o *protocol.InitOut) protocol.InitFlags {
	return protocol.InitFlags(o.Flags) | protocol.InitFlags(o.Flags2)<<32
}

// TestInitReplySize checks the reply's length and minor for kernels of each age.
func TestInitReplySize(t *testing.T) {
	for _, c := range []struct {
		minor, reply uint32
		size         int
	}{{12, 12, 24}, {22, 22, 24}, {23, 23, 64}, {31, 31, 64}, {45, 45, 64}, {46, 46, 64}, {60, 46, 64}} {
		s, h, out, n := initReply(t, offer(c.minor, 0x73fffffb|0x7fd<<32), nil, &funcs{})
		if h.Error != 0 || out.Major != 7 || out.Minor != c.reply || n != c.size {
			t.Errorf("minor %d: error %d, %d.%d, %d bytes", c.minor, h.Error, out.Major, out.Minor, n)
		}
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if p := s.c.Params(); p.Minor != c.reply {
			t.Errorf("Params().Minor = %d, want %d", p.Minor, c.reply)
		}
	}
	for minor, want := range map[uint32]int{4: 8, 5: 24, 22: 24, 23: 64} {
		if n := initReplySize(minor); n != want {
			t.Errorf("initReplySize(%d) = %d, want %d", minor, n, want)
		}
	}
}

// TestInitFlags checks, for each of the 64 bits, that it is accepted when wanted
// and offered, and not when one of these is missing or it is masked.
func TestInitFlags(t *testing.T) {
	// All the bits one may need beside it.
	const base = protocol.InitExt | protocol.InitDoReaddirplus
	for bit := range 64 {
		f := protocol.InitFlags(1) << bit
		o := (&Options{Want: f | base, MaxStackDepth: 1, RequestTimeout: 20}).withDefaults()
		c := &Conn{opt: o}
		possible := unsupported&f == 0
		got := c.accept(all &^ protocol.InitWritebackCache)
		if f == protocol.InitWritebackCache {
			got = c.accept(all)
		}
		if has := got&f != 0; has != possible {
			t.Errorf("%v: offered and wanted: %v", f, has)
		}
		if got := c.accept(all &^ f); got&f != 0 {
			t.Errorf("%v: accepted though not offered", f)
		}
		c.opt.Mask = f
		if got := c.accept(all); got&f != 0 {
			t.Errorf("%v: accepted though masked", f)
		}
		c.opt.Want = DefaultWant &^ f
		c.opt.Mask = 0
		auto := f&channelFlags != 0 || f == protocol.InitRequestTimeout // asked for by its number of seconds
		if got := c.accept(all); got&f != 0 && !auto {
			t.Errorf("%v: accepted though not wanted", f)
		}
	}
}

// TestInitFlagRules checks the flags that depend on something else.
func TestInitFlagRules(t *testing.T) {
	for _, c := range []struct {
		name  string
		opt   Options
		offer protocol.InitFlags
		lack  protocol.InitFlags
		have  protocol.InitFlags
	}{
		{"flags2 without INIT_EXT offered", Options{Want: protocol.InitSecurityCtx},
			all &^ protocol.InitExt, protocol.InitSecurityCtx | protocol.InitExt, 0},
		{"flags2 with INIT_EXT masked", Options{Want: protocol.InitSecurityCtx, Mask: protocol.InitExt},
			all, protocol.InitSecurityCtx | protocol.InitExt, 0},
		{"flags2", Options{Want: protocol.InitSecurityCtx}, all, 0, protocol.InitSecurityCtx | protocol.InitExt},
		{"passthrough with write-back", Options{Want: protocol.InitPassthrough | protocol.InitWritebackCache},
			all, protocol.InitPassthrough, protocol.InitWritebackCache},
		{"passthrough", Options{Want: protocol.InitPassthrough}, all, 0, protocol.InitPassthrough},
		{"readdirplus auto alone", Options{Want: protocol.InitReaddirplusAuto}, all, protocol.InitReaddirplusAuto, 0},
		{"request timeout of 0", Options{Want: protocol.InitRequestTimeout}, all, protocol.InitRequestTimeout, 0},
		{"ring", Options{Want: all}, all, protocol.InitOverIOUring | protocol.InitHasIOUringBufpool, 0},
	} {
		opt := c.opt
		s, h, out, _ := initReply(t, offer(45, c.offer), &opt, &funcs{})
		f := flagsOf(&out)
		if h.Error != 0 || f&c.lack != 0 || f&c.have != c.have {
			t.Errorf("%s: error %d, flags %v", c.name, h.Error, f)
		}
		if err := s.wait(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if s.c.Flags() != f {
			t.Errorf("%s: Flags() = %v, sent %v", c.name, s.c.Flags(), f)
		}
	}
}

// TestInitRefused checks that what cannot be served is refused, to the kernel
// with an errno and to the caller with the reason.
func TestInitRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		in   *protocol.InitIn
		opt  Options
		h    funcs
		is   unix.Errno
		say  []string
	}{
		{"old minor", offer(11, 0), Options{}, funcs{}, unix.EPROTO, []string{"7.11", "7.12"}},
		{"old major", &protocol.InitIn{Major: 6, Minor: 40}, Options{}, funcs{}, unix.EPROTO, []string{"6.40"}},
		{"needs", offer(45, all&^protocol.InitFlockLocks), Options{Need: protocol.InitFlockLocks | protocol.InitPosixLocks}, funcs{},
			unix.EOPNOTSUPP, []string{"FLOCK_LOCKS"}},
		{"needs what is masked", offer(45, all), Options{Need: protocol.InitPosixLocks, Mask: protocol.InitPosixLocks}, funcs{},
			unix.EOPNOTSUPP, []string{"POSIX_LOCKS", "masked"}},
		{"handler", offer(45, all), Options{}, funcs{init: func(*Conn, *protocol.InitIn, *protocol.InitOut) error { return unix.EACCES }},
			unix.EACCES, nil},
		{"handler panics", offer(45, all), Options{}, funcs{init: func(*Conn, *protocol.InitIn, *protocol.InitOut) error { panic("boo") }},
			unix.EIO, []string{"boo"}},
		{"handler gives up a need", offer(45, all), Options{Need: protocol.InitPosixLocks},
			funcs{init: func(_ *Conn, _ *protocol.InitIn, out *protocol.InitOut) error { out.Flags = 0; return nil }},
			unix.EOPNOTSUPP, []string{"POSIX_LOCKS"}},
	} {
		opt, h := c.opt, c.h
		s, hdr, _, n := initReply(t, c.in, &opt, &h)
		if hdr.Error != -int32(c.is) || n != 0 {
			t.Errorf("%s: reply %d with %d bytes, want %d", c.name, hdr.Error, n, -int32(c.is))
		}
		err := s.result()
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, w := range c.say {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not name %s", c.name, err, w)
			}
		}
		if c.name == "needs" && strings.Contains(err.Error(), "POSIX") {
			t.Errorf("%v names a flag that was offered", err)
		}
	}
}

// TestInitNewMajor plays a kernel of a later major version that asks again.
func TestInitNewMajor(t *testing.T) {
	s := start(t, &funcs{}, nil)
	s.sendInit(&protocol.InitIn{Major: 8})
	h, body := s.recv()
	if h.Error != 0 || len(body) != 8 || body[0]+body[3] != 7 {
		t.Fatalf("reply %+v % x", h, body)
	}
	s.sendInit(offer(45, all))
	if h, body := s.recv(); h.Error != 0 || len(body) != 64 {
		t.Fatalf("second reply %+v, %d bytes", h, len(body))
	}
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
}

// TestInitValues checks the sizes that are agreed on.
func TestInitValues(t *testing.T) {
	page := uint32(unix.Getpagesize())
	for _, c := range []struct {
		name  string
		opt   Options
		offer protocol.InitFlags
		lower uint32 // by the handler
		write uint32
		pages uint32
	}{
		{"default", Options{MaxWrite: 1 << 20}, all, 0, 1 << 20, (1 << 20) / page},
		{"odd", Options{MaxWrite: 5*page + 1}, all, 0, 6 * page, 6},
		{"small", Options{MaxWrite: 1}, all, 0, page, 1},
		{"no MAX_PAGES", Options{MaxWrite: 1 << 20}, all &^ protocol.InitMaxPages, 0, min(32*page, 1<<20), 0},
		{"no BIG_WRITES", Options{MaxWrite: 1 << 20}, all &^ protocol.InitBigWrites, 0, page, 1},
		{"lowered", Options{MaxWrite: 1 << 20}, all, 8 * page, 8 * page, 8},
		{"raised is not", Options{MaxWrite: 4 * page}, all, 1 << 30, 4 * page, 4},
	} {
		opt := c.opt
		h := &funcs{init: func(_ *Conn, _ *protocol.InitIn, out *protocol.InitOut) error {
			if c.lower != 0 {
				out.MaxWrite = c.lower
			}
			return nil
		}}
		s, hdr, out, _ := initReply(t, offer(45, c.offer), &opt, h)
		if hdr.Error != 0 || out.MaxWrite != c.write || uint32(out.MaxPages) != c.pages {
			t.Errorf("%s: error %d, max_write %d, max_pages %d; want %d, %d", c.name, hdr.Error, out.MaxWrite, out.MaxPages, c.write, c.pages)
		}
		if out.MaxBackground != 256 || out.CongestionThreshold != 192 || out.TimeGran != 1 || out.MaxReadahead != 128<<10 {
			t.Errorf("%s: %+v", c.name, out)
		}
		if err := s.wait(); err != nil {
			t.Error(err)
		}
		if s.c.MaxWrite() != int(c.write) {
			t.Errorf("%s: MaxWrite() = %d", c.name, s.c.MaxWrite())
		}
	}
}

// TestLayout checks what the kernel demands of a read buffer, and what Payload
// promises, for several page sizes.
func TestLayout(t *testing.T) {
	for _, page := range []int{4096, 16384, 65536} {
		for _, w := range []int{4096, 64 << 10, 1 << 20, 16 << 20} {
			l := layoutFor(w, page)
			if room := headRoom + l.in; room < w+80 || room < 8192 || room < 40+16+256+65536 {
				t.Errorf("max_write %d: read buffer %d", w, room)
			}
			if l.data < w || l.data < 64<<10+4096 {
				t.Errorf("max_write %d: payload %d", w, l.data)
			}
			if l.lead < headRoom+outOff+outSize || l.lead%page+l.in%page+l.data%page != 0 || l.size != l.lead+l.in+l.data {
				t.Errorf("max_write %d: %+v", w, l)
			}
		}
	}
}
