package ops

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// randomly runs f n times with seeds from 0 on, FUSEWIRE_LONG times as often,
// or once with the seed FUSEWIRE_SEED. The seed is in the subtest's name.
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

// The ways in which numbers below may be used again, or not.
var belowModes = []struct {
	name        string
	hold, reuse bool
}{{"fresh numbers", false, false}, {"numbers used again", false, true}, {"numbers held", true, true}}

// owed is the naive map: what a kernel owes for each nodeid, and which file the
// node stands for.
type owed struct {
	t      *testing.T
	n      map[uint64]uint64
	serial map[uint64]uint64 // of nodes, all that ever were
	node   map[uint64]uint64 // of files that are known
	dead   map[uint64]bool   // nodes whose last FORGET has been seen to
}

// took notes a lookup that was given to the kernel.
func (o *owed) took(id, serial uint64) {
	o.t.Helper()
	switch was, ever := o.serial[id]; {
	case id <= protocol.RootID:
		o.t.Fatalf("nodeid %d", id)
	case ever && was != serial:
		o.t.Fatalf("node %#x stood for file %d and now does for %d", id, was, serial)
	case o.dead[id]:
		o.t.Fatalf("node %#x was forgotten and comes back", id)
	}
	if other := o.node[serial]; other != 0 && other != id {
		o.t.Fatalf("file %d is node %#x and node %#x", serial, other, id)
	}
	o.n[id]++
	o.serial[id], o.node[serial] = serial, id
}

// gave notes that n lookups are given back.
func (o *owed) gave(id, n uint64) {
	if o.n[id] -= n; o.n[id] == 0 {
		delete(o.n, id)
		delete(o.node, o.serial[id])
	}
}

// TestNodesOverBelow has a kernel look up, create, link, list, remove, rename
// and forget at random while some of the replies are lost, and compares what
// the table holds with what the kernel owes.
func TestNodesOverBelow(t *testing.T) {
	for _, mode := range belowModes {
		t.Run(mode.name, func(t *testing.T) {
			randomly(t, 3, func(t *testing.T, rng *rand.Rand) {
				fs := newAbove(mode.hold, mode.reuse)
				root := &aboveNode{id: protocol.RootID}
				fs.nodes.SetRoot(root)
				k := serve(t, fs, nil)
				o := &owed{t, map[uint64]uint64{}, map[uint64]uint64{}, map[uint64]uint64{}, map[uint64]bool{}}
				for step := range 1200 {
					o.step(k, rng)
					if step%20 == 0 {
						o.compare(fs)
					}
				}
				for id, n := range o.n {
					k.send(protocol.OpForget, id, rq{Arg: arg(protocol.ForgetIn{Nlookup: n})})
					o.gave(id, n)
				}
				o.compare(fs)
				if n := len(fs.index); n != 0 {
					t.Errorf("%d nodes are still to be found", n)
				}
			})
		})
	}
}

func (o *owed) compare(fs *aboveFS) {
	o.t.Helper()
	what := ""
	defer func() {
		if o.t.Failed() {
			o.t.Log(what)
		}
	}()
	eventually(o.t, "the table is what the kernel owes", func() bool {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		what = fs.nodes.t.differ(o.n)
		return what == ""
	})
	for id := range o.serial {
		if o.n[id] == 0 {
			o.dead[id] = true
		}
	}
}

func (o *owed) step(k *kernel, rng *rand.Rand) {
	o.t.Helper()
	name := func() []byte { return []byte(fmt.Sprint("file ", rng.IntN(12))) }
	var op protocol.Opcode
	var r rq
	node := uint64(protocol.RootID)
	switch rng.IntN(12) {
	case 0, 1, 2:
		op, r = protocol.OpLookup, rq{Name: name()}
	case 3, 4:
		op, r = protocol.OpCreate, rq{Arg: arg(protocol.CreateIn{}), Name: name()}
	case 5:
		op, r = protocol.OpUnlink, rq{Name: name()}
	case 6:
		op, r = protocol.OpRename, rq{Arg: arg(protocol.RenameIn{Newdir: protocol.RootID}), Name: name(), Name2: name()}
	case 7:
		op, r = protocol.OpLink, rq{Arg: arg(protocol.LinkIn{Oldnodeid: o.any(rng)}), Name: name()}
	case 8:
		op, r = protocol.OpReaddir, rq{Arg: arg(protocol.ReadIn{Offset: rng.Uint64N(12), Size: 40 + rng.Uint32N(300)})}
	case 9:
		op, r = protocol.OpReaddirplus, rq{Arg: arg(protocol.ReadIn{Offset: rng.Uint64N(12), Size: 170 + rng.Uint32N(1500)})}
	case 10:
		if id := o.any(rng); id != 0 {
			n := 1 + rng.Uint64N(o.n[id])
			k.send(protocol.OpForget, id, rq{Arg: arg(protocol.ForgetIn{Nlookup: n})})
			o.gave(id, n)
		}
		return
	default:
		var data []byte
		in := protocol.BatchForgetIn{}
		for range rng.IntN(5) {
			if id := o.any(rng); id != 0 { // one may be there twice
				one := protocol.ForgetOne{Nodeid: id, Nlookup: 1 + rng.Uint64N(o.n[id])}
				data = append(data, protocol.BytesOf(&one)...)
				in.Count++
				o.gave(id, one.Nlookup)
			}
		}
		k.send(protocol.OpBatchForget, 0, rq{Arg: arg(in), Data: data})
		return
	}
	if rng.IntN(5) == 0 {
		k.lost(op, node, r)
		return
	}
	e, b := k.call(op, node, r)
	if e != 0 {
		return
	}
	switch op {
	case protocol.OpLookup, protocol.OpLink, protocol.OpCreate:
		out := protocol.ViewOf[protocol.EntryOut](b)
		o.took(out.Nodeid, out.Attr.Size)
		if op == protocol.OpCreate {
			fh := protocol.ViewOf[protocol.OpenOut](b[128:]).Fh
			k.call(protocol.OpRelease, out.Nodeid, rq{Arg: arg(protocol.ReleaseIn{Fh: fh})})
		}
	case protocol.OpReaddirplus:
		for {
			d, name, rest, err := protocol.NextDirentplus(b)
			if err != nil {
				o.t.Fatal(err)
			}
			if name == nil {
				break
			}
			o.took(d.EntryOut.Nodeid, d.EntryOut.Attr.Size)
			b = rest
		}
	}
}

