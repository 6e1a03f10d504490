package ops_test

import (
	"fmt"
	"strings"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// The file system: a directory with one file.

type dir struct{}

func (dir) Attr(a *protocol.Attr) error { a.Mode = unix.S_IFDIR | 0o755; return nil }
func (dir) List() ([]string, error)     { return []string{"hello"}, nil }
func (dir) Lookup(name string) (ops.Node, error) {
	if name == "hello" {
		return file("Hello, world!\n"), nil
	}
	return nil, unix.ENOENT
}

type file string

func (f file) Attr(a *protocol.Attr) error {
	a.Mode, a.Size = unix.S_IFREG|0o444, uint64(len(f))
	return nil
}

func (f file) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(string(f)).ReadAt(p, off)
}

// A mount would serve it with
//
//	m, err := conn.NewMount("/mnt", &conn.MountOptions{FSName: "hello"})
//	dev, err := conn.NewFuseDevice(m.FD())
//	err = conn.New(dev, nil).Serve(ops.New(ops.NewTree(dir{})))
//
// Here it is served on a socket, whose other end asks as the kernel does.
func Example() {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	dev, err := conn.NewFuseDevice(fds[0])
	unix.Close(fds[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- conn.New(dev, &conn.Options{}).Serve(ops.New(ops.NewTree(dir{}))) }()

	k := kernel{fd: fds[1]}
	k.ask(protocol.OpInit, 0, protocol.BytesOf(&protocol.InitIn{Major: 7, Minor: 45}))
	e := protocol.ViewOf[protocol.EntryOut](k.ask(protocol.OpLookup, protocol.RootID, []byte("hello\x00")))
	fmt.Printf("mode %o, %d bytes\n", e.Attr.Mode, e.Attr.Size)
	fmt.Printf("%s", k.ask(protocol.OpRead, e.Nodeid, protocol.BytesOf(&protocol.ReadIn{Size: 4096})))
	unix.Close(k.fd)
	fmt.Println(<-done)
	// Output:
	// mode 100444, 14 bytes
	// Hello, world!
	// <nil>
}

type kernel struct {
	fd     int
	unique uint64
}

// ask sends a request and returns what follows the header of its reply.
func (k *kernel) ask(op protocol.Opcode, nodeid uint64, body []byte) []byte {
	k.unique += 2
	h := protocol.InHeader{Len: uint32(40 + len(body)), Opcode: op, Unique: k.unique, Nodeid: nodeid}
	unix.Write(k.fd, append(protocol.BytesOf(&h), body...))
	b := make([]byte, 8192)
	n, _ := unix.Read(k.fd, b)
	return b[16:max(n, 16)]
}
