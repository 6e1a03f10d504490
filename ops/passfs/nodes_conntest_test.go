package passfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// crowd is a directory of a few names whose files come and go quickly, by the
// mount and in the source, so that the source uses inode numbers again. A file
// is known by its size, which no other has.
type crowd struct {
	t     *testing.T
	rng   *rand.Rand
	k     *conntest.Kernel
	c     *conntest.Client
	dir   string
	names map[string]int64 // and their files
	last  int64
	file  map[uint64]int64 // what each nodeid stands for, for ever
	node  map[int64]uint64 // and back
	ino   map[uint64]int64 // who had an inode number last
	open  []*crowdFile
	again int // numbers used again
	known int // of these, while the kernel knew the file before
	log   []string
}

type crowdFile struct {
	f    *conntest.File
	file int64
}

func (w *crowd) name() string { return fmt.Sprint("f", w.rng.IntN(60)) }
func (w *crowd) fail(format string, arg ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, arg...), tail(w.log))
}

// check fails on an error that is not expected; lost replies are seen to.
func (w *crowd) check(what string, want error, f func() error) {
	w.t.Helper()
	err := until(f)
	w.log = append(w.log, fmt.Sprintf("%s: %v", what, err))
	if err != want {
		w.fail("%s: %v, not %v", what, err, want)
	}
}

// made gives a new file its size.
func (w *crowd) made(name string) {
	w.last++
	path := filepath.Join(w.dir, name)
	if err := os.Truncate(path, w.last); err != nil {
		w.t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		w.t.Fatal(err)
	}
	if old := w.ino[uint64(st.Ino)]; old != 0 {
		w.again++
		if w.k.Nlookup()[w.node[old]] != 0 {
			w.known++
		}
	}
	w.names[name], w.ino[uint64(st.Ino)] = w.last, w.last
}

func (w *crowd) step() {
	name, to := w.name(), w.name()
	for to == name {
		to = w.name()
	}
	path := filepath.Join(w.dir, name)
	absent := error(nil)
	if w.names[name] == 0 {
		absent = unix.ENOENT
	}
	switch w.rng.IntN(16) {
	case 0, 1:
		if absent != nil {
			touch(w.t, path)
			w.made(name)
		}
	case 2, 3:
		var f *conntest.File
		w.check("create "+name, nil, func() (err error) {
			f, err = w.c.Open("/"+name, unix.O_CREAT|unix.O_RDWR, 0o600)
			return err
		})
		if absent != nil {
			w.made(name)
		}
		if w.open = append(w.open, &crowdFile{f, w.names[name]}); len(w.open) > 6 {
			i := w.rng.IntN(len(w.open))
			w.check("close", nil, w.open[i].f.Close)
			w.open = append(w.open[:i], w.open[i+1:]...)
		}
	case 4, 5:
		if absent == nil {
			if err := os.Remove(path); err != nil {
				w.t.Fatal(err)
			}
			delete(w.names, name)
			w.log = append(w.log, "gone in the source: "+name)
			// The next to come is likely to get its number.
			if w.names[to] == 0 {
				touch(w.t, w.dir, to)
				w.made(to)
				w.look(to, nil)
			}
		}
	case 6:
		w.check("unlink "+name, absent, func() error { return w.c.Unlink("/" + name) })
		delete(w.names, name)
	case 7:
		w.check("rename "+name+" "+to, absent, func() error { return w.c.Rename("/"+name, "/"+to, 0) })
		w.moved(name, to)
	case 8:
		if absent == nil {
			if err := os.Rename(path, filepath.Join(w.dir, to)); err != nil {
				w.t.Fatal(err)
			}
			w.moved(name, to)
		}
	case 9:
		if w.rng.IntN(8) == 0 {
			w.k.DropCaches()
		}
	case 10:
		w.check("list", nil, func() error { _, err := w.c.List("/"); return err })
	case 11:
		if len(w.open) > 0 {
			f := w.open[w.rng.IntN(len(w.open))]
			if a, err := f.f.Stat(); err != nil || a.Size != uint64(f.file) {
				w.fail("an open file is %d, %v; it was %d", a.Size, err, f.file)
			}
		}
	default:
		w.look(name, absent)
	}
}

func (w *crowd) moved(name, to string) {
	if f := w.names[name]; f != 0 && name != to {
		w.names[to] = f
		delete(w.names, name)
	}
}

