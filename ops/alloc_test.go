//go:build !race

package ops

import (
	"testing"

	"github.com/fusewire/fusewire/protocol"
)

// nothing is a file system that does nothing, fast.
type nothing struct{}

func (nothing) Lookup(r *Request, name []byte, out *protocol.EntryOut) error {
	out.Nodeid = 2
	return nil
}
func (nothing) Forget(nodeid, nlookup uint64)                                           {}
func (nothing) Getattr(r *Request, in *protocol.GetattrIn, out *protocol.AttrOut) error { return nil }
func (nothing) Read(r *Request, in *protocol.ReadIn, dst []byte) (int, error)           { return len(dst), nil }
func (nothing) Write(r *Request, in *protocol.WriteIn, data []byte) (int, error) {
	return len(data), nil
}
func (nothing) Open(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error { return nil }
func (nothing) CopyFileRange(r *Request, in *protocol.CopyFileRangeIn) (uint64, error) {
	return in.Len, nil
}
func (nothing) Getxattr(r *Request, name, dst []byte) (int, error) { return len(dst), nil }
func (nothing) Readdirplus(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	e := protocol.EntryOut{Nodeid: 3}
	for d.AddPlus(&e, 1, 0, nameX) {
	}
	return nil
}

var nameX = []byte("x")

// The whole way of a request, from the socket to the reply on it, allocates
// nothing; this end of the test does not either.
func TestNoAllocs(t *testing.T) {
	k := serve(t, nothing{}, nil)
	data := make([]byte, 4096)
	for _, c := range []struct {
		op  protocol.Opcode
		req rq
		n   int
	}{
		{protocol.OpLookup, rq{Name: nameX}, 128},
		{protocol.OpGetattr, rq{Arg: arg(protocol.GetattrIn{})}, 104},
		{protocol.OpRead, rq{Arg: arg(protocol.ReadIn{Size: 4096})}, 4096},
		{protocol.OpWrite, rq{Arg: arg(protocol.WriteIn{Size: 4096}), Data: data}, 8},
		{protocol.OpOpen, rq{Arg: arg(protocol.OpenIn{})}, 16},
		{protocol.OpCopyFileRange, rq{Arg: arg(protocol.CopyFileRangeIn{Len: 1 << 50})}, 8},
		{protocol.OpGetxattr, rq{Arg: arg(protocol.GetxattrIn{Size: 9}), Name: nameX}, 9},
		{protocol.OpReaddirplus, rq{Arg: arg(protocol.ReadIn{Size: 4096})}, 4000},
	} {
		got := testing.AllocsPerRun(500, func() {
			want := k.send(c.op, 1, c.req)
			if u, e, b := k.recv(); u != want || e != 0 || len(b) != c.n {
				t.Fatalf("%v: %d %v, %d bytes", c.op, u, e, len(b))
			}
		})
		if got != 0 {
			t.Errorf("%v: %v allocations a request", c.op, got)
		}
	}
}

func BenchmarkGetattr(b *testing.B) {
	k := serve(b, nothing{}, nil)
	req := rq{Arg: arg(protocol.GetattrIn{})}
	b.ReportAllocs()
	for b.Loop() {
		k.send(protocol.OpGetattr, 1, req)
		k.recv()
	}
}
