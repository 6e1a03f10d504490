package main

import "fmt"

// backing is kernel passthrough against the source itself, which it should be as
// fast as: the kernel goes there. What it is worth is shown by the same without.
func backing(b *bench) error {
	for _, direct := range []bool{false, true} {
		b.head(fmt.Sprintf("kernel passthrough, O_DIRECT %v", direct), "source", "passthrough")
		for _, bs := range []string{"4k", "1M"} {
			for _, depth := range []int{1, 16} {
				for _, rw := range []string{"read", "write"} {
					need := 0.93
					if rw == "write" {
						need = 0.85
					}
					if err := b.backing(direct, bs, depth, rw, need); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// backing measures one way of reading or writing: the source, passed through, and
// in requests.
func (b *bench) backing(direct bool, bs string, depth int, rw string, need float64) error {
	l := load{spec: b.spec(), size: 256 << 20}
	name := fmt.Sprintf("%s, %s, depth %d", rw, bs, depth)
	if bs == "4k" {
		rw = "rand" + rw
	}
	l.fio = b.timed("--bs="+bs, "--rw="+rw, fmt.Sprintf("--iodepth=%d", depth), "--ioengine=psync")
	if depth > 1 {
		l.fio[len(l.fio)-1] = "--ioengine=libaio"
	}
	if direct {
		l.fio = append(l.fio, "--direct=1")
	}
	native, passed, requests := l, l, l
	native.Native, passed.Passthrough = true, true
	passed.Count, requests.Count = true, true
	var n counts
	got, err := b.inTurn(native.iops(new(counts)), passed.iops(&n), requests.iops(new(counts)))
	if err != nil {
		return err
	}
	b.atLeast(name, "ops/s", got[0], got[1], need)
	b.equal(name, "READs and WRITEs", n.Reads+n.Writes, 0)
	b.atLeast(name+", without", "ops/s", got[0], got[2], 0)
	return nil
}
