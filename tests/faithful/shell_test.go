package faithful

import (
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
	"testing"
)

// shell is the script that was recorded, system call by system call.
type shell struct {
	t *testing.T
	c *conntest.Client
	p *player
}

func (s *shell) open(path string, flags int) *conntest.File {
	f, err := s.c.Open(path, flags, 0o644)
	if err != nil {
		s.t.Errorf("open %s: %v", path, err)
		return nil
	}
	return f
}

const (
	nonblock = unix.O_NONBLOCK
	hack     = ".go-fuse-epoll-hack"
)

func (s *shell) ls(path string, first bool) {
	c := s.c
	f := s.open(path, unix.O_RDONLY|unix.O_DIRECTORY|nonblock)
	if f == nil {
		return
	}
	f.ReadDir(32768)
	if first {
		c.Getxattr("/", "security.selinux", 255)
		c.Getxattr("/", "system.posix_acl_access", 4096)
		c.Getxattr("/", "system.posix_acl_default", 4096)
	}
	f.ReadDir(32768)
	f.Close()
}

func (s *shell) run() {
	c := s.c
	c.Stat("/")
	if name, _ := s.p.stray(); name == hack { // go-fuse asks its kernel whether it polls
		if f := s.open("/"+hack, unix.O_RDONLY); f != nil {
			f.Poll(0x1f)
			f.Close()
		}
	}
	s.ls("/", true)
	c.Stat("/")
	c.Mkdir("/d", 0o755)
	c.Stat("/d")
	if f := s.open("/d/f", unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC); f != nil {
		f.CloseDup() // echo hello > d/f
		f.Stat()
		f.Write([]byte("hello\n"))
		f.Close()
	}
	if f := s.open("/d/f", unix.O_RDONLY); f != nil {
		f.Stat()
		f.Close()
	}
	c.Link("/d/f", "/d/g")
	c.Symlink("f", "/d/s")
	c.Readlink("/d/s")
	s.mv("/d/g", "/d/h")
	c.Chmod("/d/f", 0o600)
	c.Chown("/d/f", 1, 2)
	// touch -d
	if f := s.open("/d/f", unix.O_WRONLY|unix.O_CREAT|nonblock); f != nil {
		f.CloseDup()
		c.Utimes("/d/f", 1234567890123456789, 1234567890123456789)
		f.Close()
	}
	// truncate -s 3
	if f := s.open("/d/f", unix.O_WRONLY|unix.O_CREAT|nonblock); f != nil {
		f.Truncate(3)
		f.Close()
	}
	c.Statx("/d/f", 0, 0xfff)
	c.Stat("/d/f")
	c.Mknod("/d/p", unix.S_IFIFO|0o644, 0)
	c.Mknod("/d/n", unix.S_IFCHR|0o644, 259)
	c.Setxattr("/d/f", "user.a", []byte("1"), 0)
	c.GetxattrSize("/d/f", "user.a")
	c.Getxattr("/d/f", "user.a", 256)
	c.Listxattr("/d/f", 0)
	c.Listxattr("/d/f", 256)
	c.GetxattrSize("/d/f", "user.a")
	c.Getxattr("/d/f", "user.a", 256)
	c.Removexattr("/d/f", "user.a")
	if f := s.open("/d/f", unix.O_RDWR); f != nil { // fallocate
		f.Fallocate(0, 0, 8192)
		f.Fsync(false)
		f.Close()
	}
	if f := s.open("/d/f", unix.O_RDONLY|nonblock); f != nil { // sync
		f.Fsync(false)
		f.Close()
	}
	block := make([]byte, 4096)
	if f := s.open("/d/dio", unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_DIRECT); f != nil {
		f.CloseDup()
		for range 4 {
			f.Write(block)
		}
		f.Close()
	}
	if f := s.open("/d/dio", unix.O_RDONLY|unix.O_DIRECT); f != nil {
		f.CloseDup()
		for range 5 {
			f.Read(block)
		}
		f.Close()
	}
	if f := s.open("/d/f", unix.O_RDONLY); f != nil {
		f.Flock(unix.LOCK_EX)
		f.CloseDup() // the command's
		f.Close()
	}
	s.strays()
	s.ls("/", false)
	s.strays()
	if f := s.open("/d/f", unix.O_RDWR); f != nil { // python: open("r+")
		f.Stat()
		f.Ioctl(0x5401, nil)
		f.Close()
	}
	c.Stat("/")
	s.python()
	c.Stat("/")
	s.df()
	s.mapped(true)
	s.df()
	s.mapped(false)
	s.mv("/d/h", "/d/i")
	s.df()
	if f := s.open("/d", unix.O_RDONLY); f != nil { // sync d
		c.Statfs("/d")
		c.Statfs("/d")
		f.Fsync(false)
		f.Close()
	}
	c.Lstat("/d/f")
	if f := s.open("/d/f", unix.O_RDONLY|nonblock|unix.O_NOFOLLOW); f != nil { // lsattr
		f.Getflags()
		f.Close()
	}
	c.Stat("/d/nonexist")
	if f := s.open("/", unix.O_RDONLY|nonblock); f != nil { // df
		f.Close()
	}
	s.df()
	s.remove()
	c.Stat("/")
	s.df()
}

