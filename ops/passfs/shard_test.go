package passfs

import (
	"math/rand/v2"
	"testing"
)

// TestShard compares a shard with a map.
func TestShard(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s shard
	want := map[key]*inode{}
	for range 20000 {
		k := key{dev: uint64(rng.IntN(2)), ino: uint64(rng.IntN(500)), bnsec: uint64(rng.IntN(2))}
		switch i := want[k]; {
		case rng.IntN(3) > 0:
			n := &inode{key: k} // also in place of one that is there
			s.put(n)
			want[k] = n
			if i != nil {
				s.remove(i) // has lost its place: nothing happens
			}
		case i != nil:
			s.remove(i)
			delete(want, k)
		}
		if s.get(&k) != want[k] || s.n != len(want) {
			t.Fatalf("%v: %p of %d, want %p of %d", k, s.get(&k), s.n, want[k], len(want))
		}
	}
	n := 0
	for _, i := range s.rows {
		for ; i != nil; i = i.chain {
			if want[i.key] != i {
				t.Errorf("%v is in it", i.key)
			}
			n++
		}
	}
	if n != len(want) {
		t.Errorf("%d inodes, want %d", n, len(want))
	}
}

func TestNameSlot(t *testing.T) {
	g := new(nameGuess)
	name := make([]byte, 3)
	for i := range 1 << 20 {
		name[0], name[1], name[2] = byte(i), byte(i>>8), byte(i>>16)
		s := nameSlot(uint64(i%7), name)
		if s == 0 || s >= nameSlots {
			t.Fatal(s)
		}
		g.set(s)
		if !g.has(s) {
			t.Fatal(s)
		}
		g.clear(s)
		if g.has(s) {
			t.Fatal(s)
		}
	}
	g.clear(0)
	if nameSlot(1, []byte("a")) == nameSlot(2, []byte("a")) {
		t.Error("the directory does not matter")
	}
}
