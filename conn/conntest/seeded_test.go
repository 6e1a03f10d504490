package conntest_test

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// counter is a node table: of clerk's names, with counts that a FORGET may not
// bring below 0. With late set, the first LOOKUP is counted after its reply was
// written, and only once a FORGET has come in between.
type counter struct {
	clerk
	late   bool
	turn   sync.Mutex // FORGETs one after the other, with what each waits for
	mu     sync.Mutex
	counts map[uint64]uint64
	first  bool
	open   bool // a LOOKUP was answered, and not counted
	once   sync.Once
	forgot chan struct{} // closed by the first FORGET
	over   chan struct{} // closed when the late count was made
}

func newCounter(late bool) *counter {
	return &counter{late: late, counts: map[uint64]uint64{}, first: true, forgot: make(chan struct{}), over: make(chan struct{})}
}

func (h *counter) Forget(nodeid, n uint64) {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	h.counts[nodeid] -= min(n, h.counts[nodeid])
	open := h.open
	h.mu.Unlock()
	h.once.Do(func() { close(h.forgot) })
	if open { // so that a seed says it all: the count is made before the next request
		<-h.over
	}
}

func (h *counter) got() map[uint64]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.counts)
}

func (h *counter) add(nodeid uint64) {
	h.mu.Lock()
	h.counts[nodeid]++
	h.mu.Unlock()
}

func (h *counter) Serve(r *conn.Request) {
	if r.Op() != protocol.OpLookup {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.clerk.Serve(r)
		return
	}
	h.mu.Lock()
	e := protocol.ViewOf[protocol.EntryOut](r.Out())
	known := h.entry(string(r.Name), e)
	late := known && h.late && h.first
	h.first = h.first && !late
	h.open = h.open || late
	h.mu.Unlock()
	id := e.Nodeid
	switch {
	case !known:
		_ = r.ReplyError(unix.ENOENT)
	case late:
		r.Block() // another thread is to take the FORGET
		_ = r.Reply(128, 0)
		<-h.forgot
		h.add(id)
		h.mu.Lock()
		h.open = false
		h.mu.Unlock()
		close(h.over)
	default:
		h.add(id)
		_ = r.Reply(128, 0)
	}
}

// TestLateCount counts a lookup after the reply. Two processes look a name up and
// let it go, in an order that a seed fixes: some of the orders lose a count, and
// the same seed loses it again.
func TestLateCount(t *testing.T) {
	run := func(seed uint64, late bool) (trace []string, v []*conntest.Violation) {
		h := newCounter(late)
		o := options(conntest.Options{})
		o.Conn.Threads = 3
		k, err := conntest.New(h, o)
		check(t, err)
		task := func(c *conntest.Client) {
			_, _ = c.Lookup("/f")
			k.DropCaches()
		}
		trace = k.Run(seed, 0, 0, task, task)
		k.DropCaches()
		if late {
			<-h.over
		}
		k.Audit(h.got)
		v = k.Violations()
		_ = k.Unmount()
		return trace, v
	}
	caught := 0
	for seed := uint64(1); seed <= 12; seed++ {
		if _, v := run(seed, false); len(v) > 0 {
			t.Fatalf("seed %d, no bug: %v", seed, v[0])
		}
		trace, v := run(seed, true)
		if len(v) == 0 {
			continue
		}
		if want := "the server counts 1 lookups, the kernel 0"; v[0].Rule != want || v[0].Nodeid != 3 {
			t.Errorf("seed %d: %v", seed, v[0])
		}
		if again, w := run(seed, true); len(w) == 0 || !slices.Equal(again, trace) {
			t.Errorf("seed %d does not replay: %q, %q", seed, trace, again)
		}
		caught++
	}
	if caught == 0 {
		t.Error("no seed finds it")
	}
	t.Logf("%d of 12 seeds find it", caught)
}

// opener is a file that is written back, with a state for each handle; with
// trust set, it goes by what a handle's opener was.
type opener struct {
	keeper
	trust  bool
	append bool
	uid    map[uint64]uint32
	flags  map[uint64]uint32
}

