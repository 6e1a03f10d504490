package apps

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// linksScene: names of one file are one file.
func linksScene(s *scene) {
	s.write("f", []byte("first"), 0o644)
	s.check(os.Mkdir("d", 0o755))
	for i := range 50 {
		s.check(os.Link("f", fmt.Sprintf("d/%d", i)))
	}
	ino := s.stat("f").Ino
	for i := range 50 {
		st := s.stat(fmt.Sprintf("d/%d", i))
		if st.Ino != ino || st.Nlink != 51 {
			s.fail("d/%d: inode %d nlink %d, want %d and 51", i, st.Ino, st.Nlink, ino)
		}
	}
	// Written by one name, read by another, at once and in every attribute.
	s.check(os.WriteFile("d/7", []byte("second"), 0))
	b, err := os.ReadFile("d/8")
	s.check(err)
	s.say("by another name: %q", b)
	s.check(os.Chmod("d/9", 0o751))
	s.say("mode by another name: %o size %d", s.stat("d/10").Mode, s.stat("f").Size)
	for i := range 25 {
		s.check(os.Remove(fmt.Sprintf("d/%d", i)))
	}
	s.say("nlink %d", s.stat("f").Nlink)
	// rename of one name to another of the same file does nothing.
	s.check(os.Rename("d/30", "d/31"))
	s.say("both names: %d %d", s.stat("d/30").Nlink, s.stat("d/31").Nlink)
	s.check(os.Rename("f", "d/31"))
	s.say("both names: %d %d", s.stat("f").Nlink, s.stat("d/31").Nlink)
	s.check(os.WriteFile("g", []byte("g"), 0o600))
	s.check(os.Rename("g", "d/31"))
	s.say("replaced: nlink %d, others %d", s.stat("d/31").Nlink, s.stat("f").Nlink)
	s.sayErr("link to a directory", unix.Link("d", "e"))
	s.sayErr("link over a name", unix.Link("f", "d/32"))
	s.sayErr("link of nothing", unix.Link("nothing", "x"))
	s.check(os.Symlink("f", "sym"))
	s.check(unix.Linkat(unix.AT_FDCWD, "sym", unix.AT_FDCWD, "sym2", 0))
	s.say("link to a symlink: %o nlink %d", s.stat("sym2").Mode, s.stat("sym").Nlink)
	s.check(unix.Linkat(unix.AT_FDCWD, "sym", unix.AT_FDCWD, "through", unix.AT_SYMLINK_FOLLOW))
	s.say("link through a symlink: %o nlink %d", s.stat("through").Mode, s.stat("f").Nlink)
	// du counts a file once: it relies on stable inode numbers.
	s.say("du: %s", s.run("sh", "-c", "du --inodes d | cut -f1"))
}

func init() {
	// fifowriter FILE: five lines into a FIFO.
	helpers["fifowriter"] = func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		for i := range 5 {
			fmt.Fprintf(f, "line %d\n", i)
			time.Sleep(2 * time.Millisecond)
		}
		return f.Close()
	}
}

