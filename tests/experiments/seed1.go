package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fusewire/fusewire/ops/passfs"
)

// seed1 is asynchronous direct I/O: ASYNC_DIO off and on. O_DIRECT alone, not
// FOPEN_DIRECT_IO, which would make one blocking call's requests take turns.
func seed1(b *bench) error {
	b.head("seed 1: asynchronous direct I/O", "ASYNC_DIO off", "on")
	deep := load{spec: b.spec(), size: 64 << 20}
	deep.Each, deep.AtATime, deep.Parallel, deep.MaxMerge = time.Millisecond, 256, passfs.ParallelNever, 1
	for _, rw := range []string{"randread", "randwrite"} {
		deep.fio = b.timed("--ioengine=libaio", "--iodepth=64", "--direct=1", "--bs=4k", "--rw="+rw)
		off := deep
		off.NoAsyncDio = true
		as, bs, an, bn, err := b.iops(off, deep)
		if err != nil {
			return err
		}
		b.atLeast("store of 1 ms, "+rw+" 4 KiB, depth 64", "IOPS", as, bs, 30)
		b.equal("  at once in the store, off", "ops", uint64(an.PeakStore), 1)
		b.equal("  at once in the store, on", "ops", uint64(bn.PeakStore), 64)
	}
	full := deep
	full.MaxBackground = 48
	full.fio = b.timed("--ioengine=libaio", "--iodepth=128", "--direct=1", "--bs=4k", "--rw=randread")
	_, n, err := full.measure()
	if err != nil {
		return err
	}
	b.equal("max_background 48, depth 128: at once", "ops", uint64(n.PeakStore), 48)
	return b.tmpfsRows()
}

// tmpfsRows are the four rows of the source's table.
func (b *bench) tmpfsRows() error {
	plain := load{spec: b.spec(), size: 512 << 20}
	plain.Parallel = passfs.ParallelNever
	off := plain
	off.NoAsyncDio = true
	for _, d := range []struct {
		name string
		args []string
	}{
		{"dd iflag=direct", []string{"of=/dev/null", "if=f", "bs=2M", "count=256", "iflag=direct"}},
		{"dd oflag=direct", []string{"if=/dev/zero", "of=f", "bs=2M", "count=256", "oflag=direct", "conv=notrunc"}},
	} {
		as, bs, err := b.alternate(off.dd(d.args), plain.dd(d.args))
		if err != nil {
			return err
		}
		b.above1("tmpfs, "+d.name+" bs=2M count=256", "MB/s", as, bs)
	}
	// aio-stress -a 4 -b 1 -c 1: a record is 64 KiB unless told otherwise.
	for _, rw := range []string{"read", "write"} {
		plain.fio = b.timed("--ioengine=libaio", "--iodepth=4", "--direct=1", "--bs=64k", "--rw="+rw)
		off.fio = plain.fio
		as, bs, _, _, err := b.iops(off, plain)
		if err != nil {
			return err
		}
		b.above1("tmpfs, libaio depth 4, "+rw+" 64 KiB", "IOPS", as, bs)
	}
	return nil
}

// above1 adds a comparison of which the direction counts.
func (t *table) above1(name, unit string, a, b series) {
	r := row{name: name, unit: unit, a: a, b: b, ratio: b.median() / a.median(), need: "> 1"}
	r.ok = r.ratio > 1
	t.add(r)
}

// dd returns what runs dd on a mount of l once and returns its MB/s. The mount
// needs no writing back, so it is over when dd is.
func (l load) dd(args []string) func() (float64, error) {
	return func() (float64, error) {
		if err := l.layOut(); err != nil {
			return 0, err
		}
		v, err := l.start()
		if err != nil {
			return 0, err
		}
		cmd := exec.Command("dd", args...)
		cmd.Dir = v.Dir
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(begin)
		if err != nil {
			err = fmt.Errorf("dd %s in %s: %w\n%s", strings.Join(args, " "), filepath.Base(v.Dir), err, out)
		}
		_, err2 := v.stop()
		return float64(l.size) / 1e6 / took.Seconds(), errors.Join(err, err2)
	}
}
