package ops

import "unsafe"

// This is the only file of the package that uses unsafe. The table behind Nodes
// deals in *object, so that its code is there once, and not for each kind of
// object anew (10 to 20 KB of a program). Soundness: a *object is made from a *T
// only here, of a Nodes[T], and only a Nodes[T] turns it back, always into *T;
// its target is never looked at in between, and a pointer of any type keeps what
// it points to alive.

// object stands for a T.
type object struct{ _ byte }

// Nodes is a table from nodeid to a file system's own object, with the number
// of lookups the kernel holds. A nodeid is a slot's index (low 32 bits) and how
// often the slot has been used before (high 32 bits), so none is ever given
// twice and a stale or made-up one is recognised; a slot whose use count is
// spent is given up. The root is nodeid 1.
//
// Get and Ref take no lock; Add and a Forget that removes take one for a few
// instructions. Slots come in chunks that never move: 24 bytes for each node
// that was alive at the same time, 20 on 32-bit. The zero Nodes is empty and
// ready; it must not be copied.
type Nodes[T any] struct {
	t nodeTable
	_ [0]*T
}

// SetRoot sets the object of nodeid 1, which is not counted and not forgotten.
func (t *Nodes[T]) SetRoot(v *T) { t.t.root.Store((*object)(unsafe.Pointer(v))) }

// Add enters v as a new node with nlookup (at least 1) lookups and returns its
// nodeid. unix.ENFILE: 2^32 slots are in use or spent.
func (t *Nodes[T]) Add(v *T, nlookup uint64) (nodeid uint64, err error) {
	return t.t.add((*object)(unsafe.Pointer(v)), nlookup)
}

// Get returns the object of nodeid, nil if there is none (any more).
func (t *Nodes[T]) Get(nodeid uint64) *T { return (*T)(unsafe.Pointer(t.t.get(nodeid))) }

// Ref counts one more lookup of nodeid. False: it is not there, or has been
// forgotten meanwhile, and the caller must Add anew.
func (t *Nodes[T]) Ref(nodeid uint64) bool { return t.t.ref(nodeid) }

// Forget takes back nlookup lookups of nodeid. If none is left, the node is
// removed: gone is true and v is its object, for the caller to free. v is nil
// if nodeid is unknown. More than was counted is taken as all there was, and
// noted in OverForgets.
func (t *Nodes[T]) Forget(nodeid, nlookup uint64) (v *T, gone bool) {
	o, gone := t.t.forget(nodeid, nlookup)
	return (*T)(unsafe.Pointer(o)), gone
}

// Len returns the number of nodes, the root not counted.
func (t *Nodes[T]) Len() int { return int(t.t.live.Load()) }

// OverForgets returns how many Forgets were for a node unknown or for more
// lookups than were counted: 0 unless somebody's accounting is wrong.
func (t *Nodes[T]) OverForgets() uint64 { return t.t.over.Load() }

// Each calls f for each node, the root not included, until f returns false.
// Nodes added or removed meanwhile may be seen or not. f may call any method.
func (t *Nodes[T]) Each(f func(nodeid uint64, v *T) bool) {
	t.t.each(func(nodeid uint64, o *object) bool { return f(nodeid, (*T)(unsafe.Pointer(o))) })
}