func (h *opener) Serve(r *conn.Request) {
	h.mu.Lock()
	switch r.Op() {
	case protocol.OpOpen:
		fh := uint64(len(h.uid) + 1)
		h.uid[fh], h.flags[fh] = r.Header.Uid, r.OpenIn().Flags
		protocol.ViewOf[protocol.OpenOut](r.Out()).Fh = fh
		h.mu.Unlock()
		_ = r.Reply(16, 0)
		return
	case protocol.OpWrite:
		in := r.WriteIn()
		if h.trust && h.uid[in.Fh] != r.Header.Uid {
			h.mu.Unlock()
			_ = r.ReplyError(unix.EBADF)
			return
		}
		if h.append && h.flags[in.Fh]&unix.O_APPEND != 0 {
			in.Offset = uint64(len(h.data))
		}
	}
	h.mu.Unlock()
	h.keeper.Serve(r)
}

// TestForeignHandle writes back through whichever handle the kernel picks, with
// nobody's ids: a server that takes a handle for its opener's loses data.
func TestForeignHandle(t *testing.T) {
	for _, w := range []struct {
		name          string
		trust, append bool
		want          string
		whole         bool
	}{
		{"none", false, false, "", true},
		{"ids of the opener", true, false, "the handle is of any writer, the ids are nobody's", false},
		{"O_APPEND of the opener", false, true, "", false},
	} {
		t.Run(w.name, func(t *testing.T) {
			page := unix.Getpagesize()
			h := &opener{trust: w.trust, append: w.append, uid: map[uint64]uint32{}, flags: map[uint64]uint32{}}
			h.data = bytes.Repeat([]byte("x"), 2*page)
			o := options(conntest.Options{})
			o.Conn.Want |= protocol.InitWritebackCache
			k, err := conntest.New(h, o)
			check(t, err)
			a, b := k.Process(1, 1), k.Process(2, 2)
			fa, err := a.Open("/f", unix.O_WRONLY|unix.O_APPEND, 0)
			check(t, err)
			fb, err := b.Open("/f", unix.O_RDWR, 0)
			check(t, err)
			fc, err := a.Open("/f", unix.O_WRONLY|unix.O_APPEND, 0) // first or last opened, the writer is neither
			check(t, err)
			data := bytes.Repeat([]byte("y"), page)
			_, err = fb.WriteAt(data, 0)
			check(t, err)
			err = fb.Fsync(false)
			if failed := err != nil; failed != w.trust {
				t.Error(err)
			}
			for _, f := range []*conntest.File{fa, fb, fc} {
				_ = f.Close()
			}
			_ = k.Unmount()
			if whole := len(h.data) == 2*page && bytes.HasPrefix(h.data, data); whole != w.whole {
				t.Errorf("%d bytes, begins with what was written: %v", len(h.data), bytes.HasPrefix(h.data, data))
			}
			expect(t, k, w.want)
		})
	}
}

// audited is clerk with counts that can be read meanwhile.
type audited struct {
	clerk
	mu sync.Mutex
}

func (h *audited) Serve(r *conn.Request) { h.mu.Lock(); defer h.mu.Unlock(); h.clerk.Serve(r) }
func (h *audited) Forget(nodeid, n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clerk.Forget(nodeid, n)
}
func (h *audited) got() map[uint64]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.lookups)
}

// TestAudit compares counts where nothing but a number is wrong.
func TestAudit(t *testing.T) {
	for _, w := range []struct {
		name string
		h    *audited
		lose bool
		want string
	}{
		{"none", &audited{}, true, ""},
		{"entry without room", &audited{clerk: clerk{overflow: true}}, false, "nodeid 2: the server counts 1 lookups, the kernel 0"},
		{"lost reply", &audited{clerk: clerk{noUndo: true}}, true, "nodeid 3: the server counts 1 lookups, the kernel 0"},
	} {
		t.Run(w.name, func(t *testing.T) {
			h := w.h
			lost := false
			o := options(conntest.Options{Lose: func(op protocol.Opcode, _ uint64) bool {
				lose := w.lose && !lost && op == protocol.OpLookup
				lost = lost || lose
				return lose
			}})
			o.Conn.Threads = 1
			k, err := conntest.New(h, o)
			check(t, err)
			c := k.Process(0, 0)
			_, err = c.Stat("/f")
			if (err == unix.ECONNABORTED) != w.lose {
				t.Error(err)
			}
			d, err := c.Open("/", unix.O_DIRECTORY, 0)
			check(t, err)
			_, err = d.ReadDir(0)
			check(t, err)
			check(t, d.Close())
			k.DropCaches()
			k.Audit(h.got)
			_ = k.Unmount()
			expect(t, k, w.want)
		})
	}
}
