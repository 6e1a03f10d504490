package conformance

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fixture is a case's directory while root prepares it. A failure here is the
// test's own and ends it.
type fixture struct{ dir string }

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

// own gives name its owner, and then its mode: chown takes set-id bits away.
func (f *fixture) own(name string, mode uint32, uid, gid int) {
	must2("lchown", name, unix.Lchown(f.path(name), uid, gid))
	var st unix.Stat_t
	must2("lstat", name, unix.Lstat(f.path(name), &st))
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		must2("chmod", name, unix.Chmod(f.path(name), mode))
	}
}

// file makes a regular file of the owner's.
func (f *fixture) file(name string, mode uint32, text string) {
	must2("write", name, os.WriteFile(f.path(name), []byte(text), 0o600))
	f.own(name, mode, 1001, 1001)
}

func (f *fixture) mkdir(name string, mode uint32) {
	must2("mkdir", name, unix.Mkdir(f.path(name), 0o700))
	f.own(name, mode, 1001, 1001)
}

func (f *fixture) symlink(target, name string) {
	must2("symlink", name, unix.Symlink(target, f.path(name)))
	f.own(name, 0, 1001, 1001)
}

func (f *fixture) link(old, name string) {
	must2("link", name, unix.Link(f.path(old), f.path(name)))
}

func (f *fixture) node(name string, mode uint32, dev uint64) {
	must2("mknod", name, unix.Mknod(f.path(name), mode, int(dev)))
	f.own(name, mode&0o7777, 1001, 1001)
}

func (f *fixture) xattr(name, attr string, value []byte) {
	must2("setxattr", name+" "+attr, unix.Lsetxattr(f.path(name), attr, value, 0))
}

// kinds are the types of file make knows.
var kinds = []string{"file", "dir", "full", "fifo", "sock", "chr", "blk", "link", "dirlink", "dangling", "loop", "none"}

// make makes name of a kind, with a mode where that kind has one.
func (f *fixture) make(kind, name string, mode uint32) {
	switch kind {
	case "file":
		f.file(name, mode, "text")
	case "dir":
		f.mkdir(name, mode)
	case "full":
		f.mkdir(name, 0o700)
		f.file(join(name, "in"), 0o644, "in")
		f.own(name, mode, 1001, 1001)
	case "fifo":
		f.node(name, unix.S_IFIFO|mode, 0)
	case "sock":
		f.node(name, unix.S_IFSOCK|mode, 0)
	case "chr":
		f.node(name, unix.S_IFCHR|mode, unix.Mkdev(1, 3))
	case "blk":
		f.node(name, unix.S_IFBLK|mode, unix.Mkdev(240, 99))
	case "link":
		f.file(name+".file", mode, "text")
		f.symlink(name+".file", name)
	case "dirlink":
		f.mkdir(name+".dir", mode)
		f.symlink(name+".dir", name)
	case "dangling":
		f.symlink(name+".absent", name)
	case "loop":
		f.symlink(name, name)
	case "none":
	default:
		panic("no such kind: " + kind)
	}
}

// age gives everything in the case its times.
func (f *fixture) age() {
	must(filepath.WalkDir(f.dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{setAtime, setMtime}, unix.AT_SYMLINK_NOFOLLOW)
	}))
}

func must2(what, name string, err error) {
	if err != nil {
		panic(fmt.Errorf("fixture: %s %s: %w", what, short(name), err))
	}
}
