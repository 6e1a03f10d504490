package mount

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestLocalLocks: with --local-locks two processes of the mount are in each
// other's way and the source is in nobody's, and closing any descriptor drops
// what its owner holds, though no FLUSH says so.
func TestLocalLocks(t *testing.T) {
	src := harness.Disk(t)
	path := filepath.Join(src, "f")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := harness.Serve(t, src, "--local-locks")
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	// Locks of one process are one owner's: the other one asks with an open file
	// description's.
	lock := func(fd, cmd int) error {
		return unix.FcntlFlock(uintptr(fd), cmd, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	mine, same, other, below := open(filepath.Join(m.Dir, "f")), open(filepath.Join(m.Dir, "f")), open(filepath.Join(m.Dir, "f")), open(path)
	defer unix.Close(mine)
	defer unix.Close(other)
	defer unix.Close(below)
	if err := lock(mine, unix.F_SETLK); err != nil {
		t.Fatal(err)
	}
	if err := lock(other, unix.F_OFD_SETLK); err != unix.EAGAIN {
		t.Errorf("what is locked is locked again: %v", err)
	}
	if err := lock(below, unix.F_OFD_SETLK); err != nil {
		t.Errorf("a lock of the mount alone is in the source: %v", err)
	}
	unix.Close(same)
	if err := lock(other, unix.F_OFD_SETLK); err != nil {
		t.Errorf("the lock stays after close(2) of another descriptor: %v", err)
	}
	if err := unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Error(err)
	}
	if err := unix.Flock(mine, unix.LOCK_EX|unix.LOCK_NB); err != unix.EAGAIN {
		t.Errorf("flock(2) twice: %v", err)
	}
}

// TestOwnMount: a user's mount without default_permissions lets that user do
// what the source does, and nothing else.
func TestOwnMount(t *testing.T) {
	harness.OpenFuse(t)
	user := harness.Cred{Uid: 1000, Gid: 1000}
	src := harness.Disk(t)
	for name, mode := range map[string]os.FileMode{"mine": 0o640, "shut": 0o600, "root": 0o600, "open": 0o644} {
		path := filepath.Join(src, name)
		if err := os.WriteFile(path, []byte("data"), mode); err != nil {
			t.Fatal(err)
		}
		if name == "mine" {
			if err := os.Chown(path, 1000, 1000); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(src, "locked"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "locked/f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	m := harness.ServeWith(t, &harness.Options{User: &user}, src, "--no-default-permissions")
	harness.As(t, user).Do(func() {
		for _, c := range []struct {
			what string
			do   func(dir string) error
		}{
			{"read mine", func(dir string) error { return try(dir+"/mine", unix.O_RDWR) }},
			{"read open", func(dir string) error { return try(dir+"/open", unix.O_RDONLY) }},
			{"write open", func(dir string) error { return try(dir+"/open", unix.O_WRONLY) }},
			{"read root's", func(dir string) error { return try(dir+"/root", unix.O_RDONLY) }},
			{"chmod root's", func(dir string) error { return unix.Chmod(dir+"/root", 0o666) }},
			{"access root's", func(dir string) error { return unix.Access(dir+"/root", unix.R_OK) }},
			{"access open", func(dir string) error { return unix.Access(dir+"/open", unix.W_OK) }},
			{"below root's", func(dir string) error { return try(dir+"/locked/f", unix.O_RDONLY) }},
			{"list root's", func(dir string) error { return try(dir+"/locked", unix.O_RDONLY|unix.O_DIRECTORY) }},
			{"unlink", func(dir string) error { return unix.Unlink(dir + "/mine") }}, // the directory is root's
			{"make", func(dir string) error { return unix.Mkdir(dir+"/new", 0o755) }},
			{"rename", func(dir string) error { return unix.Rename(dir+"/mine", dir+"/new") }},
			{"truncate root's", func(dir string) error { return unix.Truncate(dir+"/root", 0) }},
			{"chmod mine", func(dir string) error { return unix.Chmod(dir+"/mine", 0o600) }},
		} {
			if want, got := c.do(src), c.do(m.Dir); want != got {
				t.Errorf("%s: %v, but %v in the source", c.what, got, want)
			}
		}
	})
}

func try(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
