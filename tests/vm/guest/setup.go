package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// setUp makes what a file system's server and its users need.
func setUp() error {
	for _, m := range []struct{ dir, kind, data string }{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/dev", "devtmpfs", ""},
		{"/src", "tmpfs", "mode=0755"},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.data); err != nil && !(m.kind == "devtmpfs" && err == unix.EBUSY) {
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	if err := loadModule("/fuse.ko"); err != nil {
		return err
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	note("Linux %s, pages of %d bytes", unix.ByteSliceToString(u.Release[:]), unix.Getpagesize())
	return nil
}

// loadModule loads a module if it is there; else it is part of the kernel.
func loadModule(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
