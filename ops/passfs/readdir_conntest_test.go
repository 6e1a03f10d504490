package passfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// listing is a directory that changes while it is read, and a record of which
// name was there when. POSIX, readdir(): a name that is there all the time is
// returned once; one that comes or goes meanwhile, at most as often as it came.
type listing struct {
	t    *testing.T
	rng  *rand.Rand
	k    *conntest.Kernel
	c    *conntest.Client
	src  string // of the directory, in the source
	now  int
	life map[string][]int // when it came, went, came ...
	free []string         // names that are gone
	next int
	log  []string

	// When the file at a cookie has gone, tmpfs (Linux 6.18) looks for another
	// near it by number, which is not always the next in its list
	// (fs/libfs.c: offset_dir_lookup): getdents(2) itself then returns names
	// again. On it names are added only.
	tmpfs bool
}

func (l *listing) note(format string, arg ...any) { l.log = append(l.log, fmt.Sprintf(format, arg...)) }

func (l *listing) fail(format string, arg ...any) {
	l.t.Helper()
	l.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), tail(l.log))
}

func (l *listing) there(name string) bool { return len(l.life[name])%2 == 1 }

func (l *listing) flip(name string) {
	l.now++
	l.life[name] = append(l.life[name], l.now)
	if !l.there(name) {
		l.free = append(l.free, name)
	}
}

// fresh returns a name for a new file: half of them of files that are changed
// in the source only ("s..."), half of such as are changed by the mount only,
// so that what the kernel has cached of a name is not what is being tested.
func (l *listing) fresh() string {
	if n := len(l.free); n > 0 && l.rng.IntN(4) == 0 {
		i := l.rng.IntN(n)
		name := l.free[i]
		l.free[i] = l.free[n-1]
		l.free = l.free[:n-1]
		return name
	}
	l.next++
	name := fmt.Sprint(string("sm"[l.rng.IntN(2)]), l.next)
	switch l.rng.IntN(4) {
	case 0:
		name += strings.Repeat("-", 255-len(name))
	case 1:
		name += strings.Repeat("-", l.rng.IntN(100))
	}
	return name
}

// any returns a name that is there, of s or m, "" if there is none.
func (l *listing) any(kind byte) string {
	n := 0
	name := ""
	// The order of a map is no seed's: the smallest of a random order.
	best := uint32(0)
	for s := range l.life {
		if s[0] != kind || !l.there(s) {
			continue
		}
		h := uint32(l.now) * 0x9e3779b9
		for _, c := range []byte(s) {
			h = (h ^ uint32(c)) * 0x01000193
		}
		if n++; name == "" || h < best || h == best && s < name {
			name, best = s, h
		}
	}
	return name
}

func (l *listing) add(name string) {
	l.note("add %.20s", name)
	if name[0] == 's' {
		touch(l.t, l.src, name)
	} else if err := until(func() error {
		f, err := l.c.Open("/d/"+name, unix.O_CREAT|unix.O_RDWR, 0o600)
		if err == nil {
			err = f.Close()
		}
		return err
	}); err != nil {
		l.fail("create %s: %v", name, err)
	}
	l.flip(name)
}

func (l *listing) remove(name string) {
	l.note("remove %.20s", name)
	var err error
	if name[0] == 's' {
		err = os.Remove(filepath.Join(l.src, name))
	} else {
		err = until(func() error { return l.c.Unlink("/d/" + name) })
	}
	if err != nil {
		l.fail("remove %s: %v", name, err)
	}
	l.flip(name)
}

func (l *listing) rename(from, to string) {
	l.note("rename %.20s %.20s", from, to)
	var err error
	if from[0] == 's' {
		err = os.Rename(filepath.Join(l.src, from), filepath.Join(l.src, to))
	} else {
		err = until(func() error { return l.c.Rename("/d/"+from, "/d/"+to, 0) })
	}
	if err != nil {
		l.fail("rename %s %s: %v", from, to, err)
	}
	l.flip(from)
	if l.there(to) { // another file's: tmpfs lists it in another place
		l.now++
		l.life[to] = append(l.life[to], l.now)
	}
	l.now++
	l.life[to] = append(l.life[to], l.now)
}

