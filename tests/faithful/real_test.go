package faithful

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// reality runs operations by system calls, relative to a descriptor of the
// mount's root that asks the server for nothing.
type reality struct {
	root      int
	readahead bool       // as the kernel likes; else what is asked for alone is read
	files     [slots]int // 0: closed
	dirs      [slots]int
	notify    func(kind, path string) error
}

func rel(path string) string { return "." + path }

func (s *reality) stat(fd int, path string, flags int) string {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, path, &st, flags); err != nil {
		return result(err, "")
	}
	a := protocol.Attr{Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink), Uid: st.Uid, Gid: st.Gid,
		Size: uint64(st.Size), Mtime: uint64(st.Mtim.Sec), Mtimensec: uint32(st.Mtim.Nsec)}
	return attrText(&a)
}

// aligned returns memory that direct I/O takes.
func aligned(n int) []byte {
	b := make([]byte, n+4096)
	off := -int(uintptr(unsafe.Pointer(&b[0]))) & 4095
	return b[off : off+n : off+n]
}

// barrier sends the STATFSs that end an operation's requests.
func (s *reality) barrier() error {
	var st unix.Statfs_t
	for range barrier {
		if err := unix.Fstatfs(s.root, &st); err != nil {
			return err
		}
	}
	return nil
}

