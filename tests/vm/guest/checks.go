package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// checkInit has the kernel be the one that was meant, and a trace of INIT say so.
func checkInit(a *args) error {
	s, err := passthrough("-d")
	if err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	for l := range strings.Lines(s.out.String()) {
		if strings.HasPrefix(l, "> ") && strings.Contains(strings.ToUpper(l), "INIT") {
			note("%s", strings.TrimSpace(l))
			if !strings.Contains(l, fmt.Sprintf("minor=%d ", a.minor)) {
				return fmt.Errorf("the kernel does not speak 7.%d", a.minor)
			}
			return nil
		}
	}
	return fmt.Errorf("no INIT in the trace: %s", s.out.String())
}

// onMount serves src in a mode and checks the mount.
func onMount(m *mode, a *args) {
	name := m.name
	if err := empty(src); err != nil {
		fail(name, err)
		return
	}
	s, err := passthrough(m.flags...)
	if err != nil {
		fail(name, err)
		return
	}
	if m.names {
		check(name+"/names", s, func() error { return checkNames(rng(a)) })
	}
	check(name+"/data", s, func() error { return checkData(rng(a)) })
	check(name+"/fsx", s, func() error { return fsx(filepath.Join(mnt, "fsx"), rng(a), a.ops) })
	if m.also != nil {
		m.also(s, a)
	}
	check(name+"/unmount", s, s.stop)
}

func rng(a *args) *rand.Rand { return rand.New(rand.NewPCG(a.seed, 0)) }

// empty removes what is in dir.
func empty(dir string) error {
	e, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range e {
		if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// checkNames makes, moves, links and removes, and compares the trees.
func checkNames(r *rand.Rand) error {
	dir := filepath.Join(mnt, "names")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range 150 {
		n := filepath.Join(dir, fmt.Sprintf("%d%s", i, strings.Repeat("n", r.IntN(200))))
		m := filepath.Join(dir, fmt.Sprintf("to%d", r.IntN(150)))
		var err error
		switch r.IntN(8) {
		case 0:
			err = os.Mkdir(n, 0o700)
		case 1:
			err = os.Symlink(strings.Repeat("t", 1+r.IntN(2000)), n)
		case 2:
			err = unix.Mknod(n, unix.S_IFIFO|0o600, 0)
		case 3:
			if err = os.WriteFile(n, []byte(n), 0o640); err == nil {
				os.Remove(m)
				err = os.Link(n, m)
			}
		case 4:
			if err = os.WriteFile(n, []byte(n), 0o640); err == nil {
				err = os.Rename(n, m)
			}
		case 5:
			if err = os.WriteFile(n, nil, 0o640); err == nil {
				err = os.Remove(n)
			}
		case 6:
			if err = os.Mkdir(n, 0o700); err == nil {
				err = os.Remove(n)
			}
		default:
			if err = os.WriteFile(n, nil, 0o640); err == nil {
				err = os.Chmod(n, os.FileMode(r.IntN(0o1000)))
			}
		}
		if err != nil {
			return err
		}
	}
	want, err := tree(filepath.Join(src, "names"))
	if err != nil {
		return err
	}
	got, err := tree(dir)
	if err != nil {
		return err
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("the source has\n%s\nthe mount\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	if len(got) < 30 {
		return fmt.Errorf("only %d names", len(got))
	}
	_, err = os.Lstat(filepath.Join(dir, "is not there"))
	if !os.IsNotExist(err) {
		return fmt.Errorf("a missing name: %v", err)
	}
	return nil
}

// tree lists what is below dir, with what matters of its attributes.
func tree(dir string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		st := new(unix.Stat_t)
		if err := unix.Lstat(path, st); err != nil {
			return err
		}
		l := fmt.Sprintf("%s %v %d %d %d", strings.TrimPrefix(path, dir), i.Mode(), i.Size(), st.Nlink, st.Ino)
		if i.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			l += " " + to
		}
		all = append(all, l)
		return nil
	})
	return all, err
}

// checkData writes through the mount and reads at the source, and the other way
// round, in pieces of random sizes.
func checkData(r *rand.Rand) error {
	want := random(r, 1<<20+r.IntN(1<<20))
	there, here := filepath.Join(mnt, "data"), filepath.Join(src, "data")
	f, err := os.Create(there)
	if err != nil {
		return err
	}
	for off := 0; off < len(want); {
		n := min(piece(r), len(want)-off)
		if _, err := f.WriteAt(want[off:off+n], int64(off)); err != nil {
			return err
		}
		off += n
	}
	if err := f.Close(); err != nil {
		return err
	}
	if got, err := os.ReadFile(here); err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("written: %w", differ(got, want, err))
	}
	want = random(r, len(want))
	// A new file: of the old one the mount may have pages.
	there, here = there+"2", here+"2"
	if err := os.WriteFile(here, want, 0o644); err != nil {
		return err
	}
	if f, err = os.Open(there); err != nil {
		return err
	}
	defer f.Close()
	got := make([]byte, len(want))
	for off := 0; off < len(want); {
		n := min(piece(r), len(want)-off)
		if m, err := f.ReadAt(got[off:off+n], int64(off)); err != nil || m != n {
			return fmt.Errorf("%d of %d bytes at %d: %w", m, n, off, err)
		}
		off += n
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("read: %w", differ(got, want, nil))
	}
	if n, err := f.ReadAt(got[:100], int64(len(want)-10)); n != 10 {
		return fmt.Errorf("%d bytes at 10 before the end, %v", n, err)
	}
	return nil
}

// random makes n random bytes, quickly also where it is emulated.
func random(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.NativeEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// piece is a size: small, about a page, or large.
func piece(r *rand.Rand) int {
	switch r.IntN(3) {
	case 0:
		return 1 + r.IntN(5000)
	case 1:
		return 1 + r.IntN(100_000)
	default:
		return unix.Getpagesize() << r.IntN(6)
	}
}

// differ says where got is not want.
func differ(got, want []byte, err error) error {
	if err != nil {
		return err
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("of %d and %d bytes, at %d: %#x, not %#x", len(got), len(want), i, got[i], want[i])
		}
	}
	return fmt.Errorf("%d bytes, not %d", len(got), len(want))
}
