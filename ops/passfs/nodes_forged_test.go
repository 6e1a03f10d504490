package passfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/fusewire/fusewire/sg/unix"
)

// forged is a source that uses inode numbers again at once and stamps all files
// with one birth time, as file systems with a coarse clock do to files made in
// the same tick. The files are real, what statx(2) tells of them is not.
type forged struct {
	t     *testing.T
	fs    *FS
	dir   string
	names map[string]*forgedFile
	old   []*forgedFile // without a name; their numbers may be had when nobody holds them
	owes  map[*inode]uint64
	file  map[*inode]*forgedFile
	count int
	again int
}

type forgedFile struct {
	ino  uint64
	path string
	i    *inode // that the kernel knows, nil: none
}

// create makes a file, with the number of one that is gone if there is one that
// no descriptor holds.
func (w *forged) create(name string) {
	w.count++
	f := &forgedFile{ino: uint64(1000 + w.count), path: filepath.Join(w.dir, fmt.Sprint(w.count))}
	for n, o := range w.old {
		if o.i == nil || !o.i.held() {
			f.ino = o.ino
			if o.i != nil {
				w.again++
			}
			w.old = append(w.old[:n], w.old[n+1:]...)
			break
		}
	}
	touch(w.t, f.path)
	w.names[name] = f
}

func (w *forged) unlink(name string) {
	f := w.names[name]
	if err := os.Remove(f.path); err != nil {
		w.t.Fatal(err)
	}
	delete(w.names, name)
	w.old = append(w.old, f)
}

// lookup is FS.lookupAt with forged attributes.
func (w *forged) lookup(name string) {
	f := w.names[name]
	var st unix.Statx_t
	forge := func() key {
		st.Ino, st.Btime, st.Mask = f.ino, unix.StatxTimestamp{}, st.Mask&^unix.STATX_BTIME
		return keyOf(&st)
	}
	fd, err := unix.Open(f.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := statxFD(fd, &st); err != nil {
		w.t.Fatal(err)
	}
	k := forge()
	i := w.fs.find(&k)
	if i != nil {
		unix.Close(fd)
	} else {
		w.fs.takeFD(1)
		if i, err = w.fs.intern(w.fs.root, []byte(name), fd, true, &st); err != nil {
			w.t.Fatal(err)
		}
	}
	if was := w.file[i]; was != nil && was != f {
		w.t.Fatalf("inode %d of number %d was %s and is %s", i.nodeid, f.ino, was.path, f.path)
	}
	if f.i != nil && f.i != i && f.i.held() {
		w.t.Fatalf("%s is inode %d and inode %d", f.path, f.i.nodeid, i.nodeid)
	}
	w.owes[i]++
	w.file[i], f.i = f, i
}

// TestNodesForged looks up, forgets, evicts, removes and creates at random.
func TestNodesForged(t *testing.T) {
	both(t, func(t *testing.T, before func(*FS)) {
		randomly(t, 3, func(t *testing.T, rng *rand.Rand) {
			dir := t.TempDir()
			src, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			fs, err := New(src, nil)
			unix.Close(src)
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Done()
			if before != nil {
				before(fs)
			}
			w := &forged{t: t, fs: fs, dir: dir, names: map[string]*forgedFile{}, owes: map[*inode]uint64{}, file: map[*inode]*forgedFile{}}
			for range 3000 {
				name := fmt.Sprint(rng.IntN(20))
				switch rng.IntN(8) {
				case 0, 1, 2:
					if w.names[name] == nil {
						w.create(name)
					}
					w.lookup(name)
				case 3, 4:
					if w.names[name] != nil {
						w.unlink(name)
					}
				case 5:
					fs.evict(1 + rng.IntN(10))
				default:
					var any *inode
					salt := rng.Uint64()
					for i := range w.owes { // the order of a map is no seed's
						if any == nil || (i.nodeid^salt)*0x9e3779b97f4a7c15 < (any.nodeid^salt)*0x9e3779b97f4a7c15 {
							any = i
						}
					}
					if any != nil {
						w.forget(any, 1+rng.Uint64N(w.owes[any]))
					}
				}
			}
			for i, n := range w.owes {
				w.forget(i, n)
			}
			if n := fs.nodes.Len(); n != 0 || fs.nodes.OverForgets() != 0 {
				t.Errorf("%d nodes are left, %d FORGETs too many", n, fs.nodes.OverForgets())
			}
			if w.again == 0 {
				t.Error("no number of a known file was used again: the test tests nothing")
			}
		})
	})
}

func (w *forged) forget(i *inode, n uint64) {
	w.fs.Forget(i.nodeid, n)
	if w.owes[i] -= n; w.owes[i] == 0 {
		delete(w.owes, i)
		w.file[i].i = nil
		delete(w.file, i)
	}
}
