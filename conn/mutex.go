package conn

import "sync"

// mutex is a sync.Mutex whose methods stay calls: inlined where they are used,
// a hundred times, they would be 3 KB of a program.
// What has one is not comparable, which no code is needed for either.
type mutex struct {
	_ [0]func()
	m sync.Mutex
}

//go:noinline
func (m *mutex) Lock() { m.m.Lock() }

//go:noinline
func (m *mutex) Unlock() { m.m.Unlock() }

// hold locks m and returns what unlocks it, for defer m.hold()(). The usual
// defer m.Unlock() would be a function of 160 bytes each time.
func (m *mutex) hold() func() {
	m.Lock()
	return m.Unlock
}
