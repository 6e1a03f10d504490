package ops

import "github.com/fusewire/fusewire/protocol"

// lockCalls: POSIX locks and flock.
func (t *Table) lockCalls(fs any) {
	if h, ok := fs.(Getlker); ok {
		t.set(protocol.OpGetlk, sizeLk, 0, func(r *Request) (int, error) {
			return 0, h.Getlk(r, r.LkIn(), out[protocol.LkOut](r))
		})
	}
	if h, ok := fs.(Setlker); ok {
		t.set(protocol.OpSetlk, 0, 0, func(r *Request) (int, error) { return 0, h.Setlk(r, r.LkIn()) })
	}
	if h, ok := fs.(Setlkwer); ok {
		t.set(protocol.OpSetlkw, 0, 0, func(r *Request) (int, error) { return 0, h.Setlkw(r, r.LkIn()) })
	}
}
