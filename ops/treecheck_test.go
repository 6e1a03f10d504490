package ops

import (
	"testing"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestTreeNonsense asks a Tree for what no kernel asks for: the file system
// behind it must not see it (anyDir and anyFile complain), and nothing panics.
func TestTreeNonsense(t *testing.T) {
	file := &anyFile{t: t, mode: unix.S_IFREG | 0o644, b: []byte("content")}
	root := &anyDir{t: t, m: map[string]Node{"f": file}}
	k := serve(t, NewTree(root), nil)
	e, body := k.call(protocol.OpLookup, 1, protocol.Request{Name: []byte("f")})
	if e != 0 {
		t.Fatal(e)
	}
	f := protocol.ViewOf[protocol.EntryOut](append([]byte(nil), body...)).Nodeid
	e, body = k.call(protocol.OpOpendir, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.OpenIn{})})
	if e != 0 {
		t.Fatal(e)
	}
	fh := protocol.ViewOf[protocol.OpenOut](append([]byte(nil), body...)).Fh
	const far = 1<<63 - 4
	for _, c := range []struct {
		what   string
		op     protocol.Opcode
		nodeid uint64
		r      protocol.Request
		want   unix.Errno
	}{
		{"READDIR of a file by a directory's handle", protocol.OpReaddir, f, protocol.Request{Arg: protocol.BytesOf(&protocol.ReadIn{Fh: fh, Size: 4096})}, unix.EBADF},
		{"OPEN of a directory", protocol.OpOpen, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.OpenIn{})}, unix.EISDIR},
		{"LOOKUP of ..", protocol.OpLookup, 1, protocol.Request{Name: []byte("..")}, unix.EINVAL},
		{"LOOKUP of a path", protocol.OpLookup, 1, protocol.Request{Name: []byte("d/f")}, unix.EINVAL},
		{"UNLINK of nothing", protocol.OpUnlink, 1, protocol.Request{Name: []byte{}}, unix.EINVAL},
		{"MKDIR of .", protocol.OpMkdir, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.MkdirIn{}), Name: []byte(".")}, unix.EINVAL},
		{"RENAME to a path", protocol.OpRename, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.RenameIn{Newdir: 1}), Name: []byte("f"), Name2: []byte("../f")}, unix.EINVAL},
		{"MKNOD of no type", protocol.OpMknod, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFMT}), Name: []byte("x")}, unix.EINVAL},
		{"MKNOD, the umask takes the type", protocol.OpMknod, 1, protocol.Request{Arg: protocol.BytesOf(&protocol.MknodIn{Mode: unix.S_IFIFO | 0o644, Umask: ^uint32(0)}), Name: []byte("y")}, 0},
		{"READ beyond all files", protocol.OpRead, f, protocol.Request{Arg: protocol.BytesOf(&protocol.ReadIn{Offset: far, Size: 4096})}, unix.EINVAL},
		{"READ at a negative offset", protocol.OpRead, f, protocol.Request{Arg: protocol.BytesOf(&protocol.ReadIn{Offset: 1 << 63, Size: 1})}, unix.EINVAL},
		{"WRITE beyond all files", protocol.OpWrite, f, protocol.Request{Arg: protocol.BytesOf(&protocol.WriteIn{Offset: far, Size: 5}), Data: []byte("12345")}, unix.EINVAL},
		{"a negative size", protocol.OpSetattr, f, protocol.Request{Arg: protocol.BytesOf(&protocol.SetattrIn{Valid: protocol.FattrSize, Size: 1<<64 - 1})}, unix.EINVAL},
	} {
		if e, _ := k.call(c.op, c.nodeid, c.r); e != c.want {
			t.Errorf("%s: %v, want %v", c.what, e, c.want)
		}
	}
	if n := k.c.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
}
