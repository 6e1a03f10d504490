package vm

import (
	"bytes"
	"fmt"
)

// archive is an initramfs: cpio in the format "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	b   bytes.Buffer
	ino int
}

// Modes of entries.
const (
	cpioDir  = 0o040755
	cpioFile = 0o100755
)

func (a *archive) add(name string, mode uint32, data []byte) {
	a.ino++
	nlink, mtime, rdev := 1, 0, 0
	fmt.Fprintf(&a.b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.ino, mode, 0, 0, nlink, mtime, len(data), 0, 0, rdev, rdev, len(name)+1, 0)
	a.b.WriteString(name)
	a.b.WriteByte(0)
	a.pad()
	a.b.Write(data)
	a.pad()
}

// pad fills up to a multiple of four.
func (a *archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

func (a *archive) bytes() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.b.Bytes()
}