// change is one random change.
func (l *listing) change() {
	name := l.any("sm"[l.rng.IntN(2)])
	switch {
	case name == "" || l.tmpfs || l.rng.IntN(3) == 0:
		l.add(l.fresh())
	case l.rng.IntN(2) == 0:
		l.remove(name)
	default:
		to := l.fresh()
		if to[0] != name[0] { // the other side's: rename over one there is
			if len(l.life[to]) > 0 {
				l.free = append(l.free, to)
			}
			l.now++
			if to = l.any(name[0]); to == name {
				return
			}
		}
		l.rename(name, to)
	}
}

// place is how far a directory has been read: what was returned up to a cookie,
// and since when at the latest. What a handle has read ahead it may return as it
// was then.
type place struct {
	off  uint64
	from int
	seen map[string]int
}

func (l *listing) start() *place { return &place{from: l.now, seen: map[string]int{}} }

func (p *place) copy() *place {
	q := &place{p.off, p.from, make(map[string]int, len(p.seen))}
	for name, n := range p.seen {
		q.seen[name] = n
	}
	return q
}

// took notes what a ReadDir has returned.
func (l *listing) took(p *place, list []conntest.Entry) {
	for _, e := range list {
		p.seen[e.Name]++
		p.off = e.Off
		if e.Name == "." || e.Name == ".." {
			if e.Type != unix.DT_DIR || p.seen[e.Name] > 1 {
				l.fail("%s of type %d, %d times", e.Name, e.Type, p.seen[e.Name])
			}
			continue
		}
		came := 0 // how often since, or before
		for i, when := range l.life[e.Name] {
			switch {
			case i%2 == 0 && when > p.from:
				came++
			case i%2 == 0:
				came = 1
			case when <= p.from:
				came = 0
			}
		}
		if p.seen[e.Name] > came {
			l.fail("%.20s was returned %d times and came %d times: %v, reading since %d", e.Name, p.seen[e.Name], came, l.life[e.Name], p.from)
		}
		if e.Type != unix.DT_REG {
			l.fail("%.20s has type %d", e.Name, e.Type)
		}
	}
}

// end checks that all names that were there all the time have been returned.
func (l *listing) end(p *place) {
	for name, life := range l.life {
		if l.there(name) && life[len(life)-1] <= p.from && p.seen[name] != 1 {
			l.fail("%.20s, there since %d, was returned %d times, reading since %d", name, life[len(life)-1], p.seen[name], p.from)
		}
	}
	if p.seen["."] != 1 || p.seen[".."] != 1 {
		l.fail("%d times . and %d times ..", p.seen["."], p.seen[".."])
	}
}

// dirModes are the requests that a listing may be made of.
var dirModes = []struct {
	name string
	off  protocol.InitFlags
	room int // in which any one entry fits
}{
	{"readdir", protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto, 24 + 256},
	{"plus", protocol.InitReaddirplusAuto, 152 + 256},
	{"auto", 0, 152 + 256},
}

// newListing serves a source with a directory "d" of n names in it.
func newListing(t *testing.T, rng *rand.Rand, n int, po Options, ko conntest.Options) (*listing, *FS) {
	t.Helper()
	dir := t.TempDir()
	l := &listing{t: t, rng: rng, src: mkdir(t, dir, "d"), life: map[string][]int{}}
	fs, k := kernelAt(t, dir, &po, ko)
	l.k, l.c = k, ourselves(k)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	l.tmpfs = int64(st.Type) == unix.TMPFS_MAGIC
	for range n {
		l.add(l.fresh())
	}
	return l, fs
}

