package main

import (
	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// null is a file system of nothing, to measure conn alone: one file, f, that reads
// as whatever is in the reply's buffer and forgets what is written. It does what
// testdata/null.c does.
type null struct{}

// nullSize is the length of its file.
const nullSize = 1 << 30

// Init has nothing to say.
func (null) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error { return nil }

// Forget has nothing to forget.
func (null) Forget(uint64, uint64) {}

// Done has nothing to give up.
func (null) Done() {}

// attr fills in a node's attributes.
func (null) attr(a *protocol.Attr, nodeid uint64) {
	a.Ino, a.Nlink, a.Blksize, a.Mode = nodeid, 1, block, unix.S_IFDIR|0o755
	if nodeid != protocol.RootID {
		a.Mode, a.Size = unix.S_IFREG|0o644, nullSize
	}
}

// Serve answers.
func (n null) Serve(r *conn.Request) {
	var err error
	switch r.Op() {
	case protocol.OpLookup:
		if string(r.Name) != "f" {
			err = r.ReplyError(unix.ENOENT)
			break
		}
		e := protocol.ViewOf[protocol.EntryOut](r.Out())
		e.Nodeid, e.AttrValid = protocol.RootID+1, 3600 // entry_valid is 0: each stat(2) looks it up
		n.attr(&e.Attr, e.Nodeid)
		err = r.Reply(128, 0)
	case protocol.OpGetattr:
		a := protocol.ViewOf[protocol.AttrOut](r.Out())
		a.AttrValid = 3600
		n.attr(&a.Attr, r.Header.Nodeid)
		err = r.Reply(104, 0)
	case protocol.OpOpen, protocol.OpOpendir:
		err = r.Reply(16, 0)
	case protocol.OpRead:
		err = r.Reply(0, int(r.ReadIn().Size))
	case protocol.OpWrite:
		protocol.ViewOf[protocol.WriteOut](r.Out()).Size = r.WriteIn().Size
		err = r.Reply(8, 0)
	case protocol.OpRelease, protocol.OpReleasedir:
		err = r.Reply(0, 0)
	default:
		err = r.ReplyError(unix.ENOSYS)
	}
	_ = err // of a request that is gone, or of a connection that will tell
}
