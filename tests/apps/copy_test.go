package apps

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rsyncScene copies a tree of everything out of the directory and back.
func rsyncScene(s *scene) {
	s.tree(s.path("one"))
	s.tree(filepath.Join(s.scratch, "native"))
	one := s.walk(s.path("one"))
	s.same("made here and made natively", one, s.walk(filepath.Join(s.scratch, "native")))

	there, back, in := filepath.Join(s.scratch, "there"), s.path("back"), s.path("in")
	for _, leg := range [][2]string{
		{s.path("one"), there},                   // out
		{there, back},                            // and home
		{filepath.Join(s.scratch, "native"), in}, // made natively, in
		{back, s.path("beside")},                 // both ends here
	} {
		s.run("rsync", "-aHAXS", leg[0]+"/", leg[1]+"/")
		for _, check := range []string{"-aHAXn", "-aHAXnc"} {
			if d := s.run("rsync", check, "--itemize-changes", "--delete", leg[0]+"/", leg[1]+"/"); d != "" {
				s.fail("rsync %s %s %s still finds:\n%s", check, leg[0], leg[1], d)
			}
		}
		s.same(leg[0]+" and "+leg[1], one, s.walk(leg[1]))
	}
	// A second run with changes: only they move.
	s.check(os.WriteFile(filepath.Join(there, "a/one"), []byte("2"), 0o600))
	s.check(os.Remove(filepath.Join(there, "many/150")))
	s.check(os.Rename(filepath.Join(there, "dangling"), filepath.Join(there, "dangling2")))
	got := strings.Split(strings.TrimSpace(s.run("rsync", "-aHAXS", "--delete", "--out-format=%i %n", "--omit-dir-times", there+"/", back+"/")), "\n")
	for _, l := range got {
		s.say("second: %s", l)
	}
	for _, l := range one {
		s.say("%s", l)
	}
}

// tarScene archives and extracts with xattrs and ACLs.
func tarScene(s *scene) {
	s.tree(s.path("one"))
	one := s.walk(s.path("one"))
	flags := []string{"--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--numeric-owner"}
	s.run("tar", append(flags, "-cf", s.path("a.tar"), "-C", s.path("one"), ".")...)
	for _, to := range []string{s.path("two"), filepath.Join(s.scratch, "two")} {
		s.check(os.Mkdir(to, 0o755))
		s.run("tar", append(flags, "-xpf", s.path("a.tar"), "-C", to)...)
		// The archive stores whole seconds: compare all else.
		s.same("extracted to "+to, wholeSeconds(one), wholeSeconds(s.walk(to)))
	}
	s.run("tar", append(flags, "--format=posix", "-cf", filepath.Join(s.scratch, "p.tar"), "-C", s.path("one"), ".")...)
	s.check(os.Mkdir(s.path("three"), 0o755))
	s.run("tar", append(flags, "-xpf", filepath.Join(s.scratch, "p.tar"), "-C", s.path("three"))...)
	s.same("extracted from posix format", one, s.walk(s.path("three")))
	s.say("compare: %q", s.run("tar", append(flags, "-df", filepath.Join(s.scratch, "p.tar"), "-C", s.path("three"))...))
	for _, l := range one {
		s.say("%s", l)
	}
	for _, l := range strings.Split(s.run("getfacl", "-R", "-n", "-s", "one"), "\n") {
		s.say("acl %s", l)
	}
}

func wholeSeconds(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		at := strings.Index(l, " mtime=") // quoted names hold no bare " mtime="
		dot := at + strings.IndexByte(l[at:], '.')
		out[i] = l[:dot] + l[dot+10:]
	}
	return out
}

// sparseScene: holes are made, found, kept and punched.
func sparseScene(s *scene) {
	// Zeros written as data, for cp to find.
	b := make([]byte, 8<<20)
	copy(b[3<<20:], pattern(1, 100_000))
	copy(b[len(b)-10:], "end of it.")
	s.write("dense", b, 0o644)
	// Holes from the start.
	f, err := os.Create(s.path("holes"))
	s.check(err)
	for _, off := range []int64{64 << 10, 5 << 20, 40<<20 + 1} {
		_, err = f.WriteAt(pattern(uint64(off), 70_000), off)
		s.check(err)
	}
	s.check(f.Truncate(64 << 20))
	s.check(f.Close())
	for _, name := range []string{"dense", "holes"} {
		for _, how := range []string{"always", "auto", "never"} {
			to := name + "." + how
			s.run("cp", "--reflink=never", "--sparse="+how, name, to)
			s.run("cmp", name, to)
			s.run("cp", "--reflink=never", "--sparse="+how, name, filepath.Join(s.scratch, to))
			s.run("cmp", name, filepath.Join(s.scratch, to))
			s.shape(filepath.Join(s.scratch, to))
			s.shape(s.path(to))
		}
		s.shape(s.path(name))
	}
	s.run("fallocate", "-p", "-o", "3145728", "-l", "65536", "dense")
	s.shape(s.path("dense"))
	s.run("fallocate", "-l", "1MiB", "preallocated")
	s.shape(s.path("preallocated"))
	s.run("fallocate", "-n", "-l", "2MiB", "preallocated")
	s.shape(s.path("preallocated"))
	s.run("fallocate", "-z", "-o", "1000", "-l", "100000", "holes")
	s.shape(s.path("holes"))
	s.run("fallocate", "-d", "dense")
	s.shape(s.path("dense"))
	s.say("%s", s.run("sha256sum", "dense", "holes", "preallocated"))
}

// shape reports a file's size, its blocks and where SEEK_DATA and SEEK_HOLE
// see data: "blocks=data" means that the data, and nothing else, is allocated. The file is synced first: delayed allocation has no blocks yet.
func (s *scene) shape(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	s.check(err)
	defer f.Close()
	s.check(f.Sync())
	st := s.stat(path)
	var data int64
	var l string
	for off := int64(0); ; {
		from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		s.check(err)
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		s.check(err)
		l += fmt.Sprintf(" [%d,%d)", from, to)
		off = to
		data += to - from
	}
	// A block or two may hold the extent tree: when, is the allocator's affair.
	blocks, more := fmt.Sprint(st.Blocks), st.Blocks-data/512
	switch {
	case data > 0 && more >= 0 && more <= 16:
		blocks = "data"
	case more > 16: // of what is allocated and not written
		blocks = fmt.Sprintf("data+%d", (more+24)/64*64)
	}
	s.say("%s size=%d blocks=%s%s", path, st.Size, blocks, l)
}
