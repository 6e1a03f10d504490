package passfs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
)

// TestReaddirEveryPoint makes each kind of change at each point of a listing
// that is read one entry at a time.
func TestReaddirEveryPoint(t *testing.T) {
	changes := map[string]func(l *listing, seen, unseen []string){
		"nothing":       func(l *listing, seen, unseen []string) {},
		"remove seen":   func(l *listing, seen, unseen []string) { l.remove(seen[len(seen)-1]) },
		"remove next":   func(l *listing, seen, unseen []string) { l.remove(unseen[0]) },
		"remove last":   func(l *listing, seen, unseen []string) { l.remove(unseen[len(unseen)-1]) },
		"add":           func(l *listing, seen, unseen []string) { l.add("s-new") },
		"rename seen":   func(l *listing, seen, unseen []string) { l.rename(seen[0], seen[0][:1]+"-new") },
		"rename next":   func(l *listing, seen, unseen []string) { l.rename(unseen[0], unseen[0][:1]+"-new") },
		"replace seen":  func(l *listing, seen, unseen []string) { l.remove(seen[0]); l.add(seen[0]) },
		"remove unseen": func(l *listing, seen, unseen []string) { each(unseen, l.remove) },
		"remove all":    func(l *listing, seen, unseen []string) { each(seen, l.remove); each(unseen, l.remove) },
	}
	const files = 9
	for _, mode := range dirModes[:2] {
		for what, change := range changes {
			t.Run(mode.name+"/"+what, func(t *testing.T) {
				po := DefaultOptions()
				dir := t.TempDir()
				fs, k := kernelAt(t, dir, &po, conntest.Options{Shared: true, Flags: conntest.AllFlags &^ mode.off})
				for at := range files + 2 {
					src := mkdir(t, dir, fmt.Sprint("d", at))
					l := &listing{t: t, rng: rand.New(rand.NewPCG(uint64(at), 1)), k: k, c: ourselves(k), src: src, life: map[string][]int{}}
					for range files {
						// Long ones: room is for one at a time.
						l.add(fmt.Sprintf("s%0250d", l.now))
					}
					f, err := l.c.Open(fmt.Sprint("/d", at), 0, 0)
					if err != nil {
						t.Fatal(err)
					}
					// The order is known from a listing before.
					order := names(t, f)
					f.SeekDir(0)
					p := l.start()
					for n := 0; ; n++ {
						if seen, unseen := split2(order, p.seen); n == at && len(seen) > 0 && len(unseen) > 0 {
							change(l, seen, unseen)
						}
						list, err := f.ReadDir(mode.room)
						if err != nil {
							t.Fatal(err)
						}
						if len(list) == 0 {
							break
						}
						l.took(p, list)
					}
					l.end(p)
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
				}
				balanced(t, fs, k)
			})
		}
	}
}

func each(names []string, f func(string)) {
	for _, s := range names {
		f(s)
	}
}

// split2 divides the names in order, "." and ".." left out, into those that
// were seen and those to come.
func split2(order []string, seen map[string]int) (was, is []string) {
	for _, s := range order {
		switch {
		case s == "." || s == "..":
		case seen[s] > 0:
			was = append(was, s)
		default:
			is = append(is, s)
		}
	}
	return was, is
}

func names(t *testing.T, f *conntest.File) []string {
	t.Helper()
	var l []string
	for {
		list, err := f.ReadDir(0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return l
		}
		for _, e := range list {
			l = append(l, e.Name)
		}
	}
}

// TestReaddirEveryCookie goes to each of the cookies of hundreds of names, in
// no order, on the handle it was had from, on another and on one opened later,
// and finds the entries behind it.
func TestReaddirEveryCookie(t *testing.T) {
	for _, mode := range dirModes {
		t.Run(mode.name, func(t *testing.T) {
			l, fs := newListing(t, rand.New(rand.NewPCG(1, 1)), 400, DefaultOptions(), conntest.Options{Flags: conntest.AllFlags &^ mode.off})
			f, other := l.open(), l.open()
			var all []conntest.Entry
			for {
				list, err := f.ReadDir(mode.room)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				all = append(all, list...)
			}
			if len(all) != 402 {
				t.Fatalf("%d entries", len(all))
			}
			cookie := map[uint64]string{}
			for _, e := range all {
				if was := cookie[e.Off]; was != "" {
					t.Fatalf("%s and %s have one cookie", was, e.Name)
				}
				cookie[e.Off] = e.Name
			}
			for n, i := range l.rng.Perm(len(all)) {
				g := []*conntest.File{f, other, f}[n%3]
				if n%3 == 2 {
					g = l.open()
				}
				g.SeekDir(all[i].Off)
				list, err := g.ReadDir([]int{mode.room, 4096}[n/3%2])
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 && i != len(all)-1 {
					t.Fatalf("nothing behind entry %d of %d", i, len(all))
				}
				for j, e := range list {
					if want := all[i+1+j]; e.Name != want.Name || e.Off != want.Off || e.Type != want.Type || e.Ino != want.Ino {
						t.Fatalf("entry %d behind number %d is %+v, it was %+v", j, i, e, want)
					}
				}
				if n%3 == 2 {
					if err := g.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			f.Close()
			other.Close()
			if plus := l.k.Count(protocol.OpReaddirplus) > 0; plus != (mode.off&protocol.InitDoReaddirplus == 0) {
				t.Errorf("READDIRPLUS was used: %v", plus)
			}
			balanced(t, fs, l.k)
		})
	}
}
