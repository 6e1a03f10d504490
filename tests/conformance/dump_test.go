package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// times are what a file's times were before the acting.
type times struct{ c, b unix.StatxTimestamp }

// before maps inode numbers to times.
type before map[uint64]times

// mark looks at everything below dir.
func mark(dir string) before {
	m := before{}
	walk(dir, func(_ string, st *unix.Statx_t) { m[st.Ino] = times{st.Ctime, st.Btime} })
	return m
}

// walk calls f for dir and everything below it, in the order of names, with
// what statx says.
func walk(dir string, f func(path string, st *unix.Statx_t)) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		panic(fmt.Errorf("statx %s: %w", dir, err))
	}
	f(dir, &st)
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return
	}
	names := list(dir)
	sort.Strings(names)
	for _, n := range names {
		walk(filepath.Join(dir, n), f)
	}
}

// list is a directory's names, as getdents tells them.
func list(dir string) []string {
	// Looking must not leave a trace.
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOATIME, 0)
	if err != nil {
		panic(fmt.Errorf("open %s: %w", dir, err))
	}
	d := os.NewFile(uintptr(fd), dir)
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		panic(err)
	}
	return names
}

// dump describes everything below dir, one line a file, so that two
// directories with the same history give the same lines.
func dump(label, dir string, was before, atimes bool) []string {
	type entry struct {
		path string
		st   unix.Statx_t
	}
	// All stats first: reading a directory or a file changes its atime.
	var all []entry
	walk(dir, func(p string, st *unix.Statx_t) { all = append(all, entry{p, *st}) })
	first := map[uint64]string{}
	out := make([]string, 0, len(all))
	for _, e := range all {
		name := "."
		if e.path != dir {
			name = e.path[len(dir)+1:]
		}
		st := &e.st
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s %s %04o %d:%d n=%d s=%d", label, short(name), typeName(st.Mode), st.Mode&0o7777, st.Uid, st.Gid, st.Nlink, st.Size)
		if st.Rdev_major|st.Rdev_minor != 0 {
			fmt.Fprintf(&b, " dev=%d,%d", st.Rdev_major, st.Rdev_minor)
		}
		if atimes {
			fmt.Fprintf(&b, " a=%s", setOrNew(st.Atime, setAtime))
		}
		w, old := was[st.Ino]
		fmt.Fprintf(&b, " m=%s c=%s b=%s", setOrNew(st.Mtime, setMtime), sameOrNew(old, w.c, st.Ctime), sameOrNew(old, w.b, st.Btime))
		if f := first[st.Ino]; f != "" {
			fmt.Fprintf(&b, " is %s", short(f))
		} else {
			first[st.Ino] = name
		}
		b.WriteString(contents(e.path, st))
		b.WriteString(xattrs(e.path))
		out = append(out, b.String())
	}
	return out
}

func typeName(mode uint16) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "reg"
	case unix.S_IFDIR:
		return "dir"
	case unix.S_IFLNK:
		return "lnk"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "sock"
	case unix.S_IFCHR:
		return "chr"
	case unix.S_IFBLK:
		return "blk"
	}
	return fmt.Sprintf("%#o", mode)
}

// setOrNew is how a time is told: as the fixture set it, now, or the value.
func setOrNew(t unix.StatxTimestamp, set unix.Timespec) string {
	switch {
	case t.Sec == int64(set.Sec) && t.Nsec == uint32(set.Nsec):
		return "same"
	case t.Sec > 1600000000 && t.Sec <= now():
		return "new"
	}
	return fmt.Sprintf("%d.%09d", t.Sec, t.Nsec)
}

func sameOrNew(known bool, was, is unix.StatxTimestamp) string {
	switch {
	case known && was == is:
		return "same"
	case is.Sec > 1600000000 && is.Sec <= now() && (!known || is.Sec > was.Sec || is.Sec == was.Sec && is.Nsec > was.Nsec):
		return "new"
	}
	return fmt.Sprintf("%d.%09d", is.Sec, is.Nsec)
}

func now() int64 {
	var ts unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_REALTIME, &ts))
	return int64(ts.Sec)
}

// contents is a symlink's target, or a small file's text.
func contents(path string, st *unix.Statx_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		b := make([]byte, 8192)
		n, err := unix.Readlink(path, b)
		if err != nil {
			return " readlink=" + errno(err)
		}
		return " -> " + short(string(b[:n]))
	case unix.S_IFREG:
		if st.Size > 256 {
			return ""
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return " read=" + errno(err)
		}
		return fmt.Sprintf(" %q", b)
	}
	return ""
}

// xattrs are all attributes with their values.
func xattrs(path string) string {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return " listxattr=" + errno(err)
	}
	if n == 0 {
		return ""
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		v := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, v)
		if err != nil {
			fmt.Fprintf(&b, " %s:%s", name, errno(err))
			continue
		}
		if n > 64 {
			fmt.Fprintf(&b, " %s[%d]", short(name), n)
			continue
		}
		fmt.Fprintf(&b, " %s=%x", short(name), v[:n])
	}
	return b.String()
}
