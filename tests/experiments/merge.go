package main

import "time"

// merge is what merging adjacent ops is worth over a store that is slow and not
// very parallel, and what it costs where there is nothing to merge.
func merge(b *bench) error {
	b.head("merging: a store of 1 ms an op, 4 at a time", "not merged", "merged")
	alone := load{spec: b.spec(), size: 64 << 20}
	alone.Each, alone.AtATime, alone.MaxMerge, alone.Count = time.Millisecond, 4, 1, true
	joint := alone
	joint.MaxMerge = 0
	run := func(depth, rw string) (as, bs series, an, bn counts, err error) {
		alone.fio = b.timed("--ioengine=libaio", "--iodepth="+depth, "--direct=1", "--bs=4k", "--rw="+rw)
		joint.fio = alone.fio
		return b.iops(alone, joint)
	}
	for _, rw := range []string{"write", "read"} {
		as, bs, an, bn, err := run("64", rw)
		if err != nil {
			return err
		}
		b.atLeast("sequential "+rw+", 4 KiB, depth 64", "IOPS", as, bs, 4)
		b.atMost("  ops of the store a request", "1", an.perRequest(), bn.perRequest(), 1.0/8)
	}
	for _, rw := range []string{"randwrite", "randread"} {
		as, bs, _, _, err := run("64", rw)
		if err != nil {
			return err
		}
		b.atLeast(rw+", 4 KiB, depth 64", "IOPS", as, bs, 0.95)
	}
	for _, rw := range []string{"write", "read"} {
		as, bs, _, _, err := run("1", rw)
		if err != nil {
			return err
		}
		b.atMost("a lone "+rw+", 4 KiB: latency", "µs", as.inverse(1e6), bs.inverse(1e6), 1.02)
	}
	return nil
}

// inverse returns the times of so many events per time.
func (s series) inverse(unit float64) series {
	t := make(series, len(s))
	for i, x := range s {
		t[i] = unit / x
	}
	return t
}

func (n *counts) perRequest() series {
	return series{float64(n.Calls) / float64(n.Reads+n.Writes)}
}
