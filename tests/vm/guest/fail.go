package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// checkFull writes more than there is room for. What is said to be written is in
// the file, and the rest is ENOSPC.
func checkFull(r *rand.Rand) error {
	const room = 256 << 10
	small := filepath.Join(src, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("small", small, "tmpfs", 0, fmt.Sprintf("size=%d", room)); err != nil {
		return err
	}
	err := func() error {
		data := random(r, 2*room)
		fd, err := unix.Open(filepath.Join(mnt, "small", "f"), unix.O_RDWR|unix.O_CREAT, 0o600)
		if err != nil {
			return err
		}
		n := 0
		for err == nil && n < len(data) {
			var k int
			if k, err = unix.Pwrite(fd, data[n:], int64(n)); k > 0 {
				n += k
			}
		}
		if e := unix.Fsync(fd); err == nil { // with write-back it is found out here
			err = e
		}
		if e := unix.Close(fd); err == nil {
			err = e
		}
		if err != unix.ENOSPC {
			return fmt.Errorf("%d bytes written, %v", n, err)
		}
		got, err := os.ReadFile(filepath.Join(small, "f"))
		if err != nil {
			return err
		}
		// Nobody has promised that what is past the room is anything, in particular
		// with write-back; what is there is what was written.
		for i := range min(len(got), room) {
			if got[i] != data[i] && got[i] != 0 {
				return differ(got[:room], data[:room], nil)
			}
		}
		if k := bytes.Count(got, []byte{0}); len(got) < room/2 || k > len(got)/2 {
			return fmt.Errorf("%d bytes are there, %d of them zeros", len(got), k)
		}
		return nil
	}()
	// The mount may have inodes of it for a while.
	return errors.Join(err, unix.Unmount(small, unix.MNT_DETACH))
}

// checkBits writes as somebody else to a file with set-id bits, which go.
func checkBits() error {
	const mode = unix.S_ISUID | unix.S_ISGID | 0o777
	path := filepath.Join(mnt, "bits")
	if err := os.WriteFile(path, []byte("before"), 0o777); err != nil {
		return err
	}
	for _, root := range []bool{true, false} {
		if err := unix.Chmod(path, mode); err != nil {
			return err
		}
		cmd := self("write", path)
		if !root {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, p := range []string{path, filepath.Join(src, "bits")} {
			var st unix.Stat_t
			if err := unix.Stat(p, &st); err != nil {
				return err
			}
			if got := st.Mode & 0o7777; root != (got == mode) || got&0o777 != 0o777 {
				return fmt.Errorf("%s, root %v: mode %o", p, root, got)
			}
		}
	}
	return nil
}

// checkKilled kills a server that is at work. Who waits for it gets an error, and
// the next one serves.
func checkKilled(r *rand.Rand) error {
	for range 3 {
		s, err := passthrough("--transport=uring", "--zero-copy=on", "--nopassthrough")
		if err != nil {
			return err
		}
		started := make(chan struct{}, 8)
		var end sync.WaitGroup
		for i := range 8 {
			path := filepath.Join(mnt, fmt.Sprintf("killed%d", i))
			data := random(r, 512<<10)
			end.Go(func() {
				for n := 0; ; n++ {
					if n == 1 {
						started <- struct{}{}
					}
					if os.WriteFile(path, data, 0o600) != nil {
						return
					}
					if _, err := os.ReadFile(path); err != nil {
						return
					}
				}
			})
		}
		for range 8 {
			<-started
		}
		if err := s.cmd.Process.Kill(); err != nil {
			return err
		}
		<-s.done
		end.Wait()
		if err := unix.Unmount(mnt, 0); err != nil {
			return err
		}
	}
	return nil
}

// faults are what a kernel prints about itself, and fuse about its server.
var faults = regexp.MustCompile(`WARNING: |BUG: |Oops|Call Trace|general protection|fuse: |Copying |zero-copy unregister|Import of user`)

// checkKernel looks into the kernel's log.
func checkKernel() error {
	b := make([]byte, 1<<20)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, b)
	if err != nil {
		return err
	}
	var bad []string
	for l := range strings.Lines(string(b[:n])) {
		if faults.MatchString(l) && !strings.Contains(l, "fuse: init (API") && !strings.Contains(l, "soft lockup") {
			bad = append(bad, l)
		}
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, ""))
	}
	return nil
}
