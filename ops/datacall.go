package ops

import (
	"math"

	"github.com/fusewire/fusewire/protocol"
)

// dataCalls: what is in files.
func (t *Table) dataCalls(fs any) {
	if h, ok := fs.(Reader); ok {
		t.set(protocol.OpRead, 0, 0, func(r *Request) (int, error) {
			in := r.ReadIn()
			return h.Read(r, in, r.room(in.Size))
		})
	}
	if h, ok := fs.(Writer); ok {
		t.set(protocol.OpWrite, sizeSmall, 0, func(r *Request) (int, error) {
			r.gives, r.limit = givesU32, len(r.Data)
			return h.Write(r, r.WriteIn(), r.Data)
		})
	}
	if h, ok := fs.(Fallocater); ok {
		t.set(protocol.OpFallocate, 0, 0, func(r *Request) (int, error) { return 0, h.Fallocate(r, r.FallocateIn()) })
	}
	if h, ok := fs.(Lseeker); ok {
		t.set(protocol.OpLseek, sizeSmall, 0, func(r *Request) (int, error) {
			return 0, h.Lseek(r, r.LseekIn(), out[protocol.LseekOut](r))
		})
	}
	if h, ok := fs.(CopyFileRanger); ok {
		copyRange := func(r *Request) (int, error) {
			in := r.CopyFileRangeIn()
			most := uint64(math.MaxInt - 0xfff)
			r.gives = givesU64
			if r.Header.Opcode == protocol.OpCopyFileRange {
				r.gives, most = givesU32, min(most, 0xfffff000)
			}
			if in.Len > most {
				// A shorter copy is no error, a result that cannot be said is.
				r.cfr = *in
				in = &r.cfr
				in.Len = most
			}
			r.limit = int(in.Len)
			n, err := h.CopyFileRange(r, in)
			return int(min(n, math.MaxInt)), err
		}
		t.set(protocol.OpCopyFileRange, sizeSmall, 0, copyRange)
		t.set(protocol.OpCopyFileRange64, sizeSmall, 0, copyRange)
	}
	if h, ok := fs.(Bmaper); ok {
		t.set(protocol.OpBmap, sizeSmall, 0, func(r *Request) (int, error) {
			return 0, h.Bmap(r, r.BmapIn(), out[protocol.BmapOut](r))
		})
	}
}
