package ops

import "github.com/fusewire/fusewire/protocol"

// Sizes of reply structs. Those before 7.9 were shorter; conn serves from 7.12.
const (
	sizeEntry  = 128
	sizeAttr   = 104
	sizeOpen   = 16
	sizeStatfs = 80
	sizeStatx  = 288
	sizeLk     = 24
	sizeIoctl  = 16
	sizeSmall  = 8 // write_out, getxattr_out, lseek_out, bmap_out, poll_out, copy_file_range_out
)

type entry = protocol.EntryOut

// entryCalls: names, and what they lead to.
func (t *Table) entryCalls(fs any) {
	if h, ok := fs.(Lookuper); ok {
		t.set(protocol.OpLookup, sizeEntry, holdsNode, func(r *Request) (int, error) {
			return 0, h.Lookup(r, r.Name, out[entry](r))
		})
	}
	if h, ok := fs.(Symlinker); ok {
		t.set(protocol.OpSymlink, sizeEntry, holdsNode, func(r *Request) (int, error) {
			return 0, h.Symlink(r, r.Name, r.Name2, out[entry](r))
		})
	}
	if h, ok := fs.(Mknoder); ok {
		t.set(protocol.OpMknod, sizeEntry, holdsNode, func(r *Request) (int, error) {
			return 0, h.Mknod(r, r.MknodIn(), r.Name, out[entry](r))
		})
	}
	if h, ok := fs.(Mkdirer); ok {
		t.set(protocol.OpMkdir, sizeEntry, holdsNode, func(r *Request) (int, error) {
			return 0, h.Mkdir(r, r.MkdirIn(), r.Name, out[entry](r))
		})
	}
	if h, ok := fs.(Linker); ok {
		t.set(protocol.OpLink, sizeEntry, holdsNode, func(r *Request) (int, error) {
			return 0, h.Link(r, r.LinkIn().Oldnodeid, r.Name, out[entry](r))
		})
	}
	if h, ok := fs.(Unlinker); ok {
		t.set(protocol.OpUnlink, 0, 0, func(r *Request) (int, error) { return 0, h.Unlink(r, r.Name) })
	}
	if h, ok := fs.(Rmdirer); ok {
		t.set(protocol.OpRmdir, 0, 0, func(r *Request) (int, error) { return 0, h.Rmdir(r, r.Name) })
	}
	if h, ok := fs.(Renamer); ok {
		t.set(protocol.OpRename, 0, 0, func(r *Request) (int, error) {
			return 0, h.Rename(r, r.RenameIn().Newdir, r.Name, r.Name2, 0)
		})
		t.set(protocol.OpRename2, 0, 0, func(r *Request) (int, error) {
			in := r.Rename2In()
			return 0, h.Rename(r, in.Newdir, r.Name, r.Name2, in.Flags)
		})
	}
}
