package ops

import "github.com/fusewire/fusewire/protocol"

type open = protocol.OpenOut

// fileCalls: opening and closing.
func (t *Table) fileCalls(fs any) {
	if h, ok := fs.(Opener); ok {
		t.set(protocol.OpOpen, sizeOpen, holdsFile, func(r *Request) (int, error) {
			return 0, h.Open(r, r.OpenIn(), out[open](r))
		})
	}
	if h, ok := fs.(Creater); ok {
		t.set(protocol.OpCreate, sizeEntry+sizeOpen, holdsNode|holdsFile, func(r *Request) (int, error) {
			return 0, h.Create(r, r.CreateIn(), r.Name, out[entry](r), protocol.ViewOf[open](r.Out()[sizeEntry:]))
		})
	}
	if h, ok := fs.(Tmpfiler); ok {
		t.set(protocol.OpTmpfile, sizeEntry+sizeOpen, holdsNode|holdsFile, func(r *Request) (int, error) {
			return 0, h.Tmpfile(r, r.CreateIn(), out[entry](r), protocol.ViewOf[open](r.Out()[sizeEntry:]))
		})
	}
	if h, ok := fs.(Flusher); ok {
		t.set(protocol.OpFlush, 0, 0, func(r *Request) (int, error) { return 0, h.Flush(r, r.FlushIn()) })
	}
	// Nobody is told of a RELEASE's error, so without a handler it succeeds.
	release := succeed
	if h, ok := fs.(Releaser); ok {
		release = func(r *Request) (int, error) { return 0, h.Release(r, r.ReleaseIn()) }
	}
	t.set(protocol.OpRelease, 0, 0, release)
	if h, ok := fs.(Fsyncer); ok {
		t.set(protocol.OpFsync, 0, 0, func(r *Request) (int, error) { return 0, h.Fsync(r, r.FsyncIn()) })
	}
}
