package ops

import "github.com/fusewire/fusewire/protocol"

// miscCalls: device-like operations, DAX, the end.
func (t *Table) miscCalls(fs any) {
	if h, ok := fs.(Ioctler); ok {
		t.set(protocol.OpIoctl, sizeIoctl, 0, func(r *Request) (int, error) {
			in := r.IoctlIn()
			return h.Ioctl(r, in, r.Data, r.room(in.OutSize), out[protocol.IoctlOut](r))
		})
	}
	if h, ok := fs.(Poller); ok {
		t.set(protocol.OpPoll, sizeSmall, 0, func(r *Request) (int, error) {
			return 0, h.Poll(r, r.PollIn(), out[protocol.PollOut](r))
		})
	}
	if h, ok := fs.(Setupmapper); ok {
		t.set(protocol.OpSetupmapping, 0, 0, func(r *Request) (int, error) {
			return 0, h.Setupmapping(r, r.SetupmappingIn())
		})
	}
	if h, ok := fs.(Removemapper); ok {
		t.set(protocol.OpRemovemapping, 0, 0, func(r *Request) (int, error) {
			return 0, h.Removemapping(r, r.RemovemappingIn())
		})
	}
	destroy := succeed
	if h, ok := fs.(Destroyer); ok {
		destroy = func(r *Request) (int, error) { h.Destroy(r); return 0, nil }
	}
	t.set(protocol.OpDestroy, 0, 0, destroy)
}
