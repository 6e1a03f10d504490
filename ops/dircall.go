package ops

import "github.com/fusewire/fusewire/protocol"

// dirCalls: directories as handles.
func (t *Table) dirCalls(fs any) {
	if h, ok := fs.(Opendirer); ok {
		t.set(protocol.OpOpendir, sizeOpen, holdsFile|holdsDir, func(r *Request) (int, error) {
			return 0, h.Opendir(r, r.OpenIn(), out[open](r))
		})
	}
	if h, ok := fs.(Readdirer); ok {
		t.set(protocol.OpReaddir, 0, 0, func(r *Request) (int, error) {
			in := r.ReadIn()
			return 0, h.Readdir(r, in, r.dirBuf(in.Size, false))
		})
	}
	if h, ok := fs.(Readdirpluser); ok {
		t.set(protocol.OpReaddirplus, 0, holdsEntries, func(r *Request) (int, error) {
			in := r.ReadIn()
			return 0, h.Readdirplus(r, in, r.dirBuf(in.Size, true))
		})
	}
	release := succeed
	if h, ok := fs.(Releasedirer); ok {
		release = func(r *Request) (int, error) { return 0, h.Releasedir(r, r.ReleaseIn()) }
	}
	t.set(protocol.OpReleasedir, 0, 0, release)
	if h, ok := fs.(Fsyncdirer); ok {
		t.set(protocol.OpFsyncdir, 0, 0, func(r *Request) (int, error) { return 0, h.Fsyncdir(r, r.FsyncIn()) })
	}
}

func (r *Request) dirBuf(size uint32, plus bool) *DirBuf {
	r.gives = givesEntries
	r.dir = DirBuf{b: r.room(size), plus: plus, lost: r.t}
	return &r.dir
}