// look compares which node a name leads to with what it led to before.
func (w *crowd) look(name string, absent error) {
	var id uint64
	var a protocol.Attr
	w.check("lstat "+name, absent, func() (err error) { a, err = w.c.Lstat("/" + name); return err })
	if absent != nil {
		return
	}
	w.check("lookup "+name, nil, func() (err error) { id, err = w.c.Lookup("/" + name); return err })
	file := w.names[name]
	known := w.k.Nlookup()
	switch was := w.file[id]; {
	case a.Size != uint64(file):
		w.fail("%s is file %d, not %d", name, a.Size, file)
	case was != 0 && was != file:
		w.fail("node %#x was file %d and is %d", id, was, file)
	case known[id] == 0:
		w.fail("node %#x is not known", id)
	}
	if old := w.node[file]; old != 0 && old != id && known[old] != 0 {
		w.fail("file %d is node %#x and node %#x", file, old, id)
	}
	w.file[id], w.node[file] = file, id
}

// TestNodesReused: whatever the source does with inode numbers, a nodeid stands
// for one file, and a file that is known has one nodeid. With 16 descriptors
// most of what the kernel knows is not held, so that its numbers do get used
// again, and only file handles, or names, tell.
func TestNodesReused(t *testing.T) {
	for _, named := range []bool{false, true} {
		for _, fds := range []int{16, 1000} {
			t.Run(fmt.Sprintf("byname=%v/fds=%d", named, fds), func(t *testing.T) {
				randomly(t, 1, func(t *testing.T, rng *rand.Rand) {
					lose := rand.New(rand.NewPCG(rng.Uint64(), 2))
					dir := t.TempDir()
					fs, k := kernelAt(t, dir, &Options{Cache: CacheNever, MaxFDs: fds}, conntest.Options{
						Shared: true, Flags: conntest.AllFlags &^ protocol.InitReaddirplusAuto,
						Lose: func(op protocol.Opcode, _ uint64) bool {
							switch op {
							case protocol.OpLookup, protocol.OpReaddirplus, protocol.OpCreate, protocol.OpOpen:
								return lose.IntN(20) == 0
							}
							return false
						}})
					if named {
						byName(fs)
					}
					w := &crowd{t: t, rng: rng, k: k, c: ourselves(k), dir: dir, names: map[string]int64{},
						file: map[uint64]int64{}, node: map[int64]uint64{}, ino: map[uint64]int64{}}
					for range 1500 {
						w.step()
					}
					for _, f := range w.open {
						w.check("close", nil, f.f.Close)
					}
					k.Idle()
					balanced(t, fs, k)
					t.Logf("of %d files %d had the number of one before, %d of one the kernel knew", w.last, w.again, w.known)
					var st unix.Statfs_t
					if err := unix.Statfs(dir, &st); err != nil {
						t.Fatal(err)
					}
					if int64(st.Type) == unix.EXT4_SUPER_MAGIC && w.again == 0 {
						t.Error("ext4, and no number was used again: the test tests nothing")
					}
				})
			})
		}
	}
}

// TestNodesAtOnce is TestNodesUnderRaces without its schedule: processes that
// truly run at once.
func TestNodesAtOnce(t *testing.T) {
	for _, fds := range []int{16, 1000} {
		t.Run(fmt.Sprint("fds=", fds), func(t *testing.T) {
			randomly(t, 1, func(t *testing.T, rng *rand.Rand) {
				n := 0
				fs, k := kernelOver(t, &Options{Cache: CacheAuto, EntryTimeout: time.Millisecond, AttrTimeout: time.Millisecond, MaxFDs: fds},
					conntest.Options{Shared: true, Lose: func(op protocol.Opcode, _ uint64) bool {
						switch op { // under the kernel's lock
						case protocol.OpLookup, protocol.OpReaddirplus, protocol.OpCreate, protocol.OpMkdir, protocol.OpLink, protocol.OpOpendir:
							n++
							return n%9 == 0
						}
						return false
					}})
				var wg sync.WaitGroup
				for g := range 4 {
					r := rand.New(rand.NewPCG(rng.Uint64(), uint64(g)))
					c := ourselves(k)
					wg.Go(func() {
						path := func() string { return fmt.Sprintf("/%d/%d", r.IntN(2), r.IntN(4)) }
						for range 250 {
							switch r.IntN(10) {
							case 0:
								_ = c.Mkdir(path()[:2], 0o755)
							case 1, 2:
								if f, err := c.Open(path(), unix.O_CREAT|unix.O_RDWR, 0o600); err == nil {
									_, _ = f.Write([]byte("x"))
									_ = f.Close()
								}
							case 3:
								_ = c.Unlink(path())
							case 4:
								_ = c.Rename(path(), path(), 0)
							case 5:
								_ = c.Link(path(), path())
							case 6:
								_, _ = c.List(path()[:2])
							case 7:
								k.Advance(time.Millisecond)
							case 8:
								k.DropCaches()
							default:
								_, _ = c.Lstat(path())
							}
						}
					})
				}
				wg.Wait()
				k.Idle()
				balanced(t, fs, k)
			})
		})
	}
}
