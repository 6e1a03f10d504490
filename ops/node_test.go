package ops

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nodeModel is the obviously right table: a map.
type nodeModel struct {
	live map[uint64]*modelNode
	dead map[uint64]bool
	over uint64
}

type modelNode struct {
	v *int
	n uint64
}

func (m *nodeModel) forget(id, n uint64) (*int, bool) {
	e := m.live[id]
	if e == nil {
		m.over++
		return nil, false
	}
	if n > e.n {
		m.over++
	}
	if n < e.n {
		e.n -= n
		return e.v, false
	}
	delete(m.live, id)
	m.dead[id] = true
	return e.v, true
}

func pick(r *rand.Rand, m *nodeModel, ids []uint64) uint64 {
	switch r.IntN(10) {
	case 0:
		return r.Uint64() // garbage
	case 1:
		return uint64(r.Uint32N(2000)) << uint(r.IntN(33))
	}
	if len(ids) == 0 {
		return 0
	}
	return ids[len(ids)-1-r.IntN(min(len(ids), 1200))]
}

func TestNodesModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var nodes Nodes[int]
		// A slot is spent after a few uses in half of the runs.
		if seed%2 == 1 {
			nodes.t.last = math.MaxUint32 - 3
		}
		root := 1
		nodes.SetRoot(&root)
		m := &nodeModel{map[uint64]*modelNode{}, map[uint64]bool{}, 0}
		var ids []uint64
		for step := range 20000 {
			switch r.IntN(8) {
			case 0, 1:
				n := uint64(1)
				switch r.IntN(5) {
				case 0:
					n = r.Uint64N(1<<35) + 1
				case 1:
					n = math.MaxUint32
				}
				v := new(int)
				id, err := nodes.Add(v, n)
				if err != nil {
					t.Fatal(err)
				}
				if id <= 1 || m.live[id] != nil || m.dead[id] {
					t.Fatalf("seed %d: nodeid %#x given twice", seed, id)
				}
				m.live[id] = &modelNode{v, n}
				ids = append(ids, id)
			case 2, 3:
				id := pick(r, m, ids)
				if id == 1 {
					continue
				}
				e := m.live[id]
				if got := nodes.Ref(id); got != (e != nil) {
					t.Fatalf("seed %d: Ref(%#x) %v", seed, id, got)
				}
				if e != nil {
					e.n++
				}
			case 4, 5:
				id := pick(r, m, ids)
				if id == 1 {
					continue
				}
				n := uint64(1)
				if e := m.live[id]; e != nil {
					switch r.IntN(4) {
					case 0:
						n = e.n
					case 1:
						n = r.Uint64N(e.n) + 1
					case 2:
						n = r.Uint64()
					}
				}
				v, gone := nodes.Forget(id, n)
				wv, wgone := m.forget(id, n)
				if v != wv || gone != wgone {
					t.Fatalf("seed %d: Forget(%#x, %d): %p %v, want %p %v", seed, id, n, v, gone, wv, wgone)
				}
			default:
				id := pick(r, m, ids)
				want := &root
				if id != 1 {
					want = nil
					if e := m.live[id]; e != nil {
						want = e.v
					}
				}
				if got := nodes.Get(id); got != want {
					t.Fatalf("seed %d: Get(%#x) %p, want %p", seed, id, got, want)
				}
			}
			if nodes.Len() != len(m.live) || nodes.OverForgets() != m.over {
				t.Fatalf("seed %d, step %d: Len %d, over %d; want %d, %d", seed, step, nodes.Len(), nodes.OverForgets(), len(m.live), m.over)
			}
		}
		seen := 0
		nodes.Each(func(id uint64, v *int) bool {
			seen++
			if m.live[id] == nil || m.live[id].v != v {
				t.Fatalf("Each: %#x is not there", id)
			}
			return true
		})
		if seen != len(m.live) {
			t.Fatalf("Each: %d of %d", seen, len(m.live))
		}
		for id, e := range m.live {
			if _, gone := nodes.Forget(id, e.n); !gone {
				t.Fatalf("seed %d: %#x has more than %d", seed, id, e.n)
			}
		}
		if nodes.Len() != 0 {
			t.Fatal("not empty")
		}
	}
}

