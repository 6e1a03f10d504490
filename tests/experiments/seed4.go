package main

import (
	"fmt"
	"time"

	"github.com/fusewire/fusewire/ops/passfs"
)

// jobs are how many write at once.
var jobs = []int{1, 2, 4, 8, 16, 32}

// seed4 is parallel direct writes on one file, which is as long as it is going to
// be: writes that extend a file take turns whatever the flag.
func seed4(b *bench) error {
	for _, bs := range []string{"4k", "64k"} {
		b.head("seed 4: one file, a store of 1 ms, blocks of "+bs, "flag off", "flag on")
		one := load{spec: b.spec(), size: 64 << 20}
		one.Each, one.AtATime, one.MaxMerge, one.DirectIO = time.Millisecond, 64, 1, true
		if err := b.scaling(one, bs); err != nil {
			return err
		}
	}
	return nil
}

// writers returns l with n jobs.
func (b *bench) writers(l load, n int, bs string) load {
	l.fio = b.timed("--ioengine=sync", "--direct=1", "--bs="+bs, "--rw=randwrite:256", "--rw_sequencer=sequential",
		fmt.Sprintf("--numjobs=%d", n), "--zero_buffers", "--gtod_reduce=1")
	return l
}

func (b *bench) scaling(on load, bs string) error {
	off := on
	off.Parallel = passfs.ParallelNever
	var a1, b1, last series
	for _, n := range jobs {
		as, bs, _, bn, err := b.iops(b.writers(off, n, bs), b.writers(on, n, bs))
		if err != nil {
			return err
		}
		if n == 1 {
			a1, b1 = as, bs
		}
		b.atLeast(fmt.Sprintf("%d jobs", n), "IOPS", as, bs, 0)
		b.atMost("  off, against one job", "IOPS", a1, as, 1.25)
		switch {
		case n > 16:
			b.atLeast("  on, against 16 jobs", "IOPS", last, bs, 1.05)
		case n > 1:
			b.atLeast("  on, against one job", "IOPS", b1, bs, 0.8*float64(n))
		}
		b.equal("  at once in the store, on", "ops", uint64(bn.PeakStore), uint64(n))
		last = bs
	}
	return nil
}

// shared is the source's own experiment: the store's writes are left out, and one
// file is compared with one for each job.
func shared(b *bench) error {
	b.head("seed 4: 1 MiB blocks, no store", "one file, flag off | a file per job", "one file, flag on")
	on := load{spec: b.spec(), size: 64 << 20}
	on.DirectIO, on.NoWrites = true, true
	off, each := on, on
	off.Parallel = passfs.ParallelNever
	for _, n := range jobs {
		each.files = n
		var as, bs, cs series
		for range b.rounds {
			for _, x := range []struct {
				l  load
				to *series
			}{{off, &as}, {on, &bs}, {each, &cs}} {
				r, _, err := b.writers(x.l, n, "1m").measure()
				if err != nil {
					return err
				}
				*x.to = append(*x.to, r.Bytes/(1<<20))
			}
		}
		need := 1.6
		if n == 1 {
			need = 0
		}
		b.atLeast(fmt.Sprintf("%d jobs, against flag off", n), "MiB/s", as, bs, need)
		b.atLeast(fmt.Sprintf("%d jobs, against a file per job", n), "MiB/s", cs, bs, 0.9)
	}
	return nil
}
