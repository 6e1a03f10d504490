package hostile

import (
	"errors"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// Target is what is attacked.
type Target struct {
	Handler conn.Handler
	Options conn.Options
	Names   []string // of files there are, or that may be made
	Secrets [][]byte // must not show in any reply
	Inos    []uint64 // inode numbers that attributes must not have
	// Between, if set, is called while nothing but waits for locks is in
	// service.
	Between func(c *conn.Conn)
	// Nodes, if set, returns how many nodes are known beside the root. After
	// FORGETs for every one that a reply told of there must be none.
	Nodes func() int
}

type kernel struct {
	t *Target
	m memory
	d *device

	init bool // has succeeded
	sure bool // the reply at hand can answer one request only
}

const (
	maxRequests = 64       // a program has
	maxTogether = 8        // are in flight at once, locks aside
	maxAlloc    = 64 << 20 // bytes a program may make the server allocate
)

// Run runs the program in against t and reports what is wrong.
func Run(tb testing.TB, t *Target, in []byte) {
	tb.Helper()
	s := &source{in}
	k := &kernel{t: t, d: newDevice()}
	k.m = memory{nodes: []uint64{protocol.RootID}, types: map[uint64]uint32{}, names: t.Names, params: protocol.Params{Minor: 46}}
	k.d.reply = k.check
	how := s.byte()
	if how&1 != 0 { // writes fail now and then
		k.d.fail = failing(s.byte(), s.byte())
	}
	opt := t.Options
	if opt.Threads == 0 {
		opt.Threads = 3
	}
	if opt.Slots == 0 {
		// The default reserves 2 GiB of address space, never touched and free of
		// cost, but for emulators, which have a table of all pages: 500 MB of it
		// for each connection under qemu 7.2.
		opt.Slots = 64
	}
	opt.MaxWrite = 64 << 10
	before := allocated()
	c := conn.New(k.d, &opt)
	served := make(chan error, 1)
	go func() { served <- c.Serve(t.Handler) }()

	alive := true
	if how&2 != 0 { // something before INIT
		alive = k.d.put([][]byte{k.next(s)})
	}
	if alive {
		alive = k.d.put([][]byte{k.first(s, how)})
	}
	for n := 0; alive && !s.done() && n < maxRequests; {
		var list [][]byte
		for range 1 + int(s.byte())%maxTogether {
			list = append(list, k.next(s))
			n++
		}
		if alive = k.d.put(list); alive && t.Between != nil {
			t.Between(c)
		}
	}
	if alive && t.Nodes != nil {
		k.forget(tb)
	}
	k.d.mu.Lock()
	k.d.last = true
	k.d.cond.Broadcast()
	k.d.mu.Unlock()
	select {
	case err := <-served:
		var e *conn.Error
		if errors.As(err, &e) && e.Op != "init" {
			tb.Errorf("Serve: %v", err)
		}
	case <-time.After(30 * time.Second):
		tb.Fatalf("Serve does not return:\n%s", c.AppendInflight(nil))
	}
	for _, w := range k.d.settle() {
		tb.Error(w)
	}
	st := c.Stats()
	if st.Panics != 0 {
		tb.Errorf("%d panics", st.Panics)
	}
	if st.InFlight != 0 || st.SlotsUsed != 0 || st.SlotsPeak > opt.Slots {
		tb.Errorf("slots: %s", st.AppendText(nil))
	}
	if n := allocated() - before; n > maxAlloc {
		tb.Errorf("%d bytes allocated", n)
	}
}

// next makes a message from what is known now; late replies may be adding to it.
func (k *kernel) next(s *source) []byte {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	// The server decodes with what INIT settled.
	return tame(k.m.message(s), &k.m.params)
}

// forget takes back every lookup, more of them than there were, until there
// are none: nobody says when a FORGET is done, and a request whose id was in use
// before may still be in service.
func (k *kernel) forget(tb testing.TB) {
	in := protocol.ForgetIn{Nlookup: 1 << 62}
	end := time.Now().Add(10 * time.Second)
	for again := false; !again || k.t.Nodes() != 0; again = true {
		if time.Now().After(end) {
			tb.Errorf("%d nodes are known after all were forgotten", k.t.Nodes())
			return
		}
		if again {
			time.Sleep(100 * time.Microsecond)
		}
		var list [][]byte
		k.d.mu.Lock()
		for _, id := range k.m.nodes {
			h := protocol.InHeader{Len: headerSize + 8, Opcode: protocol.OpForget, Unique: 1 << 40, Nodeid: id}
			list = append(list, append(append([]byte(nil), protocol.BytesOf(&h)...), protocol.BytesOf(&in)...))
		}
		k.d.mu.Unlock()
		if !k.d.put(list) {
			return
		}
	}
}

// first is the INIT that should settle things; how says how strange it is.
func (k *kernel) first(s *source, how byte) []byte {
	in := protocol.InitIn{Major: 7, Minor: 46, MaxReadahead: 1 << 17, Flags: 1<<32 - 1, Flags2: 1<<32 - 1}
	if how&4 != 0 {
		in.Minor, in.MaxReadahead = uint32(s.number()), uint32(s.number())
	}
	if how&8 != 0 {
		in.Flags, in.Flags2 = uint32(s.number()), uint32(s.number())
	}
	if how&0xf0 == 0xf0 {
		in.Major = uint32(s.number())
	}
	k.m.unique += 2
	h := protocol.InHeader{Len: headerSize + 64, Opcode: protocol.OpInit, Unique: k.m.unique}
	k.m.ids = append(k.m.ids, h.Unique)
	return append(append([]byte(nil), protocol.BytesOf(&h)...), protocol.BytesOf(&in)...)
}

// failing fails every nth write with one errno after the other.
func failing(nth, first byte) func() unix.Errno {
	n, e := 0, unix.Errno(first)
	return func() unix.Errno {
		if n++; n%(2+int(nth&7)) != 0 {
			return 0
		}
		e = e%133 + 1
		return e
	}
}

// allocated is the number of bytes allocated so far.
func allocated() uint64 {
	m := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64()
}
