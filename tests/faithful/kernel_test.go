package faithful

import (
	"fmt"
	"strings"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// imitation runs operations on conntest.
type imitation struct {
	k      *conntest.Kernel
	c      *conntest.Client
	files  [slots]*conntest.File
	dirs   [slots]*conntest.File
	notify func(kind, path string) error
}

// result is what an operation returns, as text.
func result(err error, format string, arg ...any) string {
	if err != nil {
		if e, ok := err.(unix.Errno); ok {
			return unix.ErrnoName(e)
		}
		return err.Error()
	}
	return fmt.Sprintf(format, arg...)
}

// pattern is what op number i writes.
func pattern(i, n int) []byte {
	b := make([]byte, n)
	x := uint32(i)*2654435761 + 1
	for j := range b {
		x = x*1664525 + 1013904223
		b[j] = byte(x >> 24)
	}
	return b
}

func attrText(a *protocol.Attr) string {
	s := fmt.Sprintf("ino=%d mode=%#o nlink=%d uid=%d gid=%d", a.Ino, a.Mode, a.Nlink, a.Uid, a.Gid)
	if a.Mode&unix.S_IFMT != unix.S_IFDIR {
		s += fmt.Sprintf(" size=%d", a.Size)
	}
	return s + " mtime=" + when(a.Mtime, a.Mtimensec)
}

const closed = "closed"

func (s *imitation) do(i int, o *op) string {
	c := s.c
	f, d := s.files[o.Slot], s.dirs[o.Slot]
	switch o.Kind {
	case "mkdir":
		return result(c.Mkdir(o.A, o.Mode), "0")
	case "rmdir":
		return result(c.Rmdir(o.A), "0")
	case "unlink":
		return result(c.Unlink(o.A), "0")
	case "rename":
		return result(c.Rename(o.A, o.B, uint32(o.Flags)), "0")
	case "symlink":
		return result(c.Symlink(o.A, o.B), "0")
	case "link":
		return result(c.Link(o.A, o.B), "0")
	case "mknod":
		return result(c.Mknod(o.A, o.Mode, uint32(o.N)), "0")
	case "readlink":
		t, err := c.Readlink(o.A)
		return result(err, "%q", t)
	case "chmod":
		return result(c.Chmod(o.A, o.Mode), "0")
	case "chown":
		return result(c.Chown(o.A, uint32(o.N), uint32(o.Flags)), "0")
	case "utimes":
		return result(c.Utimes(o.A, o.Off*1e9, int64(o.N)*1e9), "0")
	case "truncate":
		return result(c.Truncate(o.A, uint64(o.Off)), "0")
	case "stat":
		a, err := c.Stat(o.A)
		return result(err, "%s", attrText(&a))
	case "lstat":
		a, err := c.Lstat(o.A)
		return result(err, "%s", attrText(&a))
	case "setxattr":
		return result(c.Setxattr(o.A, o.B, pattern(i, o.N), uint32(o.Flags)), "0")
	case "removexattr":
		return result(c.Removexattr(o.A, o.B), "0")
	case "getxattr":
		if o.N == 0 {
			n, err := c.GetxattrSize(o.A, o.B)
			return result(err, "%d", n)
		}
		b, err := c.Getxattr(o.A, o.B, o.N)
		return result(err, "%d %08x", len(b), sum(b))
	case "listxattr":
		l, err := c.Listxattr(o.A, o.N)
		if o.N == 0 {
			return result(err, "size")
		}
		return result(err, "%s", strings.Join(l, " "))
	case "open":
		if f != nil {
			return "open"
		}
		f, err := c.Open(o.A, o.Flags|unix.O_CLOEXEC, o.Mode)
		if err == nil {
			s.files[o.Slot] = f
		}
		return result(err, "0")
	case "opendir":
		if d != nil {
			return "open"
		}
		d, err := c.Open(o.A, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			s.dirs[o.Slot] = d
		}
		return result(err, "0")
	case "inval-entry", "inval-inode", "expire-entry":
		return result(s.notify(o.Kind, o.A), "0")
	case "list":
		l, err := c.List(o.A)
		var names []string
		for _, e := range l {
			names = append(names, e.Name)
		}
		return result(err, "%s", strings.Join(names, " "))
	}
	if d != nil {
		switch o.Kind {
		case "getdents":
			l, err := d.ReadDir(o.N)
			var b strings.Builder
			for _, e := range l {
				fmt.Fprintf(&b, " %s:%d:%d:%d", e.Name, e.Ino, e.Type, e.Off)
			}
			return result(err, "%s", b.String())
		case "seekdir":
			d.SeekDir(uint64(o.Off))
			return "0"
		case "fsyncdir":
			return result(d.Fsync(false), "0")
		case "closedir":
			s.dirs[o.Slot] = nil
			return result(d.Close(), "0")
		}
	}
	if f == nil {
		return closed
	}
	switch o.Kind {
	case "close":
		s.files[o.Slot] = nil
		return result(f.Close(), "0")
	case "read":
		b := make([]byte, o.N)
		n, err := f.Read(b)
		return result(err, "%d %08x", n, sum(b[:n]))
	case "pread":
		b := make([]byte, o.N)
		n, err := f.ReadAt(b, o.Off)
		return result(err, "%d %08x", n, sum(b[:n]))
	case "write":
		n, err := f.Write(pattern(i, o.N))
		return result(err, "%d", n)
	case "pwrite":
		n, err := f.WriteAt(pattern(i, o.N), o.Off)
		return result(err, "%d", n)
	case "seek":
		f.SeekTo(o.Off)
		return "0"
	case "ftruncate":
		return result(f.Truncate(uint64(o.Off)), "0")
	case "fstat":
		a, err := f.Stat()
		return result(err, "%s", attrText(&a))
	case "fsync":
		return result(f.Fsync(o.Flags != 0), "0")
	}
	return closed
}