// strays looks up what is of no interest, and was recorded here.
func (s *shell) strays() {
	for last := -1; ; {
		name, at := s.p.stray()
		if at == last {
			return
		}
		s.c.Lookup("/" + name)
		last = at
	}
}

// mv is mv(1), which looks at the new name when the file system does not know
// RENAME_NOREPLACE. Whether that is a request depends on how long a name that is
// not there may be cached, in real time.
func (s *shell) mv(from, to string) {
	if s.c.Rename(from, to, unix.RENAME_NOREPLACE) == nil {
		return
	}
	if s.p.next() == protocol.OpLookup {
		s.c.Lstat(to)
	}
	if err := s.c.Rename(from, to, 0); err != nil {
		s.t.Errorf("mv %s %s: %v", from, to, err)
	}
}

// df is df(1), as far as it is a request.
func (s *shell) df() {
	s.strays()
	if s.p.next() == protocol.OpStatfs { // it may have found the mount by another name
		s.c.Statfs("/")
	}
}

// python is os.lseek, os.copy_file_range, os.fdatasync and O_TMPFILE.
func (s *shell) python() {
	in := s.open("/d/dio", unix.O_RDWR)
	if in == nil {
		return
	}
	in.Seek(0, unix.SEEK_DATA)
	out, err := s.c.Open("/d/c", unix.O_RDWR|unix.O_CREAT, 0o755)
	if err != nil {
		s.t.Errorf("create: %v", err)
		return
	}
	in.CopyRange(0, out, 0, 8192)
	in.Fsync(false)
	in.Fsync(true)
	tmp, err := s.c.Tmpfile("/", unix.O_RDWR, 0o755)
	if err != nil {
		s.t.Errorf("O_TMPFILE: %v", err)
		return
	}
	in.Close()
	out.Close()
	tmp.Close()
}

// mapped is a shared mapping, maybe written to.
func (s *shell) mapped(write bool) {
	s.c.Stat("/d/c")
	f := s.open("/d/c", unix.O_RDWR)
	if f == nil {
		return
	}
	s.c.Statfs("/d/c")
	s.c.Statfs("/d/c")
	if !write {
		s.c.Statx("/d/c", 0, 0xfff)
		f.Close()
		return
	}
	m, err := f.Map(0, 4096, true)
	if err != nil {
		s.t.Errorf("mmap: %v", err)
		return
	}
	m.WriteAt([]byte("m"), 0)
	m.Unmap()
	f.Close()
}

// remove is rm -r d.
func (s *shell) remove() {
	c := s.c
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | nonblock | unix.O_NOFOLLOW
	if d := s.open("/d", flags); d != nil { // find
		d.ReadDir(32768)
		d.Close()
	}
	d := s.open("/d", flags)
	if d == nil {
		return
	}
	d.Stat()
	c.Statfs("/d")
	d.ReadDir(32768)
	d.ReadDir(32768)
	for _, name := range []string{"i", "c", "dio", "n", "p", "s", "f"} {
		if err := c.Unlink("/d/" + name); err != nil {
			s.t.Errorf("unlink %s: %v", name, err)
		}
	}
	d.Close()
	if err := c.Rmdir("/d"); err != nil {
		s.t.Errorf("rmdir: %v", err)
	}
}
