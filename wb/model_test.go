package wb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// randomly runs f n times with seeds from 0 on, FUSEWIRE_LONG times as often, or
// once with the seed FUSEWIRE_SEED. The seed is in the subtest's name.
func randomly(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand)) {
	t.Helper()
	first := uint64(0)
	if s := os.Getenv("FUSEWIRE_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			t.Fatalf("FUSEWIRE_SEED=%s: %v", s, err)
		}
		first, n = seed, 1
	} else if s := os.Getenv("FUSEWIRE_LONG"); s != "" {
		factor, err := strconv.Atoi(s)
		if err != nil || factor < 1 {
			t.Fatalf("FUSEWIRE_LONG=%s is not a factor", s)
		}
		n *= factor
	}
	for i := range uint64(n) {
		seed := first + i
		t.Run("seed="+strconv.FormatUint(seed, 10), func(t *testing.T) {
			f(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

// mfile is a file on all sides: the cache's, the back end's, and what a writer may
// expect.
type mfile struct {
	i       int
	f       *File
	b       *backFile
	want    []byte
	history [][]byte // all that it was since the last fsync began that has been answered
	handles []*mhandle
	changer bool // a Write or Claim is under way
	copies  bool // ... which is a copy
	claimed bool // ... which is a Claim of this file, and may last
	writers int  // Writes behind it
	others  int  // tasks under way that are not
	reads   []*mread
	// the model of errseq
	errs uint32
	seen bool
	loss bool // an error: what a crash leaves is not looked at any more
	lost bool // something was given up
}

type mhandle struct {
	h     Handle
	since uint32
}

// mread is a Read under way, and all that it may find.
type mread struct {
	off, n int
	may    [][]byte
}

type model struct {
	t     *testing.T
	rng   *rand.Rand
	b     *back
	c     *Cache
	files []*mfile
	log   []string
	roomy bool     // no Write has to wait for room
	held  []func() // ends of granted Claims
}

func newModel(t *testing.T, rng *rand.Rand, c Config) *model {
	b, w := newBack(t, 3, c)
	m := &model{t: t, rng: rng, b: b, c: w}
	for i := range b.files {
		f := &mfile{i: i, f: w.File(uint64(i)), b: b.files[i]}
		f.history = [][]byte{nil}
		m.files = append(m.files, f)
		m.open(f)
	}
	return m
}

func (m *model) note(format string, arg ...any) { m.log = append(m.log, fmt.Sprintf(format, arg...)) }

func (m *model) fail(format string, arg ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), strings.Join(m.log[max(0, len(m.log)-60):], "\n"))
}

func (m *model) open(f *mfile) {
	h := &mhandle{since: f.errs}
	if !f.seen && f.errs != 0 {
		h.since--
	}
	f.f.Open(&h.h)
	f.handles = append(f.handles, h)
}

// changed notes what a file has become.
func (m *model) changed(f *mfile) {
	now := append([]byte(nil), f.want...)
	f.history = append(f.history, now)
	for _, r := range f.reads {
		r.may = append(r.may, now)
	}
}

// resize is truncate(2) on the model.
func (f *mfile) resize(n int) {
	if n <= len(f.want) {
		f.want = f.want[:n:n]
	} else {
		f.want = append(f.want, make([]byte, n-len(f.want))...)
	}
}

func (m *model) data(n int) []byte {
	b := make([]byte, n)
	x := m.rng.Uint64()
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x>>56) | 1 // never a hole
	}
	return b
}

const mspan = 96 << 10

func (m *model) span() (off, n int) {
	switch m.rng.IntN(6) {
	case 0:
		return m.rng.IntN(mspan), 1 + m.rng.IntN(mspan/2)
	case 1:
		return m.rng.IntN(6) * 16384, (1 + m.rng.IntN(3)) * 16384
	case 2:
		return m.rng.IntN(mspan), 1 + m.rng.IntN(10)
	}
	return m.rng.IntN(mspan / 2), 1 + m.rng.IntN(8000)
}

