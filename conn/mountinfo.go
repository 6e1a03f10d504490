package conn

import (
	"strconv"
	"strings"

	"github.com/fusewire/fusewire/sg/unix"
)

// mountInfo is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)), the
// kernel's own answer to "what is mounted where". Reading it never asks a file
// system anything but its option string, which FUSE prints from memory
// (fs/fuse/inode.c: fuse_show_options), so a server may look itself up in it.
type mountInfo struct {
	id     int    // mount id; reused only after the mount is gone
	parent int    // mount id of the mount this one lies on
	dev    uint64 // st_dev of the super block, as unix.Mkdev makes it
	root   string // directory of the file system that is the root of the mount
	point  string // where it is, seen from this process's root
	fstype string // "fuse", "fuse.SUBTYPE", ...
}

// readMountinfo returns all mounts of this process's mount namespace that are
// reachable from its root.
func readMountinfo() ([]mountInfo, error) {
	b, err := readFile("/proc/self/mountinfo")
	if err != nil {
		return nil, &Error{Op: "read", Path: "/proc/self/mountinfo", Err: err}
	}
	return parseMountinfo(b), nil
}

// parseMountinfo parses whole lines. Lines it cannot understand are left out:
// a format the kernel may extend must not make a mount impossible.
func parseMountinfo(b []byte) []mountInfo {
	list := make([]mountInfo, 0, 32)
	for s := string(b); s != ""; {
		var line string
		line, s, _ = cut(s, '\n')
		if m, ok := parseMountLine(line); ok {
			list = append(list, m)
		}
	}
	return list
}

// parseMountLine parses
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
//	id parent dev root point options tags... - fstype source super-options
func parseMountLine(line string) (m mountInfo, ok bool) {
	var f [5]string
	for i := range f {
		f[i], line, ok = cut(line, ' ')
		if !ok {
			return m, false
		}
	}
	// options and any number of tags end with a lone hyphen
	for tag := ""; tag != "-"; {
		tag, line, ok = cut(line, ' ')
		if !ok {
			return m, false
		}
	}
	fstype, _, _ := cut(line, ' ')
	major, minor, _ := cut(f[2], ':')
	id, ok1 := number(f[0])
	parent, ok2 := number(f[1])
	maj, ok3 := number(major)
	mnr, ok4 := number(minor)
	if !ok1 || !ok2 || !ok3 || !ok4 || fstype == "" {
		return m, false
	}
	return mountInfo{
		id: id, parent: parent, dev: unix.Mkdev(uint32(maj), uint32(mnr)),
		root: unescape(f[3]), point: unescape(f[4]), fstype: unescape(fstype),
	}, true
}

// unescape undoes the kernel's \ooo for space, tab, newline, backslash and '#'
// (fs/proc_namespace.c: mangle).
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && octal(s[i+1]) && octal(s[i+2]) && octal(s[i+3]) {
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

func (m *mountInfo) fuse() bool {
	return m.fstype == "fuse" || m.fstype == "fuseblk" || strings.HasPrefix(m.fstype, "fuse.")
}

func mountByID(list []mountInfo, id int) *mountInfo {
	for i := range list {
		if list[i].id == id {
			return &list[i]
		}
	}
	return nil
}

// within reports whether path is dir or lies below it. Both are absolute and
// clean. It and join stay calls: they are many.
//
//go:noinline
func within(path, dir string) bool {
	if dir == "/" || path == dir {
		return true
	}
	return len(path) > len(dir) && path[len(dir)] == '/' && path[:len(dir)] == dir
}

// join puts what follows dir in path below root: where path is inside a file
// system whose directory root is mounted on dir.
//
//go:noinline
func join(root, path, dir string) string {
	rest := path
	if dir != "/" {
		rest = path[len(dir):]
	}
	if rest == "" || rest == "/" {
		return root
	}
	if root == "/" {
		return rest
	}
	return root + rest
}

// fdinfo returns the number after key in /proc/self/fdinfo/FD, -1 if the kernel
// does not print it: mnt_id since 3.15, fuse_connection since 6.17.
func fdinfo(fd int, key string) int {
	b, err := readFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return -1
	}
	for s := string(b); s != ""; {
		var line string
		line, s, _ = cut(s, '\n')
		name, v, _ := cut(line, ':')
		if n, ok := number(trim(v)); ok && name == key {
			return n
		}
	}
	return -1
}

// readFile reads a file of procfs whole.
func readFile(name string) ([]byte, error) {
	fd, err := openat(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 0, 16<<10)
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Read(fd, b[len(b):cap(b)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return b, nil
		default:
			b = b[:len(b)+n]
		}
	}
}

// openat opens with O_CLOEXEC, again after a signal.
func openat(name string, flags int) (int, error) {
	for {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// realpath returns where fd is, without symlinks, seen from this process's root.
func realpath(fd int) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlink("/proc/self/fd/"+strconv.Itoa(fd), b)
	if err != nil {
		return "", err
	}
	p := string(b[:n])
	if len(p) == 0 || p[0] != '/' {
		return "", unix.ENOENT // "(unreachable)/..."
	}
	return p, nil
}
