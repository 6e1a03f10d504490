package passfs

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

// TestCloseEvict: a file without a name is closed just after its reference was
// found to be dispensable, as there was an open file to come back by. The
// kernel may still use the inode (an O_PATH descriptor).
func TestCloseEvict(t *testing.T) {
	w := newWire(t, t.TempDir(), nil, nil)
	me := who{uint32(os.Geteuid()), uint32(os.Getegid())}
	e, op, err := w.create(1, "f", me, protocol.CreateIn{Flags: unix.O_RDWR, Mode: 0o600})
	if err != 0 {
		t.Fatal(err)
	}
	w.getattr(e.Nodeid)
	if _, err := w.call(protocol.OpUnlink, 1, who{}, cname("f")); err != 0 {
		t.Fatal(err)
	}
	// The half of evict that comes before.
	i := w.fs.nodes.Get(e.Nodeid)
	i.state.And(^uint64(stUsed))
	s := i.state.Load()
	if s>>32 == 0 || !w.fs.canComeBack(i, int(s>>32)-1) {
		t.Fatal("cannot be evicted")
	}
	w.release(e.Nodeid, op.Fh, false)
	// The other half.
	if i.state.CompareAndSwap(s, s&stDie) {
		t.Error("evicted for good")
		i.state.Store(s)
	}
	if _, err := w.getattr(e.Nodeid); err != 0 {
		t.Error(err)
	}
}
