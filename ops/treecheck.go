package ops

import (
	"math"

	"github.com/fusewire/fusewire/sg/unix"
)

// What Tree lets through to Nodes. The kernel sends nothing else; who is behind
// a socket might, and a Node is written without thinking of that.

// plainName returns name if it can be that of an entry: one component of a path,
// not "." or "..".
func plainName(name []byte) (string, error) {
	s := string(name)
	if s == "" || s == "." || s == ".." {
		return "", unix.EINVAL
	}
	for i := range len(s) {
		if s[i] == '/' || s[i] == 0 {
			return "", unix.EINVAL
		}
	}
	return s, nil
}

// offset returns off, if n bytes from there end at 1<<63-1 or before.
func offset(off uint64, n int) (int64, error) {
	if off > math.MaxInt64-uint64(n) {
		return 0, unix.EINVAL
	}
	return int64(off), nil
}

// newMode is the mode of a file to make: of type typ, or if that is 0 of what
// mknod(2) takes.
func newMode(typ, mode, umask uint32) (uint32, error) {
	if typ == 0 {
		typ = mode & unix.S_IFMT
	}
	switch typ {
	case 0:
		typ = unix.S_IFREG
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
	default:
		return 0, unix.EINVAL
	}
	return typ | mode&07777&^umask, nil
}
