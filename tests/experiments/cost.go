package main

import (
	"fmt"
	"time"
)

// cost is the server's processor time and what it copies in user space, for 1 MiB
// transfers: carried out by the reader of the request, and handed to an engine.
func cost(b *bench) error {
	b.head("the server's cost of 1 MiB direct transfers", "by the reader", "by an engine")
	const gigabytes = 4
	for _, rw := range []string{"read", "write"} {
		own := load{spec: b.spec(), size: 64 << 20}
		own.fio = []string{"--ioengine=libaio", "--iodepth=4", "--direct=1", "--bs=1m", "--rw=" + rw,
			fmt.Sprintf("--io_size=%d", gigabytes*1_000_000_000), "--zero_buffers"}
		engine := own
		engine.Each, engine.AtATime, engine.MaxMerge = time.Nanosecond, 4, 1
		var copied uint64
		per := func(l load) func() (float64, error) {
			return func() (float64, error) {
				_, n, err := l.measure()
				copied += n.Copied
				return n.CPU.Seconds() / gigabytes, err
			}
		}
		as, bs, err := b.alternate(per(own), per(engine))
		if err != nil {
			return err
		}
		b.atLeast(rw, "CPU s/GB", as, bs, 0)
		b.equal(rw+", copied in user space", "bytes", copied, 0)
	}
	return nil
}