// The count of lookups is 64 bits wide though a slot's word has 32 for it.
func TestNodesCarry(t *testing.T) {
	var n Nodes[int]
	v := 1
	id, _ := n.Add(&v, math.MaxUint32-1)
	for range 5 {
		if !n.Ref(id) {
			t.Fatal("Ref")
		}
	}
	total := uint64(math.MaxUint32) + 4
	for _, part := range []uint64{1, 1 << 31, 1<<31 - 7} {
		if _, gone := n.Forget(id, part); gone {
			t.Fatalf("gone early by %d", part)
		}
		total -= part
	}
	if got, gone := n.Forget(id, total-1); gone || got != &v {
		t.Fatal("gone one early")
	}
	if got, gone := n.Forget(id, 1); !gone || got != &v || n.OverForgets() != 0 {
		t.Fatalf("gone %v, over %d", gone, n.OverForgets())
	}
	for _, c := range []uint64{1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1 << 62, math.MaxInt64} {
		count, carry := split(c)
		if count == 0 || count > countMask || count+uint64(carry)*carryUnit != c {
			t.Errorf("split(%d): %d, %d", c, count, carry)
		}
	}
}

func TestNodesRefusals(t *testing.T) {
	var n Nodes[int]
	for _, id := range []uint64{0, 1, 2, 1 << 32, math.MaxUint32, math.MaxUint64} {
		if n.Get(id) != nil {
			t.Errorf("Get(%#x) of an empty table", id)
		}
	}
	v := 1
	for _, c := range []uint64{0, math.MaxInt64 + 1} {
		if _, err := n.Add(&v, c); err != unix.EINVAL {
			t.Errorf("Add with %d lookups: %v", c, err)
		}
	}
	if _, err := n.Add(nil, 1); err != unix.EINVAL {
		t.Errorf("Add(nil): %v", err)
	}
	n.SetRoot(&v)
	if _, gone := n.Forget(1, math.MaxUint64); gone || n.Get(1) != &v || !n.Ref(1) {
		t.Error("the root can be forgotten")
	}
	n.t.next = math.MaxUint32 - firstSlot
	if _, err := n.Add(&v, 1); err != unix.ENFILE {
		t.Errorf("Add to a table that is full: %v", err)
	}
}

// A slot whose use count is spent is not used again.
func TestNodesRetire(t *testing.T) {
	var n Nodes[int]
	n.t.last = math.MaxUint32 - 2 // uses 0, 1, 2
	v := 1
	seen := map[uint64]bool{}
	for i := range 30 {
		id, err := n.Add(&v, 1)
		if err != nil || seen[id] {
			t.Fatalf("%#x again, %v", id, err)
		}
		seen[id] = true
		if want := uint64(i/3 + firstSlot); id&math.MaxUint32 != want {
			t.Fatalf("node %d in slot %d, want %d", i, id&math.MaxUint32, want)
		}
		n.Forget(id, 1)
		if n.Get(id) != nil || n.Get(id+1<<32) != nil || n.Ref(id) {
			t.Fatal("still there")
		}
	}
	// The real limit: use MaxUint32 is the last and does not wrap.
	var m Nodes[int]
	id, _ := m.Add(&v, 1)
	m.Forget(id, 1)
	m.t.slot(id).state.Store(math.MaxUint32 << useShift)
	last, _ := m.Add(&v, 1)
	if last>>useShift != math.MaxUint32 || m.Get(last) != &v {
		t.Fatalf("%#x", last)
	}
	m.Forget(last, 1)
	if m.Get(last) != nil || m.Get(uint64(uint32(last))) != nil {
		t.Error("spent slot answers")
	}
	if next, _ := m.Add(&v, 1); uint32(next) == uint32(last) {
		t.Errorf("spent slot used as %#x", next)
	}
}