// fifoScene: two processes speak through a named pipe.
func fifoScene(s *scene) {
	s.check(unix.Mkfifo("p", 0o620))
	st := s.stat("p")
	s.say("mode %o size %d nlink %d", st.Mode, st.Size, st.Nlink)
	_, err := unix.Open("p", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	s.sayErr("open for writing without a reader", err)
	for i := range 3 {
		w := s.helper("fifowriter", "p")
		s.check(w.Start())
		f, err := os.OpenFile("p", os.O_RDONLY, 0)
		s.check(err)
		b, err := io.ReadAll(f)
		s.check(err)
		s.check(f.Close())
		s.check(w.Wait())
		s.say("round %d: %q", i, b)
	}
	s.check(os.Link("p", "q"))
	w := s.helper("fifowriter", "q")
	s.check(w.Start())
	b, err := os.ReadFile("p")
	s.check(err)
	s.check(w.Wait())
	s.say("by two names: %q", b)
	s.say("%s", s.run("sh", "-c", "mkfifo -m 600 r; cat r & echo through the shell > r; wait"))
	s.check(os.Rename("p", "moved"))
	s.say("moved: %o", s.stat("moved").Mode)
	s.check(os.Remove("moved"))
}

// unlinkedScene: a file without a name lives until it is closed.
func unlinkedScene(s *scene) {
	var files []*os.File
	for i := range 20 {
		f, err := os.OpenFile(fmt.Sprintf("u%d", i), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		s.check(err)
		_, err = f.Write(pattern(uint64(i), 100_000))
		s.check(err)
		files = append(files, f)
	}
	for i := range files {
		s.check(os.Remove(fmt.Sprintf("u%d", i)))
	}
	for i, f := range files {
		_, err := f.WriteAt(pattern(uint64(i)+100, 100_000), 100_000)
		s.check(err)
		b := make([]byte, 200_000)
		_, err = f.ReadAt(b, 0)
		s.check(err)
		if string(b) != string(pattern(uint64(i), 100_000))+string(pattern(uint64(i)+100, 100_000)) {
			s.fail("unlinked file %d: wrong contents", i)
		}
		var st unix.Stat_t
		s.check(unix.Fstat(int(f.Fd()), &st))
		s.check(f.Truncate(10))
		s.check(f.Chmod(0o640))
		s.check(f.Sync())
		var st2 unix.Stat_t
		s.check(unix.Fstat(int(f.Fd()), &st2))
		s.say("%d: nlink %d size %d, then size %d mode %o", i, st.Nlink, st.Size, st2.Size, st2.Mode)
	}
	// Through /proc it can be opened again, though its name is gone.
	g, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", files[3].Fd()))
	s.check(err)
	b, err := io.ReadAll(g)
	s.check(err)
	s.say("opened again: %x", b)
	s.check(g.Close())
	for _, f := range files {
		s.check(f.Close())
	}
	// The old file stays what it was when a new one takes its name.
	s.write("name", []byte("old"), 0o600)
	f, err := os.Open("name")
	s.check(err)
	s.write("other", []byte("newer"), 0o600)
	s.check(os.Rename("other", "name"))
	b, err = io.ReadAll(f)
	s.check(err)
	s.say("held: %q", b)
	b, err = os.ReadFile("name")
	s.check(err)
	s.say("named: %q", b)
	s.check(f.Close())
	// A removed working directory.
	s.check(os.Mkdir("cwd", 0o755))
	d, err := os.Open("cwd")
	s.check(err)
	s.check(os.Remove("cwd"))
	_, err = unix.Openat(int(d.Fd()), "x", unix.O_CREAT|unix.O_WRONLY, 0o600)
	s.sayErr("create in a removed directory", err)
	names, err := d.Readdirnames(-1)
	s.say("names in a removed directory: %q %v", names, err)
	var st unix.Stat_t
	s.check(unix.Fstat(int(d.Fd()), &st))
	s.say("nlink of a removed directory: %d", st.Nlink)
	s.check(d.Close())
	left, err := os.ReadDir(".")
	s.check(err)
	s.say("left: %v", left)
}

// tmpfileScene: O_TMPFILE, and a name by linkat afterwards.
func tmpfileScene(s *scene) {
	s.check(os.Mkdir("d", 0o755))
	fd, err := unix.Open("d", unix.O_TMPFILE|unix.O_RDWR, 0o644)
	s.check(err)
	f := os.NewFile(uintptr(fd), "tmpfile")
	_, err = f.Write(pattern(9, 50_000))
	s.check(err)
	var st unix.Stat_t
	s.check(unix.Fstat(fd, &st))
	s.say("nlink %d size %d mode %o uid %d gid %d", st.Nlink, st.Size, st.Mode, st.Uid, st.Gid)
	names, err := os.ReadDir("d")
	s.check(err)
	s.say("names before: %v", names)
	s.check(unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, "d/named", unix.AT_SYMLINK_FOLLOW))
	s.check(unix.Fstat(fd, &st))
	s.say("nlink after %d", st.Nlink)
	_, err = f.Write(pattern(10, 50_000))
	s.check(err)
	b, err := os.ReadFile("d/named")
	s.check(err)
	s.say("read by name: %v", string(b) == string(pattern(9, 50_000))+string(pattern(10, 50_000)))
	s.check(unix.Linkat(unix.AT_FDCWD, "d/named", unix.AT_FDCWD, "d/second", 0))
	s.say("linked again: %d", s.stat("d/named").Nlink)
	s.sayErr("over a name", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, "d/second", unix.AT_SYMLINK_FOLLOW))
	s.check(f.Close())

	ex, err := unix.Open("d", unix.O_TMPFILE|unix.O_WRONLY|unix.O_EXCL, 0o600)
	s.check(err)
	s.sayErr("O_EXCL refuses a name", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", ex), unix.AT_FDCWD, "d/ex", unix.AT_SYMLINK_FOLLOW))
	s.check(unix.Close(ex))
	_, err = unix.Open("d", unix.O_TMPFILE|unix.O_RDONLY, 0o600)
	s.sayErr("O_RDONLY", err)
	_, err = unix.Open("d/named", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	s.sayErr("in a file", err)
	names, err = os.ReadDir("d")
	s.check(err)
	s.say("names after: %v", names)
}

// execScene runs programs from the directory.
func execScene(s *scene) {
	exe, err := os.Executable()
	s.check(err)
	for _, prog := range []string{"/bin/echo", "/bin/cat"} {
		b, err := os.ReadFile(prog)
		s.check(err)
		s.write("bin"+prog, b, 0o755)
	}
	s.say("echo: %s", s.run("./bin/bin/echo", "from", "the", "mount"))
	s.write("script", []byte("#!/bin/sh\necho script $0 $1\n"), 0o755)
	s.say("script: %s", s.run("./script", "arg"))
	interp := s.path("bin/bin/cat")
	if len(interp) < 120 {
		s.write("catscript", []byte("#!"+interp+"\nsecond line\n"), 0o755)
		s.say("interpreter here: %s", s.run("./catscript"))
	}
	s.write("plain", []byte("#!/bin/sh\n"), 0o644)
	s.sayErr("without x", exec.Command("./plain").Run())
	s.check(os.Chmod("plain", 0o755))
	s.sayErr("with x", exec.Command("./plain").Run())
	// A large binary that pages in over time: this one.
	b, err := os.ReadFile(exe)
	s.check(err)
	s.write("self", b, 0o755)
	s.check(os.WriteFile("p", nil, 0o600))
	s.check(os.Remove("p"))
	s.check(unix.Mkfifo("p", 0o600))
	cmd := s.command(s.path("self"), s.path("p"))
	cmd.Env = append(cmd.Env, helperVar+"=fifowriter")
	s.check(cmd.Start())
	time.Sleep(50 * time.Millisecond)
	_, err = unix.Open("self", unix.O_WRONLY, 0)
	s.sayErr("write to a running program", err)
	// Unlinked while it runs.
	s.check(os.Remove("self"))
	out, err := os.ReadFile("p")
	s.check(err)
	s.check(cmd.Wait())
	s.say("running, without a name: %q", out)
	// An open writer keeps a program from starting.
	s.write("busy", []byte("#!/bin/true\n"), 0o755)
	f, err := os.OpenFile("busy", os.O_WRONLY, 0)
	s.check(err)
	s.sayErr("exec of a file open for writing", exec.Command("./busy").Run())
	s.check(f.Close())
	s.sayErr("exec after close", exec.Command("./busy").Run())
	var e *exec.ExitError
	s.say("PATH lookup: %v", errors.As(exec.Command("sh", "-c", "PATH="+filepath.Join(s.dir, "none")+" nosuch").Run(), &e))
	s.say("shared library: %s", strings.TrimSpace(s.run("sh", "-c", `
lib=$(ldd /bin/cat | sed -n 's/.*=> \(\/[^ ]*libc\.so[^ ]*\).*/\1/p') && cp "$lib" . && LD_LIBRARY_PATH=$PWD /bin/echo loaded`)))
}
