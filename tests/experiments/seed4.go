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

// scaling compares each number of jobs with one, and the last with the one before.
func (b *bench) scaling(on load, bs string) error {
	off := on
	off.Parallel = passfs.ParallelNever
	for i, n := range jobs {
		few, need := 1, 0.8*float64(n)
		if n > 16 {
			few, need = jobs[i-1], 1.05
		}
		var ignored, most counts
		s, err := b.inTurn(b.writers(off, 1, bs).iops(&ignored), b.writers(off, n, bs).iops(&ignored),
			b.writers(on, few, bs).iops(&ignored), b.writers(on, n, bs).iops(&most))
		if err != nil {
			return err
		}
		b.atLeast(fmt.Sprintf("%d jobs", n), "IOPS", s[1], s[3], 0)
		b.equal("  at once in the store, on", "ops", uint64(most.PeakStore), uint64(n))
		if n > 1 {
			b.atMost("  off: A 1 job, B all", "IOPS", s[0], s[1], 1.25)
			b.atLeast(fmt.Sprintf("  on: A %d jobs, B all", few), "IOPS", s[2], s[3], need)
		}
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
		s, err := b.inTurn(b.writers(off, n, "1m").mibps, b.writers(on, n, "1m").mibps, b.writers(each, n, "1m").mibps)
		if err != nil {
			return err
		}
		need := 1.6
		if n == 1 {
			need = 0
		}
		b.atLeast(fmt.Sprintf("%d jobs, against flag off", n), "MiB/s", s[0], s[1], need)
		b.atLeast(fmt.Sprintf("%d jobs, against a file per job", n), "MiB/s", s[2], s[1], 0.9)
	}
	return nil
}