func (l *listing) open() *conntest.File {
	l.t.Helper()
	var f *conntest.File
	if err := until(func() (err error) {
		f, err = l.c.Open("/d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		return err
	}); err != nil {
		l.fail("open: %v", err)
	}
	return f
}

// TestReaddirModel reads a directory of hundreds of names in chunks of every
// size through two handles, while names come, go and change, replies get lost,
// handles are closed and opened again, and positions are sought that were had
// before from this handle or another.
func TestReaddirModel(t *testing.T) {
	for _, mode := range dirModes {
		for _, cache := range []CacheMode{CacheAuto, CacheNever, CacheAlways} {
			t.Run(fmt.Sprint(mode.name, "/", cache), func(t *testing.T) {
				randomly(t, 1, func(t *testing.T, rng *rand.Rand) {
					po := DefaultOptions()
					po.Cache = cache
					lose := rand.New(rand.NewPCG(rng.Uint64(), 2))
					l, fs := newListing(t, rng, 100+rng.IntN(200), po, conntest.Options{
						Shared: true, Flags: conntest.AllFlags &^ mode.off,
						Lose: func(op protocol.Opcode, nodeid uint64) bool {
							// Not the directory's own name, by which the changes go.
							return nodeid != protocol.RootID && lose.IntN(16) == 0 &&
								(op == protocol.OpReaddir || op == protocol.OpReaddirplus || op == protocol.OpLookup)
						}})
					l.run(mode.room)
					balanced(t, fs, l.k)
				})
			})
		}
	}
}

func (l *listing) run(room int) {
	type reader struct {
		f     *conntest.File
		p     *place
		since int // opened, or rewound
	}
	readers := []*reader{{l.open(), l.start(), l.now}, {l.open(), l.start(), l.now}}
	var marks []*place
	for range 350 {
		r := readers[l.rng.IntN(len(readers))]
		for range l.rng.IntN(3) {
			l.change()
		}
		switch l.rng.IntN(30) {
		case 0: // rewinddir
			r.f.SeekDir(0)
			r.p = l.start()
			l.note("rewind")
		case 1, 2: // seekdir to what telldir has said
			if len(marks) > 0 {
				r.p = marks[l.rng.IntN(len(marks))].copy()
				r.p.from = min(r.p.from, r.since) // of another handle, perhaps
				r.f.SeekDir(r.p.off)
				l.note("seek %d", r.p.off)
			}
		case 3: // another handle, the same position
			if err := r.f.Close(); err != nil {
				l.fail("close: %v", err)
			}
			r.f = l.open()
			r.f.SeekDir(r.p.off)
			r.since = l.now
			l.note("reopen at %d", r.p.off)
		case 4:
			l.k.Advance(time.Duration(l.rng.IntN(1500)) * time.Millisecond)
		case 5:
			l.k.DropCaches()
		case 6: // too small for one
			list, err := r.f.ReadDir(24)
			if err != unix.EINVAL && err != unix.ECONNABORTED && (err != nil || len(list) > 0) {
				l.fail("getdents of 24 bytes: %v, %v", list, err)
			}
		}
		if r.p.off == 0 { // what is there when reading begins counts
			r.p, r.since = l.start(), l.now
		}
		size := []int{room, room, room + l.rng.IntN(400), 4096, 32768}[l.rng.IntN(5)]
		list, err := r.f.ReadDir(size)
		l.note("read %d at %d: %d, %v", size, r.p.off, len(list), err)
		switch {
		case err == unix.ECONNABORTED:
		case err != nil:
			l.fail("getdents: %v", err)
		case len(list) == 0:
			l.end(r.p)
			r.f.SeekDir(0)
			r.p = l.start()
		default:
			l.took(r.p, list)
			if len(marks) < 24 {
				marks = append(marks, r.p.copy())
			} else if l.rng.IntN(4) == 0 {
				marks[l.rng.IntN(len(marks))] = r.p.copy()
			}
		}
	}
	for _, r := range readers {
		if err := r.f.Close(); err != nil {
			l.fail("close: %v", err)
		}
	}
}
