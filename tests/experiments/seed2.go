package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/fusewire/fusewire/ops/passfs"
)

// seed2 is write-back: no cache, the kernel's, our own. Every figure includes the
// fsync at the end, so that all of it is in the store. Ours still gets a request for
// each write(2), so that with small blocks it can be no faster than a mount without
// a store: that is what it is held to there.
func seed2(b *bench) error {
	for _, c := range []struct {
		name, as string
		small    float64 // required for blocks of 4 KiB
		on       func(*load)
	}{
		{"the kernel's", "--writeback", 50, func(l *load) { l.Writeback = true }},
		{"our own", "--wb-cache=on", 0, func(l *load) { l.WriteCache = true }},
	} {
		b.head("seed 2: write-back, "+c.name+" cache", "off", c.as)
		for _, x := range []struct {
			bs      int
			off, on int64
			least   float64
			each    time.Duration
		}{
			{4 << 10, 4 << 20, 128 << 20, c.small, time.Millisecond},
			{128 << 10, 64 << 20, 512 << 20, 6, time.Millisecond},
			{4 << 10, 128 << 20, 128 << 20, 0.95, 0},
			{128 << 10, 512 << 20, 512 << 20, 0.95, 0},
			{1 << 20, 512 << 20, 512 << 20, 0.95, 0},
		} {
			off := load{spec: b.spec(), size: x.off}
			off.Count, off.Parallel = true, passfs.ParallelNever
			if x.each > 0 {
				off.Each, off.AtATime, off.MaxMerge = x.each, 64, 1
			}
			on := off
			on.size = x.on
			c.on(&on)
			var a, z counts
			as, bs, err := b.alternate(off.ddNew(x.bs, &a), on.ddNew(x.bs, &z))
			if err != nil {
				return err
			}
			where := "tmpfs"
			if x.each > 0 {
				where = "store of 1 ms"
			}
			b.atLeast(fmt.Sprintf("%s, dd bs=%dk", where, x.bs>>10), "MB/s", as, bs, x.least)
			b.atLeast("  bytes a WRITE", "KiB", series{a.perWrite(x.off)}, series{z.perWrite(x.on)}, 0)
			if x.each > 0 && x.least == 0 {
				floor := load{spec: b.spec(), size: x.on}
				floor.Count, floor.Parallel = true, passfs.ParallelNever
				as, bs, err := b.alternate(floor.ddNew(x.bs, new(counts)), on.ddNew(x.bs, new(counts)))
				if err != nil {
					return err
				}
				b.atLeast("  A: no store, no cache", "MB/s", as, bs, 0.9)
			}
			if x.each > 0 {
				b.atLeast("  bytes an op of the store", "KiB", series{float64(a.Bytes) / float64(a.Calls) / 1024}, series{float64(z.Bytes) / float64(z.Calls) / 1024}, 0)
			}
		}
	}
	return nil
}

// perWrite is how large the WRITEs were that made size bytes, in KiB.
func (n counts) perWrite(size int64) float64 { return float64(size) / float64(max(n.Writes, 1)) / 1024 }

// ddNew returns what writes a new file of l's size, block by block, syncs it and
// returns its MB/s.
func (l load) ddNew(bs int, n *counts) func() (float64, error) {
	return func() (float64, error) {
		v, err := l.start()
		if err != nil {
			return 0, err
		}
		name := filepath.Join(v.Dir, "new")
		cmd := exec.Command("dd", "if=/dev/zero", "of="+name, fmt.Sprint("bs=", bs), fmt.Sprint("count=", l.size/int64(bs)), "conv=fsync")
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(begin)
		if err != nil {
			err = fmt.Errorf("dd: %w\n%s", err, out)
		} else if st, err2 := os.Stat(filepath.Join(l.Source, "new")); err2 != nil || st.Size() != l.size {
			err = fmt.Errorf("the source has not got it: %w", err2)
		}
		err = errors.Join(err, os.Remove(name))
		got, err2 := v.stop()
		*n = got
		return float64(l.size) / 1e6 / took.Seconds(), errors.Join(err, err2)
	}
}