func (s *reality) do(i int, o *op) string {
	f, d := s.files[o.Slot], s.dirs[o.Slot]
	switch o.Kind {
	case "mkdir":
		return result(unix.Mkdirat(s.root, rel(o.A), o.Mode), "0")
	case "rmdir":
		return result(unix.Unlinkat(s.root, rel(o.A), unix.AT_REMOVEDIR), "0")
	case "unlink":
		return result(unix.Unlinkat(s.root, rel(o.A), 0), "0")
	case "rename":
		return result(unix.Renameat2(s.root, rel(o.A), s.root, rel(o.B), uint(o.Flags)), "0")
	case "symlink":
		return result(unix.Symlinkat(o.A, s.root, rel(o.B)), "0")
	case "link":
		return result(unix.Linkat(s.root, rel(o.A), s.root, rel(o.B), 0), "0")
	case "mknod":
		return result(unix.Mknodat(s.root, rel(o.A), o.Mode, o.N), "0")
	case "readlink":
		b := make([]byte, 4096)
		n, err := unix.Readlinkat(s.root, rel(o.A), b)
		return result(err, "%q", b[:max(n, 0)])
	case "chmod":
		return result(unix.Fchmodat(s.root, rel(o.A), o.Mode, 0), "0")
	case "chown":
		return result(unix.Fchownat(s.root, rel(o.A), o.N, o.Flags, unix.AT_SYMLINK_NOFOLLOW), "0")
	case "utimes":
		ts := []unix.Timespec{{Sec: o.Off}, {Sec: int64(o.N)}}
		return result(unix.UtimesNanoAt(s.root, rel(o.A), ts, unix.AT_SYMLINK_NOFOLLOW), "0")
	case "truncate":
		return result(unix.Truncate(rel(o.A), o.Off), "0")
	case "stat":
		return s.stat(s.root, rel(o.A), 0)
	case "lstat":
		return s.stat(s.root, rel(o.A), unix.AT_SYMLINK_NOFOLLOW)
	case "setxattr":
		return result(unix.Lsetxattr(rel(o.A), o.B, pattern(i, o.N), o.Flags), "0")
	case "removexattr":
		return result(unix.Lremovexattr(rel(o.A), o.B), "0")
	case "getxattr":
		b := make([]byte, o.N)
		n, err := unix.Lgetxattr(rel(o.A), o.B, b)
		if o.N == 0 {
			return result(err, "%d", n)
		}
		return result(err, "%d %08x", n, sum(b[:max(n, 0)]))
	case "listxattr":
		b := make([]byte, o.N)
		n, err := unix.Llistxattr(rel(o.A), b)
		if o.N == 0 {
			return result(err, "size")
		}
		return result(err, "%s", strings.ReplaceAll(strings.TrimSuffix(string(b[:max(n, 0)]), "\x00"), "\x00", " "))
	case "open":
		if f != 0 {
			return "open"
		}
		fd, err := unix.Openat(s.root, rel(o.A), o.Flags|unix.O_CLOEXEC, o.Mode)
		if err == nil && !s.readahead {
			err = unix.Fadvise(fd, 0, 0, unix.FADV_RANDOM)
		}
		if err == nil {
			s.files[o.Slot] = fd
		}
		return result(err, "0")
	case "opendir":
		if d != 0 {
			return "open"
		}
		fd, err := unix.Openat(s.root, rel(o.A), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			s.dirs[o.Slot] = fd
		}
		return result(err, "0")
	case "inval-entry", "inval-inode", "expire-entry":
		return result(s.notify(o.Kind, o.A), "0")
	case "list":
		return s.list(rel(o.A))
	}
	if d != 0 {
		switch o.Kind {
		case "getdents":
			text, _, err := getdents(d, o.N)
			return result(err, "%s", text)
		case "seekdir":
			_, err := unix.Seek(d, o.Off, unix.SEEK_SET)
			return result(err, "0")
		case "fsyncdir":
			return result(unix.Fsync(d), "0")
		case "closedir":
			s.dirs[o.Slot] = 0
			return result(unix.Close(d), "0")
		}
	}
	if f == 0 {
		return closed
	}
	switch o.Kind {
	case "close":
		s.files[o.Slot] = 0
		return result(unix.Close(f), "0")
	case "read":
		b := aligned(o.N)
		n, err := unix.Read(f, b)
		return result(err, "%d %08x", n, sum(b[:max(n, 0)]))
	case "pread":
		b := aligned(o.N)
		n, err := unix.Pread(f, b, o.Off)
		return result(err, "%d %08x", n, sum(b[:max(n, 0)]))
	case "write":
		b := aligned(o.N)
		copy(b, pattern(i, o.N))
		n, err := unix.Write(f, b)
		return result(err, "%d", n)
	case "pwrite":
		b := aligned(o.N)
		copy(b, pattern(i, o.N))
		n, err := unix.Pwrite(f, b, o.Off)
		return result(err, "%d", n)
	case "seek":
		_, err := unix.Seek(f, o.Off, unix.SEEK_SET)
		return result(err, "0")
	case "ftruncate":
		return result(unix.Ftruncate(f, o.Off), "0")
	case "fstat":
		return s.stat(f, "", unix.AT_EMPTY_PATH)
	case "fsync":
		if o.Flags != 0 {
			return result(unix.Fdatasync(f), "0")
		}
		return result(unix.Fsync(f), "0")
	}
	return closed
}

// list reads a directory as conntest.Client.List does.
func (s *reality) list(path string) string {
	fd, err := unix.Openat(s.root, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return result(err, "")
	}
	defer unix.Close(fd)
	var all []string
	for {
		_, names, err := getdents(fd, 4096)
		if err != nil || len(names) == 0 {
			return result(err, "%s", strings.Join(all, " "))
		}
		for _, n := range names {
			if n != "." && n != ".." {
				all = append(all, n)
			}
		}
	}
}

// getdents is one getdents64(2).
func getdents(fd, size int) (text string, names []string, err error) {
	b := make([]byte, size)
	n, err := unix.Getdents(fd, b)
	if err != nil {
		return "", nil, err
	}
	var out strings.Builder
	for b = b[:n]; len(b) > 0; {
		e := binary.NativeEndian
		ino, off, l, typ := e.Uint64(b), e.Uint64(b[8:]), e.Uint16(b[16:]), b[18]
		name := string(b[19 : 19+bytes.IndexByte(b[19:l], 0)])
		fmt.Fprintf(&out, " %s:%d:%d:%d", name, ino, typ, off)
		names = append(names, name)
		b = b[l:]
	}
	return out.String(), names, nil
}
