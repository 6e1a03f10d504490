package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// burst has each of n blocks written at once, by a thread of its own, and returns
// what each was told.
func burst(t *testing.T, fd, n int, gen uint64) []error {
	t.Helper()
	got := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		b := alignedBlocks(1)
		stamp(b, uint64(i), gen)
		wg.Go(func() {
			got[i] = whole(unix.Pwrite, fd, b, int64(i)*block)
		})
	}
	wg.Wait()
	return got
}

// TestBadBlocks: blocks in the middle of merged writes cannot be written. Those
// who wrote them get EIO, and nobody else anything.
func TestBadBlocks(t *testing.T) {
	const n = 64
	s := on(t)
	s.Each, s.AtATime, s.DirectIO = 10*time.Millisecond, 2, true
	bad := map[int]bool{7: true, 8: true, 31: true, 50: true}
	for i := range n {
		if bad[i] {
			s.Bad = append(s.Bad, int64(i)*block)
		}
	}
	src := filepath.Join(s.Source, "f")
	zeros(t, src, n)
	v, down := up(t, s)
	fd, done := open(t, filepath.Join(v.Dir, "f"), unix.O_RDWR|unix.O_DIRECT)
	const rounds = 4
	for gen := range uint64(rounds) {
		for i, err := range burst(t, fd, n, gen+1) {
			if bad[i] && err != unix.EIO || !bad[i] && err != nil {
				t.Errorf("block %d: %v", i, err)
			}
		}
	}
	each(t, src, n, func(n int, gen uint64) error {
		if want := map[bool]uint64{false: rounds}[bad[n]]; gen != want {
			return fmt.Errorf("generation %d, want %d", gen, want)
		}
		return nil
	})
	done()
	if e := down().Engine; e.Merged == 0 || e.Retried == 0 {
		t.Errorf("%d merged, %d carried out again: nothing was tested", e.Merged, e.Retried)
	}
}

// TestNoSpace: a file of holes is written until the file system is full, also in the
// middle of merged writes. Who was told that a block was written finds it; the others
// get ENOSPC and leave a hole.
func TestNoSpace(t *testing.T) {
	const n, room = 96, 40
	s := on(t)
	if err := unix.Mount("tmpfs", s.Source, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", room*block)); err != nil {
		t.Fatal(err)
	}
	s.Each, s.AtATime, s.DirectIO = 20*time.Millisecond, 2, true // time for all to queue
	src := filepath.Join(s.Source, "f")
	zeros(t, src, 0)
	if err := unix.Truncate(src, n*block); err != nil {
		t.Fatal(err)
	}
	v, down := up(t, s)
	fd, done := open(t, filepath.Join(v.Dir, "f"), unix.O_RDWR|unix.O_DIRECT)
	got := burst(t, fd, n, 1)
	written := 0
	for i, err := range got {
		if err == nil {
			written++
		} else if err != unix.ENOSPC {
			t.Errorf("block %d: %v", i, err)
		}
	}
	if written == 0 || written > room || written == n {
		t.Errorf("%d of %d blocks written, with room for %d", written, n, room)
	}
	each(t, src, n, func(n int, gen uint64) error {
		if (gen == 1) != (got[n] == nil) {
			return fmt.Errorf("generation %d, and its writer was told %v", gen, got[n])
		}
		return nil
	})
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size != n*block {
		t.Errorf("the size is %d, want %d: %v", st.Size, n*block, err)
	}
	done()
	if e := down().Engine; e.Merged == 0 || e.Retried == 0 {
		t.Errorf("%d merged, %d carried out again: nothing was tested", e.Merged, e.Retried)
	}
}

// TestFailedExtension: direct writes beyond the end that fail leave no size behind.
func TestFailedExtension(t *testing.T) {
	const n = 16
	for _, direct := range []bool{false, true} {
		s := on(t)
		s.Each, s.AtATime, s.DirectIO = time.Millisecond, 4, direct
		for i := n; i < 2*n; i++ {
			s.Bad = append(s.Bad, int64(i)*block)
		}
		src := filepath.Join(s.Source, "f")
		zeros(t, src, n)
		v, _ := up(t, s)
		fd, done := open(t, filepath.Join(v.Dir, "f"), unix.O_RDWR|unix.O_DIRECT)
		for i, err := range burst(t, fd, 2*n, 1) {
			if i < n && err != nil || i >= n && err != unix.EIO {
				t.Errorf("block %d: %v", i, err)
			}
		}
		var above, below unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &above), unix.Stat(src, &below)); err != nil {
			t.Fatal(err)
		}
		if above.Size != n*block || below.Size != n*block {
			t.Errorf("FOPEN_DIRECT_IO %v: the size is %d, in the source %d, want %d", direct, above.Size, below.Size, n*block)
		}
		done()
	}
}

// TestKilledWriters: a process dies by SIGKILL with requests in flight. Every
// block is whole, others go on, and nothing is left of it in the server.
func TestKilledWriters(t *testing.T) {
	const threads, own, kills = 24, 2, 3
	for _, direct := range []bool{false, true} {
		s := on(t)
		s.Each, s.AtATime, s.DirectIO = 5*time.Millisecond, 4, direct
		src := filepath.Join(s.Source, "f")
		zeros(t, src, threads*own+1)
		v, down := up(t, s)
		path := filepath.Join(v.Dir, "f")
		r := rand.New(rand.NewPCG(dice(t), 0))
		for range kills {
			text, err := json.Marshal(writerSpec{Path: path, Threads: threads, Blocks: own})
			if err != nil {
				t.Fatal(err)
			}
			kill(t, string(text), 15*time.Millisecond+time.Duration(r.IntN(20000))*time.Microsecond)
			fd, done := open(t, path, unix.O_RDWR|unix.O_DIRECT)
			b := alignedBlocks(1)
			stamp(b, threads*own, 1)
			if err := whole(unix.Pwrite, fd, b, threads*own*block); err != nil {
				t.Error("after the kill:", err)
			}
			done()
		}
		each(t, src, threads*own+1, func(n int, gen uint64) error {
			if n == threads*own && gen != 1 {
				return fmt.Errorf("generation %d, want 1", gen)
			}
			return nil
		})
		n := down()
		if n.Engine.Ops != 0 || n.Engine.Submitted != n.Engine.Done {
			t.Errorf("left in the engine: %d of %d", n.Engine.Ops, n.Engine.Submitted)
		}
		if direct && n.Engine.PeakOps < 2 {
			t.Errorf("%d requests at once: nothing was tested", n.Engine.PeakOps)
		}
	}
}

// kill starts a writer and kills it after a time.
func kill(t *testing.T, text string, after time.Duration) {
	t.Helper()
	cmd, err := again(writerVar, text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "writing\n" {
		t.Errorf("the writer says %q: %v", line, err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	if st, ok := cmd.ProcessState.Sys().(interface{ Signaled() bool }); !ok || !st.Signaled() {
		t.Errorf("the writer ended by itself: %v", cmd.ProcessState)
	}
}
