package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/ops/passfs"
)

// stores are servers whose direct writes are asynchronous, merged and out of
// order, as far as they may be.
func stores(t *testing.T, f func(t *testing.T, s spec)) {
	for _, c := range []struct {
		name string
		set  func(*spec)
	}{
		{"O_DIRECT", func(*spec) {}},
		{"FOPEN_DIRECT_IO", func(s *spec) { s.DirectIO = true }},
		{"parallel with O_DIRECT", func(s *spec) { s.Parallel = passfs.ParallelAlways }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := on(t)
			s.Each, s.AtATime = 100*time.Microsecond, 4
			c.set(&s)
			f(t, s)
		})
	}
}

// written is one write of a block: a generation and when it went on.
type written struct {
	gen        uint64
	begin, end time.Time
}

// TestDirectWriters: some write blocks of their own, and all of them a few shared
// ones, several at a time. Each block ends up whole: its owner's last, or if it is
// shared one that no other came after.
func TestDirectWriters(t *testing.T) {
	const writers, own, shared, writes = 12, 8, 16, 60
	stores(t, func(t *testing.T, s spec) {
		src := filepath.Join(s.Source, "f")
		zeros(t, src, shared+writers*own)
		v, down := up(t, s)
		fd, done := open(t, filepath.Join(v.Dir, "f"), unix.O_RDWR|unix.O_DIRECT)
		var mu sync.Mutex
		var logs [shared][]written
		last := make([]uint64, shared+writers*own)
		crowd(t, writers, func(me int, r *rand.Rand) error {
			b := alignedBlocks(4)
			for w := range writes {
				gen := uint64(me*writes+w) + 1
				at, n, mine := shared+me*own+r.IntN(own), 1, w%2 == 0
				if !mine {
					n = 1 + r.IntN(4)
					at = r.IntN(shared - n + 1)
				}
				for i := range n {
					stamp(b[i*block:][:block], uint64(at+i), gen)
				}
				begin := time.Now()
				if err := whole(unix.Pwrite, fd, b[:n*block], int64(at)*block); err != nil {
					return err
				}
				end := time.Now()
				if mine {
					last[at] = gen
					continue
				}
				mu.Lock()
				for i := range n {
					logs[at+i] = append(logs[at+i], written{gen, begin, end})
				}
				mu.Unlock()
			}
			return nil
		})
		for _, path := range []string{filepath.Join(v.Dir, "f"), src} {
			each(t, path, len(last), func(n int, gen uint64) error {
				if n < shared {
					return lastOf(logs[n], gen)
				}
				if gen != last[n] {
					return fmt.Errorf("generation %d, want %d", gen, last[n])
				}
				return nil
			})
		}
		done()
		if n := down(); n.PeakStore < 2 && s.Parallel == passfs.ParallelAlways {
			t.Errorf("%d op at a time: nothing was tested", n.PeakStore)
		}
	})
}

// lastOf returns an error if gen is not of a write after which no other began.
func lastOf(log []written, gen uint64) error {
	if gen == 0 && len(log) == 0 {
		return nil
	}
	for _, w := range log {
		if w.gen != gen {
			continue
		}
		for _, later := range log {
			if later.begin.After(w.end) {
				return fmt.Errorf("generation %d, but that of %d was written after it", gen, later.gen)
			}
		}
		return nil
	}
	return fmt.Errorf("generation %d was not written here", gen)
}

// each calls f for the first n blocks of a file and their generations, 0 for those
// that are zero. They must be whole.
func each(t *testing.T, path string, n int, f func(n int, gen uint64) error) {
	t.Helper()
	fd, done := open(t, path, unix.O_RDONLY)
	defer done()
	b := alignedBlocks(1)
	for i := range n {
		err := whole(unix.Pread, fd, b, int64(i)*block)
		if err == nil {
			var gen uint64
			if gen, err = stamped(b, uint64(i)); err == nil {
				err = f(i, gen)
			}
		}
		if err != nil {
			t.Errorf("%s, block %d: %v", path, i, err)
		}
	}
}

