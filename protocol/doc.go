// Package protocol is the wire of Linux's FUSE, version 7.46: every opcode,
// struct, flag, notification, extension, ioctl number and ring command, with the
// kernel's names Go-cased. It makes no system calls and builds everywhere.
//
//	       kernel                                           server
//	Request.Append, PutRing   ── in_header, args, names ──▶  Request.Decode, DecodeRing
//	Reply.Decode, DecodeRing  ◀── out_header, structs ─────  Reply.Append, PutRing
//	Notify.Decode             ◀── unique 0, code ──────────  Notify.Append
//
//	var req protocol.Request
//	if err := req.Decode(buf[:n], &params); err == nil && req.Op() == protocol.OpRead {
//		in := req.ReadIn() // a view of buf: nothing is copied or allocated
//		...
//	}
//
// Everything is in host byte order, which is what the device speaks. A message
// must begin at a multiple of 8 in memory, as every buffer of a device does.
// How long a struct is on the wire may depend on what was negotiated: Params.
// See fs/fuse/dev.c for the framing, include/uapi/linux/fuse.h for the structs.
//
// # Text
//
// AppendText writes one message as one line, without a newline:
//
//	line     = request | reply | notify
//	request  = OPCODE " unique=" id " nodeid=" n " uid=" n " gid=" n " pid=" n
//	           [ " " struct ] [ " name=" string ] [ " newname=" string | " target=" string ]
//	           [ " data=" n | " forgets=" list | " mappings=" list ] [ " ext=" list ]
//	reply    = OPCODE " unique=" id ( " error=" errno | " ok" [ " " struct [ " " struct ] ] [ rest ] )
//	rest     = " data=" n | " target=" string | " names=" list | " entries=" list [ " rest=" n ]
//	notify   = "NOTIFY " CODE [ " " struct ] [ " name=" string | " data=" n | " nodeids=" list ]
//	struct   = "(" [ field { " " field } ] ")"
//	field    = name "=" ( number | flags | struct )
//	flags    = "0" | bit { "|" bit }
//	list     = "[" [ element { " " element } ] [ " more=" n ] "]"
//
// OPCODE, CODE and bits are the kernel's names without their prefix; an unknown
// opcode is OP_n, an unknown code NOTIFY_n, unknown bits are one hexadecimal
// number at the end. Fields have the C names, in the order of the C struct; a
// field that was not sent is left out, and so is a reserved one unless it is not
// zero, when its bytes are shown. Handles, keys, and flags that are not of FUSE
// (those of open(2), for example) are hexadecimal, modes octal, all else decimal.
// id has "|RESEND" appended if bit 63 is set. errno is a name, or the negative
// number if it has none here. data gives the number of bytes, never their
// content. Strings are in double quotes, with \" and \\, and \xNN for each byte
// that does not print. Lists show at most eight elements and then how many more
// there are. The elements of ext are
//
//	"(secctx" { " name=" string " data=" n } ")" | "(groups" { " gid=" n } ")"
//	| "(ext type=" n " data=" n ")" | "malformed"
//
// For example
//
//	CREATE unique=44 nodeid=1 uid=0 gid=0 pid=812 (flags=0x8241 mode=0100644 umask=022 open_flags=0) name="a b"
//	LOOKUP unique=46 error=ENOENT
//	WRITE unique=48 ok (size=4096)
//	NOTIFY INVAL_ENTRY (parent=1 namelen=3 flags=EXPIRE_ONLY) name="abc"
package protocol
