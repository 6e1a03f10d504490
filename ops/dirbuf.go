package ops

import "github.com/fusewire/fusewire/protocol"

// DirBuf collects the entries of a READDIR or READDIRPLUS reply in the
// request's payload area. Each entry carries the cookie (off) at which the next
// READDIR goes on, chosen by the file system: the position behind the entry, in
// whatever stable numbering it has. DirBuf itself keeps no state between
// requests, so seeks and several readers of one handle need none either.
type DirBuf struct {
	b    []byte
	n    int
	plus bool
	full bool // an entry did not fit
	lost Forgetter
}

// NewDirBuf returns a DirBuf over b, for READDIRPLUS if plus. Handlers are
// given theirs; this is for tests.
func NewDirBuf(b []byte, plus bool) *DirBuf { return &DirBuf{b: b, plus: plus} }

// Plus reports whether the entries are those of READDIRPLUS.
func (d *DirBuf) Plus() bool { return d.plus }

// Len returns how many bytes have been added.
func (d *DirBuf) Len() int { return d.n }

// Room returns how many bytes are free.
func (d *DirBuf) Room() int { return len(d.b) - d.n }

// Bytes returns the entries added so far.
func (d *DirBuf) Bytes() []byte { return d.b[:d.n] }

// Fits reports whether an entry with a name of n bytes still fits, so that one
// that does not need not be looked up.
func (d *DirBuf) Fits(n int) bool {
	if d.plus {
		return protocol.DirentplusSize(n) <= d.Room()
	}
	return protocol.DirentSize(n) <= d.Room()
}

// Add adds an entry without attributes: ino as getdents(2) shows it, the cookie
// behind it, its type (DT_*) and name. In a READDIRPLUS reply it becomes an
// entry with nodeid 0, which the kernel lists and does not look up: right for
// "." and "..". It returns false if the entry does not fit: it is not added,
// and the reply is to end here.
func (d *DirBuf) Add(ino, off uint64, typ uint32, name []byte) bool {
	if !d.Fits(len(name)) {
		d.full = true
		return false
	}
	var e protocol.EntryOut
	e.Attr.Ino = ino
	d.put(&e, off, typ, name)
	return true
}

// AddPlus adds an entry with its attributes to a READDIRPLUS reply. One lookup
// of e.Nodeid (unless 0) has been counted by the caller, who takes it back if
// AddPlus returns false: then the entry does not fit and was not added. In a
// READDIR reply the entry is listed without e, and the lookup taken back.
func (d *DirBuf) AddPlus(e *protocol.EntryOut, off uint64, typ uint32, name []byte) bool {
	if !d.Fits(len(name)) {
		d.full = true
		return false
	}
	d.put(e, off, typ, name)
	if !d.plus && e.Nodeid != 0 && d.lost != nil {
		d.lost.Forget(e.Nodeid, 1)
	}
	return true
}

func (d *DirBuf) put(e *protocol.EntryOut, off uint64, typ uint32, name []byte) {
	b := d.b[:d.n]
	if d.plus {
		b = protocol.AppendDirentplus(b, e, off, typ, name)
	} else {
		b = protocol.AppendDirent(b, e.Attr.Ino, off, typ, name)
	}
	d.n = len(b)
}
