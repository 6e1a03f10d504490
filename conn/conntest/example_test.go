package conntest_test

import (
	"fmt"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// The file system: a directory with one file, "shout", which answers in capitals.

type root struct{}

func (root) Attr(a *protocol.Attr) error { a.Mode = unix.S_IFDIR | 0o755; return nil }
func (root) List() ([]string, error)     { return []string{"shout"}, nil }
func (root) Lookup(name string) (ops.Node, error) {
	if name == "shout" {
		return shout{}, nil
	}
	return nil, unix.ENOENT
}

type shout struct{}

const text = "HELLO\n"

func (shout) Attr(a *protocol.Attr) error {
	a.Mode, a.Size = unix.S_IFREG|0o444, uint64(len(text))
	return nil
}

func (shout) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(text)) {
		return 0, nil
	}
	return copy(p, text[off:]), nil
}

// The test.
func Example() {
	k, err := conntest.New(ops.New(ops.NewTree(root{})), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	c := k.Process(1000, 1000)
	list, err := c.List("/")
	fmt.Println(len(list), list[0].Name, err)
	f, err := c.Open("/shout", unix.O_RDONLY, 0)
	if err == nil {
		b := make([]byte, 100)
		n, err := f.Read(b)
		fmt.Printf("%q %v\n", b[:n], err)
		fmt.Println(f.Close())
	}
	_, err = c.Stat("/whisper")
	fmt.Println(err)
	fmt.Println("violations:", k.Unmount())
	// Output:
	// 1 shout <nil>
	// "HELLO\n" <nil>
	// <nil>
	// no such file or directory
	// violations: <nil>
}