// TestMixedAccess: each has pages of its own, of one file, and writes and reads
// them with O_DIRECT, through the page cache and through a mapping. It finds
// what it wrote, and so does the source.
func TestMixedAccess(t *testing.T) {
	const users, own, writes = 6, 6, 60
	stores(t, func(t *testing.T, s spec) {
		src := filepath.Join(s.Source, "f")
		zeros(t, src, users*own)
		v, _ := up(t, s)
		path := filepath.Join(v.Dir, "f")
		direct, closeDirect := open(t, path, unix.O_RDWR|unix.O_DIRECT)
		cached, closeCached := open(t, path, unix.O_RDWR)
		m, err := unix.Mmap(cached, 0, users*own*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		// a page that somebody else's readahead brings in is not what is tested
		err = errors.Join(unix.Madvise(m, unix.MADV_RANDOM), unix.Fadvise(cached, 0, 0, unix.FADV_RANDOM))
		if err != nil {
			t.Fatal(err)
		}
		last := make([]uint64, users*own)
		crowd(t, users, func(me int, r *rand.Rand) error {
			b := alignedBlocks(1)
			for w := range writes {
				at := me*own + r.IntN(own)
				gen, off := uint64(w+1), int64(at)*block
				stamp(b, uint64(at), gen)
				how := r.IntN(3)
				err := access(how, b, m[off:][:block], direct, cached, off, true)
				if err != nil {
					return fmt.Errorf("write %d by %d: %w", w, how, err)
				}
				last[at] = gen
				clear(b)
				by := r.IntN(3)
				err = access(by, b, m[off:][:block], direct, cached, off, false)
				var got uint64
				if err == nil {
					got, err = stamped(b, uint64(at))
				}
				if err != nil || got != gen {
					return fmt.Errorf("block %d written by %d, read by %d: generation %d, want %d, %w", at, how, by, got, gen, err)
				}
			}
			return nil
		})
		if err := errors.Join(unix.Msync(m, unix.MS_SYNC), unix.Munmap(m), unix.Fsync(cached)); err != nil {
			t.Error(err)
		}
		closeDirect()
		closeCached()
		each(t, src, len(last), func(n int, gen uint64) error {
			if gen != last[n] {
				return fmt.Errorf("generation %d, want %d", gen, last[n])
			}
			return nil
		})
	})
}

// access reads or writes a block by one of three ways.
func access(how int, b, m []byte, direct, cached int, off int64, write bool) error {
	call := unix.Pread
	if write {
		call = unix.Pwrite
	}
	fd := direct
	switch how {
	case 1:
		fd = cached
	case 2:
		if write {
			copy(m, b)
		} else {
			copy(b, m)
		}
		return nil
	}
	return whole(call, fd, b, off)
}

// TestTruncate: files are cut and made longer under direct writers. A block is
// then what its owner last wrote, or zero; and the size is that of the last
// change of it.
func TestTruncate(t *testing.T) {
	const writers, own, writes, cuts = 6, 8, 50, 60
	stores(t, func(t *testing.T, s spec) {
		src := filepath.Join(s.Source, "f")
		zeros(t, src, writers*own)
		v, _ := up(t, s)
		path := filepath.Join(v.Dir, "f")
		fd, done := open(t, path, unix.O_RDWR|unix.O_DIRECT)
		last := make([]uint64, writers*own)
		crowd(t, writers+1, func(me int, r *rand.Rand) error {
			if me == writers {
				for range cuts {
					if err := unix.Ftruncate(fd, int64(r.IntN(writers*own+1))*block); err != nil {
						return err
					}
				}
				return nil
			}
			b := alignedBlocks(1)
			for w := range writes {
				at := me*own + r.IntN(own)
				stamp(b, uint64(at), uint64(w+1))
				if err := whole(unix.Pwrite, fd, b, int64(at)*block); err != nil {
					return err
				}
				last[at] = uint64(w + 1)
			}
			return nil
		})
		var above, below unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &above), unix.Stat(src, &below)); err != nil {
			t.Fatal(err)
		}
		if above.Size != below.Size || above.Size%block != 0 {
			t.Errorf("the size is %d, in the source %d", above.Size, below.Size)
		}
		if err := unix.Ftruncate(fd, int64(len(last))*block); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, src} {
			each(t, p, len(last), func(n int, gen uint64) error {
				if gen != 0 && gen != last[n] || gen != 0 && int64(n)*block >= below.Size {
					return fmt.Errorf("generation %d, want %d or none", gen, last[n])
				}
				return nil
			})
		}
		done()
	})
}
