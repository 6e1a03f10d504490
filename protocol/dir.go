package protocol

import "bytes"

// Dirent is struct fuse_dirent (24 bytes, then the name without a NUL, then
// zeros to a multiple of 8): an entry of a READDIR reply.
type Dirent struct {
	Ino     uint64 // inode number that getdents(2) shows; not a nodeid
	Off     uint64 // cookie to continue behind this entry, for ReadIn.Offset; never 0
	Namelen uint32 // bytes
	Type    uint32 // DT_*, that is S_IFMT of the mode shifted right by 12
}

// Direntplus is struct fuse_direntplus (152 bytes, then name and padding as for
// Dirent): an entry of a READDIRPLUS reply (7.21). It counts one nlookup unless
// EntryOut.Nodeid is 0, which says that the entry has no attributes.
type Direntplus struct {
	EntryOut EntryOut
	Dirent   Dirent
}

const (
	NameOffset           = 24  // where a Dirent's name begins
	NameOffsetDirentplus = 152 // where a Direntplus's name begins
)

// DirentSize returns the bytes that an entry with a name of n bytes takes.
func DirentSize(n int) int { return (NameOffset + n + 7) &^ 7 }

// DirentplusSize returns the bytes that an entry with a name of n bytes takes.
func DirentplusSize(n int) int { return (NameOffsetDirentplus + n + 7) &^ 7 }

// AppendDirent appends one entry. The kernel fails the whole READDIR with EIO
// if name is empty, has a '/' or is longer than NameMax (fs/fuse/readdir.c:
// parse_dirfile); that is the caller's to see to.
func AppendDirent(dst []byte, ino, off uint64, typ uint32, name []byte) []byte {
	d := Dirent{Ino: ino, Off: off, Namelen: uint32(len(name)), Type: typ}
	dst = append(dst, BytesOf(&d)...)
	return appendPadded(dst, name)
}

// AppendDirentplus appends one entry with its attributes. For Dirent.Ino it
// takes e.Attr.Ino.
func AppendDirentplus(dst []byte, e *EntryOut, off uint64, typ uint32, name []byte) []byte {
	d := Dirent{Ino: e.Attr.Ino, Off: off, Namelen: uint32(len(name)), Type: typ}
	dst = append(dst, BytesOf(e)...)
	dst = append(dst, BytesOf(&d)...)
	return appendPadded(dst, name)
}

// appendPadded appends b and zeros up to a multiple of 8 of its length. It stays
// a call.
//
//go:noinline
func appendPadded(dst, b []byte) []byte {
	var zero [8]byte
	dst = append(dst, b...)
	return append(dst, zero[:-len(b)&7]...)
}

// NextDirent takes the first entry off b, the data of a READDIR reply or a rest
// that it returned. At the end name is nil: no entry, or only a piece of one,
// which the kernel ignores. Names that the kernel refuses are a *Error.
// b may have any alignment.
func NextDirent(b []byte) (d Dirent, name, rest []byte, err error) {
	if len(b) < NameOffset {
		return d, nil, nil, nil
	}
	copy(BytesOf(&d), b)
	name, rest, err = direntName(b, NameOffset, d.Namelen)
	return d, name, rest, err
}

// NextDirentplus is NextDirent for READDIRPLUS.
func NextDirentplus(b []byte) (d Direntplus, name, rest []byte, err error) {
	if len(b) < NameOffsetDirentplus {
		return d, nil, nil, nil
	}
	copy(BytesOf(&d), b)
	name, rest, err = direntName(b, NameOffsetDirentplus, d.Dirent.Namelen)
	return d, name, rest, err
}

// direntName cuts the name of n bytes at off out of b by the kernel's rules.
func direntName(b []byte, off int, n uint32) (name, rest []byte, err error) {
	if n == 0 || n > NameMax {
		return nil, nil, &Error{What: "dirent.namelen", Need: NameMax, Off: off - 8, Have: int(min(n, 1<<31-1))}
	}
	end := (off + int(n) + 7) &^ 7
	if end > len(b) {
		return nil, nil, nil
	}
	name = b[off : off+int(n) : off+int(n)]
	if i := bytes.IndexByte(name, '/'); i >= 0 {
		return nil, nil, &Error{What: "dirent.name", Off: off + i, Have: '/'}
	}
	return name, b[end:], nil
}