// any returns a nodeid that the kernel knows, 0 if there is none.
func (o *owed) any(rng *rand.Rand) uint64 {
	var best uint64
	salt := rng.Uint64()
	for id := range o.n { // the order of a map is no seed's
		if best == 0 || (id^salt)*0x9e3779b97f4a7c15 < (best^salt)*0x9e3779b97f4a7c15 {
			best = id
		}
	}
	return best
}

// TestNodesOverBelowRaces does the same from several goroutines at once, each
// with an account of its own. While one of them is owed a node it is there and
// stands for its file; when all have stopped, the counts are their sum.
func TestNodesOverBelowRaces(t *testing.T) {
	for _, mode := range belowModes {
		t.Run(mode.name, func(t *testing.T) {
			randomly(t, 2, func(t *testing.T, rng *rand.Rand) {
				fs := newAbove(mode.hold, mode.reuse)
				accounts := make([]map[uint64]uint64, 4)
				for round := range 4 {
					var wg sync.WaitGroup
					for g := range accounts {
						r := rand.New(rand.NewPCG(rng.Uint64(), uint64(g)))
						if round == 0 {
							accounts[g] = map[uint64]uint64{}
						}
						wg.Go(func() { race(t, fs, r, accounts[g]) })
					}
					wg.Wait()
					sum := map[uint64]uint64{}
					for _, a := range accounts {
						for id, n := range a {
							sum[id] += n
						}
					}
					if s := fs.nodes.t.differ(sum); s != "" {
						t.Fatalf("round %d: %s", round, s)
					}
					files := map[uint64]uint64{}
					for id := range sum {
						serial := fs.nodes.Get(id).f.serial
						if other := files[serial]; other != 0 {
							t.Fatalf("file %d is node %#x and node %#x", serial, other, id)
						}
						files[serial] = id
					}
				}
			})
		})
	}
}

// race is one goroutine's part; owes is what it has not given back.
func race(t *testing.T, fs *aboveFS, r *rand.Rand, owes map[uint64]uint64) {
	for range 1500 {
		name := []byte(fmt.Sprint("file ", r.IntN(6)))
		var e protocol.EntryOut
		var o protocol.OpenOut
		err := error(unix.ENOENT)
		switch r.IntN(8) {
		case 0, 1, 2:
			err = fs.Lookup(nil, name, &e)
		case 3:
			if err = fs.Create(nil, nil, name, &e, &o); err == nil {
				fs.CancelOpen(e.Nodeid, o.Fh, false)
			}
		case 4:
			_ = fs.Unlink(nil, name)
		case 5:
			_ = fs.Rename(nil, 1, name, []byte(fmt.Sprint("file ", r.IntN(6))), 0)
		default:
			for id, n := range owes {
				n = 1 + r.Uint64N(n)
				if v := fs.nodes.Get(id); v == nil {
					t.Errorf("node %#x is gone, %d lookups are held", id, owes[id])
				}
				if owes[id] -= n; owes[id] == 0 {
					delete(owes, id)
				}
				fs.Forget(id, n)
				break
			}
		}
		if err != nil {
			continue
		}
		if r.IntN(5) == 0 { // the reply is lost
			fs.Forget(e.Nodeid, 1)
			continue
		}
		owes[e.Nodeid]++
		if v := fs.nodes.Get(e.Nodeid); v == nil || v.f.serial != e.Attr.Size {
			t.Errorf("node %#x is %v while held, it was file %d", e.Nodeid, v, e.Attr.Size)
			return
		}
	}
}