// Lookups (Ref, else Add, through a map as a file system has it), gets and
// forgets on several goroutines. Each node knows its id, so a Get that returns
// another's is seen; at the end the counts must come out at exactly nothing.
func TestNodesConcurrent(t *testing.T) {
	type node struct{ id atomic.Uint64 }
	var nodes Nodes[node]
	nodes.t.last = math.MaxUint32 - 50
	var mu sync.Mutex
	var current [16]uint64 // the file system's own index: key -> nodeid
	given := map[uint64]bool{}
	lookup := func(key int) uint64 {
		mu.Lock()
		defer mu.Unlock()
		if id := current[key]; id != 0 && nodes.Ref(id) {
			return id
		}
		v := &node{}
		id, err := nodes.Add(v, 1)
		if err != nil || given[id] {
			t.Errorf("Add: %#x given before, %v", id, err)
		}
		given[id] = true
		v.id.Store(id)
		current[key] = id
		return id
	}
	var workers, wg sync.WaitGroup
	stop := make(chan struct{})
	var stale sync.Map
	for g := range 4 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			r := rand.New(rand.NewPCG(uint64(g), 2))
			held := map[uint64]uint64{}
			for range 30000 {
				id := lookup(r.IntN(len(current)))
				held[id]++
				v := nodes.Get(id)
				if v == nil || v.id.Load() != id {
					t.Errorf("Get(%#x) while held: %v", id, v)
					return
				}
				if r.IntN(3) == 0 || len(held) > 8 {
					for id, n := range held {
						if _, gone := nodes.Forget(id, n); gone {
							stale.Store(id, true)
						}
						delete(held, id)
						break
					}
				}
			}
			for id, n := range held {
				nodes.Forget(id, n)
			}
		}()
	}
	wg.Add(1)
	go func() { // stale ids, while slots are being reused
		defer wg.Done()
		for {
			stale.Range(func(k, _ any) bool {
				id := k.(uint64)
				if v := nodes.Get(id); v != nil {
					t.Errorf("Get(%#x), forgotten, is %#x", id, v.id.Load())
				}
				if nodes.Ref(id) {
					t.Errorf("Ref(%#x), forgotten", id)
				}
				select {
				case <-stop:
					return false
				default:
					return true
				}
			})
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	for range 200 {
		nodes.Each(func(id uint64, v *node) bool {
			// v.id is set after Add, before anybody else gets the id.
			if got := v.id.Load(); got != 0 && got != id {
				t.Errorf("Each: %#x is %#x", id, got)
			}
			return true
		})
	}
	workers.Wait()
	close(stop)
	wg.Wait()
	if nodes.Len() != 0 || nodes.OverForgets() != 0 {
		t.Errorf("%d nodes left, %d over-forgets", nodes.Len(), nodes.OverForgets())
	}
}

func TestNodesMemory(t *testing.T) {
	var s nodeSlot
	if unsafe.Sizeof(s) > 24 {
		t.Errorf("a slot takes %d bytes", unsafe.Sizeof(s))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := new(Nodes[int])
	v := 1
	const count = 1_000_000
	for range count {
		if _, err := n.Add(&v, 1); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := float64(after.HeapAlloc-before.HeapAlloc) / count; per > 32 {
		t.Errorf("%.1f bytes a node", per)
	}
	if n.Len() != count {
		t.Error(n.Len())
	}
	runtime.KeepAlive(n)
}

func BenchmarkNodesGet(b *testing.B) {
	var n Nodes[int]
	v := 1
	id, _ := n.Add(&v, 1)
	for b.Loop() {
		if n.Get(id) == nil {
			b.Fatal("gone")
		}
	}
}

func BenchmarkNodesRefForget(b *testing.B) {
	var n Nodes[int]
	v := 1
	id, _ := n.Add(&v, 1)
	for b.Loop() {
		n.Ref(id)
		n.Forget(id, 1)
	}
}