// step is one thing that somebody does.
func (m *model) step() {
	f := m.files[m.rng.IntN(len(m.files))]
	off, n := m.span()
	k := m.rng.IntN(40)
	switch {
	case len(m.held) > 0 && m.rng.IntN(4) == 0:
		end := m.held[0]
		m.held = m.held[1:]
		end()
	case k < 10:
		m.b.land(m.rng)
	case k == 10 && m.rng.IntN(4) == 0:
		m.c.press()
	case k == 11 && m.rng.IntN(10) == 0:
		m.c.Start()
	case k < 24:
		m.write(f, off, n, k == 23)
	case k < 32:
		m.read(f, off, n)
	case k == 32:
		m.sync(f, m.rng.IntN(3) != 0, 0, -1)
	case k == 33:
		m.sync(f, false, off, n)
	case k == 34:
		if m.rng.IntN(3) == 0 {
			off = 0
		}
		m.truncate(f, off)
	case k == 35:
		m.punch(f, off, n)
	case k == 36:
		m.through(f, off, m.data(n), m.rng.IntN(2) == 0)
	case k == 37:
		m.copy(f, m.files[m.rng.IntN(len(m.files))], off, m.rng.IntN(mspan), n)
	case k == 38: // close, which flushes, and open
		if len(f.handles) < 4 {
			m.open(f)
		} else {
			m.sync(f, false, 0, -1)
			f.handles = f.handles[1:]
		}
	default:
		m.look(f)
	}
}

// did runs then when the task is over: now, or in its Done.
func (m *model) did(f *mfile, t *Task, over bool, then func()) {
	if over {
		then()
		return
	}
	t.Done = func(*Task) { then() }
	f.f.Wait(t)
}

func (m *model) read(f *mfile, off, n int) {
	if len(f.reads) > 2 {
		return
	}
	r := &mread{off: off, n: n, may: f.history[len(f.history)-1 : len(f.history) : len(f.history)]}
	if f.changer { // what it was before that began to change it
		r.may = append(r.may, f.history[max(len(f.history)-2, 0):]...)
	}
	f.reads = append(f.reads, r)
	t := &Task{Off: int64(off), Data: make([]byte, n), Owner: f.b}
	for i := range t.Data {
		t.Data[i] = 0xaa
	}
	m.note("%d: read %d at %d", f.i, n, off)
	over := f.f.Read(t)
	m.did(f, t, over, func() {
		got := t.Data[:t.N]
		if t.Through {
			got = nil
			if off < len(f.b.live) {
				got = t.Data[:copy(t.Data, f.b.live[off:])]
			}
		}
		for i, x := range f.reads {
			if x == r {
				f.reads = append(f.reads[:i], f.reads[i+1:]...)
				break
			}
		}
		m.checkRead(f, r, got, t)
	})
}

func (m *model) checkRead(f *mfile, r *mread, got []byte, t *Task) {
	if t.Err != 0 {
		m.fail("%d: read: %v", f.i, t.Err)
	}
	size := false
	for _, w := range r.may {
		size = size || len(got) == min(max(len(w)-r.off, 0), r.n)
	}
	if !size {
		m.fail("%d: read %d bytes of %d at %d, size %d (through %v)", f.i, len(got), r.n, r.off, len(r.may[0]), t.Through)
	}
next:
	for i, x := range got {
		for _, w := range r.may {
			if at := r.off + i; at < len(w) && w[at] == x || at >= len(w) && x == 0 {
				continue next
			}
		}
		m.fail("%d: read of %d at %d: byte %d is %#x, not one of what it was (%d states, through %v)", f.i, r.n, r.off, i, x, len(r.may), t.Through)
	}
}

func (m *model) sync(f *mfile, fsync bool, off, n int) {
	if f.others > 1 {
		return
	}
	f.others++
	h := f.handles[m.rng.IntN(len(f.handles))]
	t := &Task{Off: int64(off), Len: int64(n), Fsync: fsync, Handle: &h.h, Owner: f.b, Data0: m.rng.IntN(2) == 0}
	first := len(f.history) - 1
	if f.changer {
		first = max(first-1, 0)
	}
	state := f.history[first]
	m.note("%d: sync %v [%d,%d)", f.i, fsync, off, n)
	over := f.f.Sync(t)
	m.did(f, t, over, func() {
		f.others--
		want := unix.Errno(0)
		if h.since != f.errs {
			want = m.b.errno
			h.since, f.seen = f.errs, true
		}
		if t.Err != want {
			m.fail("%d: sync: %v, want %v", f.i, t.Err, want)
		}
		m.note("%d: synced: %v", f.i, t.Err)
		if fsync && t.Err == 0 {
			for i := range f.history { // it may have moved
				if len(f.history[i]) == len(state) && (len(state) == 0 || &f.history[i][0] == &state[0]) {
					f.history = f.history[i:]
					break
				}
			}
		}
	})
}

