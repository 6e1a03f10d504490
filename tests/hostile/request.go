package hostile

import (
	"encoding/binary"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// shapes say what follows the header, a letter a field:
//
//	q w     any number of 64, 32 bits     h      a file handle
//	n       a nodeid                      u      the id of a request
//	o s     an offset, a size             d      32 bits: how much D there is
//	k       32 bits: the entries of K     e      8 bytes if SETXATTR_EXT
//	m f v   mode, flags of open(2), bits  t      32 bits: a type of lock
//	c       an ioctl's number             N A T  a name, an attribute's, a target, with NUL
//	D K     data, entries of 16 bytes     I      an INIT
var shapes = [...]string{
	protocol.OpLookup: "N", protocol.OpForget: "q", protocol.OpGetattr: "wwh",
	protocol.OpSetattr: "vwhoqqqqwwwmwwww", protocol.OpSymlink: "NT", protocol.OpMknod: "mwwwN",
	protocol.OpMkdir: "mwN", protocol.OpUnlink: "N", protocol.OpRmdir: "N", protocol.OpRename: "nNN",
	protocol.OpLink: "nN", protocol.OpOpen: "fw", protocol.OpRead: "hoswqfw", protocol.OpWrite: "hodwqfwD",
	protocol.OpRelease: "hfwq", protocol.OpFsync: "hww", protocol.OpSetxattr: "dweAD",
	protocol.OpGetxattr: "swA", protocol.OpListxattr: "sw", protocol.OpRemovexattr: "A",
	protocol.OpFlush: "hwwq", protocol.OpInit: "I", protocol.OpOpendir: "fw", protocol.OpReaddir: "hoswqfw",
	protocol.OpReleasedir: "hfwq", protocol.OpFsyncdir: "hww", protocol.OpGetlk: "hqootwww",
	protocol.OpSetlk: "hqootwww", protocol.OpSetlkw: "hqootwww", protocol.OpAccess: "ww",
	protocol.OpCreate: "fmwwN", protocol.OpInterrupt: "u", protocol.OpBmap: "qww", protocol.OpIoctl: "hwcqdsD",
	protocol.OpPoll: "hqww", protocol.OpNotifyReply: "qodwqqD", protocol.OpBatchForget: "kwK",
	protocol.OpFallocate: "hoqvw", protocol.OpReaddirplus: "hoswqfw", protocol.OpRename2: "nvwNN",
	protocol.OpLseek: "hovw", protocol.OpCopyFileRange: "honhoqq", protocol.OpSetupmapping: "hoqqq",
	protocol.OpRemovemapping: "kK", protocol.OpSyncfs: "q", protocol.OpTmpfile: "fmwwN",
	protocol.OpStatx: "wwhww", protocol.OpCopyFileRange64: "honhoqq",
}

var strangers = [...]protocol.Opcode{0, 7, 19, 54, 55, 56, 63, 64, 255, 4096, 1048576, 436207616, 1 << 31, 1<<32 - 1}

var modes = [...]uint32{unix.S_IFREG | 0o644, 0o644, 0o755, 0o4755, 0o2755, 0, 0o777, unix.S_IFIFO | 0o600, unix.S_IFSOCK | 0o600,
	unix.S_IFCHR | 0o666, unix.S_IFBLK | 0o600, unix.S_IFDIR | 0o700, unix.S_IFLNK | 0o777, unix.S_IFMT, 1<<32 - 1, 0o1777}

var openFlags = [...]uint32{unix.O_RDONLY, unix.O_RDWR, unix.O_WRONLY, unix.O_RDWR | unix.O_TRUNC, unix.O_RDWR | unix.O_APPEND, unix.O_RDWR | unix.O_EXCL | unix.O_CREAT,
	unix.O_PATH, unix.O_DIRECTORY, unix.O_RDWR | unix.O_NONBLOCK, unix.O_NOFOLLOW, unix.O_RDWR | unix.O_TMPFILE, 3, unix.O_RDWR | unix.O_DIRECT, unix.O_RDWR | unix.O_SYNC, 1<<32 - 1, unix.O_NOATIME}

var commands = [...]uint32{unix.FS_IOC_GETFLAGS, unix.FS_IOC_SETFLAGS, unix.TCGETS, unix.TIOCINQ, unix.FICLONE, 0, 1<<32 - 1, 0x801c581f, 0x401c5820}

const headerSize = 40

// memory is what the kernel has learnt from replies.
type memory struct {
	nodes, handles, ids []uint64
	types               map[uint64]uint32 // S_IFMT by nodeid
	params              protocol.Params
	names               []string
	unique              uint64
}

// message makes one request.
func (m *memory) message(s *source) []byte {
	kind := s.byte()
	var h protocol.InHeader
	h.Opcode = protocol.Opcode(1 + kind%53)
	switch {
	case kind >= 0xf8: // nothing but bytes of the program
		return append([]byte{1}, s.take(1+int(s.byte()))...)
	case kind >= 0xd4:
		h.Opcode = strangers[int(kind)%len(strangers)]
	}
	m.unique += 2
	h.Unique = m.unique
	h.Nodeid = s.pick(m.nodes)
	h.Uid = [...]uint32{0, 0, 0, 0, 1000, 65534, 1<<32 - 1, 0}[s.byte()&7]
	h.Gid = h.Uid
	h.Pid = uint32(s.byte())
	var body []byte
	if h.Opcode < protocol.Opcode(len(shapes)) {
		body = m.body(s, shapes[h.Opcode])
	} else {
		body = s.take(int(s.byte()))
	}
	n, extra := s.byte(), byte(0)
	if n >= 0xb0 {
		extra = s.byte()
	}
	sent := headerSize + len(body)
	if n >= 0xb0 {
		switch n % 9 {
		case 0: // cut off
			body = body[:min(len(body), int(extra))]
			sent = headerSize + len(body)
		case 1: // more than there should be
			body = append(body, make([]byte, int(extra)+1)...)
			sent = headerSize + len(body)
		case 2: // a length that lies
			sent += int(int8(extra))
		case 3: // no whole header
			b := append(append([]byte(nil), protocol.BytesOf(&h)...), body...)
			return b[:1+int(extra)%len(b)]
		case 4: // an extension area that lies
			h.TotalExtlen = uint16(extra) << (extra & 8)
		case 5: // one that may even be right
			body = append(body, make([]byte, -len(body)&7)...)
			at := len(body)
			body = protocol.AppendSuppGroup(body, uint32(extra))
			body = protocol.AppendSecurity(body, []byte("security.x"), []byte("context"))
			h.TotalExtlen = uint16((len(body) - at) / 8)
			if extra&1 != 0 {
				body[at+int(extra)%(len(body)-at)] ^= extra
			}
			sent = headerSize + len(body)
		case 6: // the id of another, answered or not
			h.Unique = s.pick(m.ids)
		case 7: // one of them, sent again
			if extra&1 != 0 {
				h.Unique = s.pick(m.ids)
			}
			h.Unique |= protocol.UniqueResend
		case 8:
			if len(body) > 0 {
				body[int(extra)%len(body)] ^= s.byte()
			}
		}
	}
	h.Len = uint32(sent)
	m.ids = append(m.ids, h.Unique)
	return append(append([]byte(nil), protocol.BytesOf(&h)...), body...)
}

func (m *memory) body(s *source, shape string) []byte {
	var b []byte
	u32 := func(v uint64) { b = binary.NativeEndian.AppendUint32(b, uint32(v)) }
	u64 := func(v uint64) { b = binary.NativeEndian.AppendUint64(b, v) }
	var data, entries int
	for _, c := range shape {
		switch c {
		case 'q', 'o':
			u64(s.number())
		case 'w', 's':
			u32(s.number())
		case 'h':
			u64(s.pick(m.handles))
		case 'n':
			u64(s.pick(m.nodes))
		case 'u':
			u64(s.pick(m.ids))
		case 'd':
			if data = int(s.byte()); data > 0xe0 {
				data = (data - 0xe0) * 2048
			}
			u32(uint64(data))
		case 'k':
			entries = int(s.byte() & 15)
			u32(uint64(entries))
		case 'e':
			if m.params.Flags&protocol.InitSetxattrExt != 0 {
				u64(uint64(s.byte()))
			}
		case 'm':
			u32(uint64(modes[s.byte()&15]))
		case 'f':
			u32(uint64(openFlags[s.byte()&15]))
		case 'v':
			v := s.byte()
			u32(uint64(v) << (v & 3))
		case 't':
			u32(uint64(s.byte() & 3))
		case 'c':
			u32(uint64(commands[int(s.byte())%len(commands)]))
		case 'N':
			b = append(append(b, s.name(m.names)...), 0)
		case 'A':
			b = append(append(b, attrNames[s.byte()&15]...), 0)
		case 'T':
			b = append(append(b, targets[int(s.byte())%len(targets)]...), 0)
		case 'D':
			at := len(b)
			b = append(b, make([]byte, data)...)
			copy(b[at:], s.take(min(data, 16)))
		case 'K':
			for range entries {
				u64(s.pick(m.nodes))
				u64(s.number())
			}
		case 'I':
			b = append(b, protocol.BytesOf(&protocol.InitIn{Major: 7, Minor: uint32(s.byte()), Flags: uint32(s.number()), Flags2: uint32(s.number())})...)
		}
	}
	return b
}

// tame takes out what would harm the machine the test runs on, whether the
// server is right or wrong: it is not ours to fill its disk or memory, to make
// nodes of its disks, or files that nobody can remove.
func tame(b []byte, p *protocol.Params) []byte {
	var r protocol.Request
	if r.Decode(b, p) != nil {
		return b
	}
	const enough = 1 << 20
	switch r.Op() {
	case protocol.OpFallocate:
		// Reserves what it is asked for: 2^62 bytes of tmpfs are all memory.
		// Punching holes gives back.
		if in := r.FallocateIn(); in.Length > enough && in.Length < 1<<63 && in.Mode&unix.FALLOC_FL_PUNCH_HOLE == 0 {
			in.Length %= enough
		}
	case protocol.OpCopyFileRange, protocol.OpCopyFileRange64:
		// Of a file that is one hole it makes up to 2 GiB of zeros a request.
		if in := r.CopyFileRangeIn(); in.Len > enough {
			in.Len %= enough
		}
	case protocol.OpMknod:
		if in := r.MknodIn(); in.Rdev != 0 {
			in.Rdev = 1<<8 | 3 // /dev/null
		}
	case protocol.OpIoctl:
		// Immutable and append-only files, as root.
		const special, xspecial = 0x30, 0x18
		if in := r.IoctlIn(); len(r.Data) >= 4 {
			mask := uint32(special)
			if in.Cmd>>8&0xff == 'X' {
				mask = xspecial
			}
			binary.NativeEndian.PutUint32(r.Data, binary.NativeEndian.Uint32(r.Data)&^mask)
		}
	}
	return b
}
