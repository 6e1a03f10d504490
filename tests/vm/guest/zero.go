package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// checkUnseen reads and writes a file of the mount and looks for its bytes in the
// server's memory: seen says whether they must be there or must not.
func checkUnseen(s *served, r *rand.Rand, seen bool) error {
	const size = 512 << 10
	for _, way := range []string{"read", "write"} {
		mark := random(r, 16)
		data := bytes.Repeat(mark, size/len(mark))
		name := "unseen-" + way
		before, err := s.stats()
		if err != nil {
			return err
		}
		if way == "read" {
			err = os.WriteFile(filepath.Join(src, name), data, 0o600)
		} else {
			err = os.WriteFile(filepath.Join(mnt, name), nil, 0o600)
		}
		if err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Join(mnt, name), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		found := 0
		for range 20 { // what is not used for a tenth of a second is given back
			got := make([]byte, size)
			if way == "read" {
				_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
				_, err = f.ReadAt(got, 0)
			} else if _, err = f.WriteAt(data, 0); err == nil {
				err = f.Sync()
			}
			if err == nil {
				err = s.cmd.Process.Signal(unix.SIGSTOP)
			}
			if err != nil {
				return err
			}
			n, err := s.holds(mark)
			if err := errors.Join(err, s.cmd.Process.Signal(unix.SIGCONT)); err != nil {
				return err
			}
			if way == "read" && !bytes.Equal(got, data) {
				return differ(got, data, nil)
			}
			if found += n; !seen || n > 0 {
				break
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
		if got, err := os.ReadFile(filepath.Join(src, name)); err != nil || !bytes.Equal(got, data) {
			return fmt.Errorf("%s: %w", way, differ(got, data, err))
		}
		after, err := s.stats()
		if err != nil {
			return err
		}
		moved, copied := after["zerobytes"]-before["zerobytes"], after["ringbytes"]-before["ringbytes"]
		note("%s of %d bytes: the kernel moved %d itself and copied %d to and from the server, in whose memory they were %d times",
			way, size, moved, copied, found)
		switch {
		case seen && (found == 0 || moved != 0 || copied < size):
			return fmt.Errorf("%s without zero copy: %d moved, %d copied, found %d times: nothing is proved", way, moved, copied, found)
		case !seen && (found != 0 || moved < size || copied > size/16):
			return fmt.Errorf("%s: %d moved, %d copied, found %d times", way, moved, copied, found)
		}
	}
	return nil
}

// holds counts how often mark is in the server's memory, which does not change
// meanwhile. Pages that are not there are not looked at.
func (s *served) holds(mark []byte) (int, error) {
	proc := fmt.Sprintf("/proc/%d/", s.cmd.Process.Pid)
	maps, err := os.ReadFile(proc + "maps")
	if err != nil {
		return 0, err
	}
	mem, err := os.Open(proc + "mem")
	if err != nil {
		return 0, err
	}
	defer mem.Close()
	pagemap, err := os.Open(proc + "pagemap")
	if err != nil {
		return 0, err
	}
	defer pagemap.Close()
	page := unix.Getpagesize()
	b, entry := make([]byte, page), make([]byte, 64<<10)
	n := 0
	for l := range strings.Lines(string(maps)) {
		span, rest, _ := strings.Cut(l, " ")
		lo, hi, _ := strings.Cut(span, "-")
		from, err1 := strconv.ParseUint(lo, 16, 64)
		to, err2 := strconv.ParseUint(hi, 16, 64)
		if err1 != nil || err2 != nil || !strings.HasPrefix(rest, "rw") {
			continue
		}
		for at := from; at < to; {
			k, err := pagemap.ReadAt(entry[:min(uint64(len(entry)), (to-at)/uint64(page)*8)], int64(at/uint64(page)*8))
			if err != nil {
				return 0, err
			}
			for e := entry[:k]; len(e) >= 8; e, at = e[8:], at+uint64(page) {
				if binary.NativeEndian.Uint64(e)>>62 == 0 { // neither present nor swapped
					continue
				}
				if _, err := mem.ReadAt(b, int64(at)); err == nil {
					n += bytes.Count(b, mark)
				}
			}
		}
	}
	return n, nil
}

// checkTruncated reads through the mount while the file's size changes below, and
// above. What is read is what was written, or zeros.
func checkTruncated(r *rand.Rand) error {
	const size = 256 << 10
	there, here := filepath.Join(mnt, "truncated"), filepath.Join(src, "truncated")
	data := random(r, size)
	if err := os.WriteFile(here, data, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(there, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var end sync.WaitGroup
	stop := make(chan struct{})
	for i, path := range []string{here, there} {
		rr := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
		end.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = os.Truncate(path, int64(rr.IntN(size)))
				if g, err := os.OpenFile(here, os.O_WRONLY, 0); err == nil {
					_, _ = g.WriteAt(data, 0)
					g.Close()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	short := 0
	err = func() error {
		buf := make([]byte, size)
		for range 150 {
			_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
			off := r.IntN(size)
			n, err := unix.Pread(int(f.Fd()), buf[:1+r.IntN(size-off)], int64(off))
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err
			}
			if n == 0 {
				short++
			}
			for i, b := range buf[:n] {
				if b != 0 && b != data[off+i] {
					return fmt.Errorf("%d bytes at %d: at %d it is %#x, not %#x", n, off, off+i, b, data[off+i])
				}
			}
		}
		return nil
	}()
	close(stop)
	end.Wait()
	note("of 150 reads of a file that is being truncated %d found its end", short)
	return err
}

// checkMany has more callers than the server's ring has entries, each with a file
// of its own. (Of one file, whose parts they share pages of, the kernel itself may
// read ahead what another is writing, and find it old in its cache for a moment: it
// drops its pages whenever the file's time has changed.)
func checkMany(r *rand.Rand) error {
	const callers, part = 24, 96<<10 + 777
	errs := make(chan error, callers)
	for i := range callers {
		r0 := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
		go func() {
			errs <- func() error {
				f, err := os.OpenFile(filepath.Join(mnt, fmt.Sprintf("many%d", i)), os.O_RDWR|os.O_CREATE, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				at := int64(r0.IntN(10_000))
				for range 3 {
					data := random(r0, part)
					if _, err := f.WriteAt(data, at); err != nil {
						return err
					}
					got := make([]byte, part)
					if _, err := f.ReadAt(got, at); err != nil {
						return err
					}
					if !bytes.Equal(got, data) {
						return fmt.Errorf("caller %d: %w", i, differ(got, data, nil))
					}
				}
				return nil
			}()
		}()
	}
	var err error
	for range callers {
		err = errors.Join(err, <-errs)
	}
	return err
}
