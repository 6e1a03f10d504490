package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// checkCost reads and writes by each transport. Where the machine's clock counts
// instructions (qemu's -icount shift=0: one is a nanosecond), that is what is told:
// emulated time means nothing else. An instruction moves 8 bytes at most there
// (erms=off, fsrm=off), so that one copy is an eighth of an instruction a byte or more.
func checkCost() error {
	const size = 8 << 20
	type way struct {
		name  string
		flags int
		write bool
		block int
	}
	ways := []way{
		{"direct read", unix.O_DIRECT, false, 1 << 20},
		{"direct read", unix.O_DIRECT, false, 64 << 10},
		{"direct read", unix.O_DIRECT, false, 4 << 10},
		{"buffered read", 0, false, 128 << 10},
		{"direct write", unix.O_DIRECT, true, 1 << 20},
		{"direct write", unix.O_DIRECT, true, 4 << 10},
		{"buffered write", 0, true, 1 << 20},
	}
	costs := make([][3]float64, len(ways))
	for col, flags := range [][]string{{"--nopassthrough"}, {"--nopassthrough", "--transport=uring"}, {"--nopassthrough", "--transport=uring", "--zero-copy=on"}} {
		if err := empty(src); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(src, "f"), make([]byte, size), 0o600); err != nil {
			return err
		}
		s, err := passthrough(flags...)
		if err != nil {
			return err
		}
		for i, w := range ways {
			n := size
			if w.block == 4<<10 {
				n = 1 << 20
			}
			before, err := s.stats()
			if err != nil {
				return err
			}
			if costs[i][col], err = cost(w.flags, w.write, w.block, n); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			after, err := s.stats()
			if err != nil {
				return err
			}
			moved, copied := after["zerobytes"]-before["zerobytes"], after["ringbytes"]-before["ringbytes"]
			if want := uint64(n); col == 1 && (copied < want || moved != 0) || col == 2 && (moved < want || copied > want/16) {
				return fmt.Errorf("%s by %v: %d moved, %d copied", w.name, flags, moved, copied)
			}
		}
		if err := s.stop(); err != nil {
			return err
		}
	}
	note("cost, instructions a byte:      dev   uring  zero copy  zero/uring")
	for i, w := range ways {
		c := costs[i]
		note("%-15s %7d B: %8.3f %7.3f %10.3f %10.2f", w.name, w.block, c[0], c[1], c[2], c[2]/c[1])
	}
	if c := costs[0]; c[2] > 0.9*c[1] {
		return errors.New("zero copy saves no instructions")
	}
	return nil
}

// cost is what n bytes in blocks cost, in ns a byte. The second of two rounds is
// the one that counts: memory is in place then.
func cost(flags int, write bool, block, n int) (float64, error) {
	fd, err := unix.Open(filepath.Join(mnt, "f"), unix.O_RDWR|flags, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	b, err := unix.Mmap(-1, 0, block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		return 0, err
	}
	defer unix.Munmap(b)
	var took time.Duration
	for range 2 {
		_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
		start := time.Now()
		for off := 0; off < n; off += block {
			k := 0
			err := ignoringEINTR(func() (err error) {
				if write {
					k, err = unix.Pwrite(fd, b, int64(off))
				} else {
					k, err = unix.Pread(fd, b, int64(off))
				}
				return
			})
			if err != nil || k != block {
				return 0, fmt.Errorf("%d bytes at %d: %w", k, off, err)
			}
		}
		took = time.Since(start)
	}
	return float64(took.Nanoseconds()) / float64(n), nil
}