// look compares attributes, and what a crash of the server, or of the back end,
// would leave now.
func (m *model) look(f *mfile) {
	if !f.changer {
		v := f.f.View()
		if !v.Dirty {
			v.Size = int64(len(f.b.live))
		}
		if v.Size != int64(len(f.want)) && !f.loss {
			m.fail("%d: size %d (dirty %v), want %d", f.i, v.Size, v.Dirty, len(f.want))
		}
	}
	if f.loss {
		return
	}
	m.left(f, f.b.live, "the server's crash")
	m.left(f, f.b.durable, "the back end's crash")
	if len(f.history) > 24 {
		m.drain()
		m.sync(f, true, 0, -1)
		m.drain()
		if f.others == 0 {
			f.history = f.history[len(f.history)-1:]
		}
	}
}

// left fails unless each byte of b is one that the file had there since the last
// fsync, and is no hole where there was none.
func (m *model) left(f *mfile, b []byte, what string) {
next:
	for i, x := range b {
		for n := len(f.history) - 1; n >= 0; n-- {
			if w := f.history[n]; i < len(w) && w[i] == x {
				continue next
			}
		}
		m.fail("%d: after %s, byte %d of %d is %#x, which it was not since the last fsync (%d states)", f.i, what, i, len(b), x, len(f.history))
	}
	for n := len(f.history) - 1; n >= 0; n-- {
		if len(f.history[n]) <= len(b) {
			return
		}
	}
	m.fail("%d: after %s, there are %d bytes, fewer than there ever were since the last fsync", f.i, what, len(b))
}

// drain lands everything.
func (m *model) drain() {
	for m.b.land(m.rng) || len(m.held) > 0 {
		for _, end := range m.held {
			m.held = m.held[1:]
			end()
		}
	}
}

// end writes everything and compares.
func (m *model) end() {
	for range 10 {
		m.c.Start()
		m.drain()
	}
	for _, f := range m.files {
		if f.changer || f.others > 0 || len(f.reads) > 0 {
			m.fail("%d: something is not over: %v %d %d", f.i, f.changer, f.others, len(f.reads))
		}
		if f.f.Busy() || f.b.kept != 0 {
			m.fail("%d: busy %v, kept %d", f.i, f.f.Busy(), f.b.kept)
		}
		if !bytes.Equal(f.b.live, f.want) && !f.lost {
			i := 0
			for i < min(len(f.b.live), len(f.want)) && f.b.live[i] == f.want[i] {
				i++
			}
			m.fail("%d: %d bytes in the back end, %d in the model; they differ from %d on", f.i, len(f.b.live), len(f.want), i)
		}
	}
	if s := m.c.Stats(); s.Memory != 0 || s.Files != 0 {
		m.fail("memory %d, files %d in the end", s.Memory, s.Files)
	}
}

// small is a cache in which everything is scarce.
var small = Config{Bytes: 12 * chunkSize, FileBytes: 7 * chunkSize, MaxWrite: 3 * chunkSize, FileOps: 3}

// TestModel compares a random program with what it is to mean, and looks at what a
// crash would leave.
func TestModel(t *testing.T) {
	for name, c := range map[string]Config{"small": small, "large": {Bytes: 4 << 20}} {
		t.Run(name, func(t *testing.T) {
			randomly(t, 6, func(t *testing.T, rng *rand.Rand) {
				m := newModel(t, rng, c)
				m.roomy = name == "large"
				for range 3000 {
					m.step()
				}
				m.drain()
				m.end()
			})
		})
	}
}
