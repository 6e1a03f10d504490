package apps

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// walk describes every object under root, one line each, by what a faithful
// copy has to keep: type, mode, owner, group, size, time, device number, link
// target, names of the same file, extended attributes (ACLs among them) and
// contents. Directory sizes and link counts belong to the file system, not to
// the copy, and are left out.
func (s *scene) walk(root string) []string {
	type key struct{ dev, ino uint64 }
	first := map[key]string{}
	var lines []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("lstat %s: %w", path, err)
		}
		rel, _ := filepath.Rel(root, path)
		l := fmt.Sprintf("%q %06o %d:%d mtime=%d.%09d", rel, st.Mode, st.Uid, st.Gid, int64(st.Mtim.Sec), int64(st.Mtim.Nsec))
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
		case unix.S_IFLNK:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			l += fmt.Sprintf(" -> %q size=%d", to, st.Size)
		case unix.S_IFREG:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			l += fmt.Sprintf(" size=%d nlink=%d sha=%x", st.Size, st.Nlink, sha256.Sum256(b))
			if int64(len(b)) != st.Size {
				return fmt.Errorf("%s: read %d bytes of %d", path, len(b), st.Size)
			}
			k := key{uint64(st.Dev), st.Ino}
			if st.Nlink > 1 && first[k] != "" {
				l += fmt.Sprintf(" same as %q", first[k])
			} else {
				first[k] = rel
			}
		default:
			l += fmt.Sprintf(" rdev=%x nlink=%d", uint64(st.Rdev), st.Nlink)
		}
		xs, err := xattrs(path)
		if err != nil {
			return fmt.Errorf("xattrs of %s: %w", path, err)
		}
		lines = append(lines, l+xs)
		return nil
	})
	if err != nil {
		s.fail("walk: %v", err)
	}
	return lines
}

// xattrs renders all extended attributes of path itself.
func xattrs(path string) (string, error) {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return "", err
	}
	all := strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00")
	slices.Sort(all)
	var out strings.Builder
	for _, name := range all {
		if name == "" {
			continue
		}
		v := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, v)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if n > 64 {
			fmt.Fprintf(&out, " %s=%d:%x", name, n, sha256.Sum256(v[:n]))
		} else {
			fmt.Fprintf(&out, " %s=%x", name, v[:n])
		}
	}
	return out.String(), nil
}

// same fails unless two trees have the same description.
func (s *scene) same(what string, a, b []string) {
	if d := diff([]byte(strings.Join(a, "\n")+"\n"), []byte(strings.Join(b, "\n")+"\n")); d != "" {
		s.fail("%s: trees differ:\n%s", what, d)
	}
}

// tree makes one object of every kind and attribute that a copy must keep.
// Times are set, so that two trees made by it are equal.
func (s *scene) tree(root string) {
	p := func(n string) string { return filepath.Join(root, n) }
	for _, d := range []string{"", "a", "a/b", "a/b/c", "empty", "setgid", "sticky", "many", "readonly"} {
		s.check(os.MkdirAll(p(d), 0o755))
	}
	put := func(name string, data []byte, mode uint32) {
		s.check(os.WriteFile(p(name), data, 0o600))
		s.check(unix.Chmod(p(name), mode))
	}
	put("a/zero", nil, 0o644)
	put("a/one", []byte("1"), 0o600)
	put("a/page", pattern(1, 4096), 0o644)
	put("a/b/readonly", pattern(6, 4097), 0o444)
	put("a/big", pattern(2, 3<<20+17), 0o755)
	put("a/b/none", pattern(3, 1000), 0o400)
	put("a/b/setuid", pattern(4, 5000), 0o4755)
	put("a/b/setgid", pattern(5, 5001), 0o2755)
	put("new\nline", []byte("x"), 0o644)
	put(" leading space and 'quotes\" \\", []byte("y"), 0o644)
	put("Größe-日本語-\xff\xfe", []byte("z"), 0o644)
	put(strings.Repeat("n", 255), []byte("long"), 0o644)
	for i := range 200 {
		put(fmt.Sprintf("many/%03d", i), pattern(uint64(i), i*37), 0o640)
	}
	put("readonly/file", []byte("r"), 0o444)
	// Hard links over directories.
	for i, n := range []string{"a/b/hard1", "empty/../many/hard2", "hard3"} {
		s.check(os.Link(p([]string{"a/big", "a/big", "a/one"}[i]), p(n)))
	}
	s.check(os.Symlink("a/big", p("sym")))
	s.check(os.Symlink("nowhere/at/all", p("dangling")))
	s.check(os.Symlink("/etc/passwd", p("absolute")))
	s.check(os.Symlink("..", p("a/b/up")))
	s.check(os.Symlink(strings.Repeat("t/", 1000)+"end", p("longsym")))
	s.check(unix.Mkfifo(p("fifo"), 0o640))
	// A file of holes.
	f, err := os.Create(p("holes"))
	s.check(err)
	for _, off := range []int64{0, 1 << 20, 9<<20 + 123} {
		_, err = f.WriteAt(pattern(uint64(off), 10000), off)
		s.check(err)
	}
	s.check(f.Truncate(12 << 20))
	s.check(f.Close())

	for name, attrs := range map[string]map[string]string{
		"a/one":    {"user.small": "v", "user.empty": "", "user.binary": "\x00\x01\xff"},
		"a/big":    {"user.large": strings.Repeat("L", 2000)},
		"a":        {"user.on.directory": "d"},
		"setgid":   {"user.x": "y"},
		"many/007": {"user.Größe": "7"},
	} {
		for k, v := range attrs {
			if err := unix.Lsetxattr(p(name), k, []byte(v), 0); err != nil {
				s.fail("setxattr %s %s: %v", name, k, err)
			}
		}
	}
	s.run("setfacl", "-m", "u:1234:rwx,g:4321:r-x,m::rwx", p("a/page"))
	s.run("setfacl", "-m", "u:1000:r", p("a/one"))
	s.run("setfacl", "-m", "d:u:1234:rwx,d:g::r-x,u:7:x", p("a/b/c"))
	put("a/b/c/inherits", []byte("acl"), 0o640)

	if os.Getuid() == 0 {
		s.check(os.Lchown(p("a/page"), 1000, 1001))
		s.check(os.Lchown(p("sym"), 1000, 1001))
		s.check(os.Lchown(p("many/100"), 4000000000, 3999999999))
		s.check(os.Lchown(p("empty"), 1000, 1000))
		s.check(unix.Mknod(p("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		s.check(unix.Mknod(p("block"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 1000))))
		s.check(unix.Lsetxattr(p("sym"), "trusted.sym", []byte("only root"), 0))
		// security.capability, version 2: cap_net_raw, effective.
		vcap := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		s.check(unix.Lsetxattr(p("a/b/setuid"), "security.capability", vcap, 0))
	}
	s.check(unix.Chmod(p("setgid"), 0o2775))
	s.check(unix.Chmod(p("sticky"), 0o1777))
	s.check(unix.Chmod(p("fifo"), 0o640))

	// Times last and from the leaves up: each different, with nanoseconds.
	var all []string
	s.check(filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	for i, path := range slices.Backward(all) {
		ts := unix.NsecToTimespec(1_600_000_000_123_456_789 + int64(i)*1_000_000_007)
		s.check(unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
	s.check(unix.Chmod(p("readonly"), 0o555))
}
