package wb

import "sync"

// mutex is a sync.Mutex whose methods stay calls: inlined where they are used, they
// would be some KB of a program.
type mutex struct {
	_ [0]func() // not comparable: no code for it
	m sync.Mutex
}

//go:noinline
func (m *mutex) Lock() { m.m.Lock() }

//go:noinline
func (m *mutex) Unlock() { m.m.Unlock() }
