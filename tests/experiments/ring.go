package main

import "fmt"

// ring is /dev/fuse against io_uring: the rings' threads are tied to a CPU each
// and serve what is asked there. That wins where a request's way to another CPU
// would be long (one client, or one for each CPU), and loses where one client's
// requests could be served on several CPUs at once: a queue deep, on one CPU, has
// one thread.
func ring(b *bench) error {
	b.head("io_uring", "/dev/fuse", "io_uring")
	dev := b.spec()
	dev.Null = true
	need := map[string]float64{"stat, one client": 1, fmt.Sprintf("stat, %d clients", clients): 1.4}
	for _, w := range b.nullLoads() {
		if err := b.overRing(dev, w, need[w.name]); err != nil {
			return err
		}
	}
	b.head("io_uring, passfs on tmpfs", "/dev/fuse", "io_uring")
	dev = b.spec()
	dev.DirectIO = true
	one := load{spec: dev, size: 64 << 20}
	for _, w := range []struct {
		name string
		need float64
		fio  []string
	}{
		{"4 KiB random reads, depth 1", 1, []string{"--ioengine=psync"}},
		{fmt.Sprintf("4 KiB random reads, %d jobs", clients), 1.4, []string{"--ioengine=psync", fmt.Sprintf("--numjobs=%d", clients)}},
		{"4 KiB random reads, depth 16", 0, []string{"--ioengine=libaio", "--iodepth=16"}},
	} {
		one.fio = b.timed(append(w.fio, "--direct=1", "--rw=randread", "--bs=4k", "--gtod_reduce=1")...)
		other := one
		other.Ring = true
		as, bs, _, _, err := b.iops(one, other)
		if err != nil {
			return err
		}
		b.atLeast(w.name, "IOPS", as, bs, w.need)
	}
	b.head("io_uring, client and server on one CPU", "/dev/fuse", "io_uring")
	dev = b.spec()
	dev.Null, dev.Pinned = true, true
	return b.overRing(dev, nullLoad{"stat, one client", "/s", func(dir string) (x float64, err error) {
		onFirst(func() { x, err = statOf(dir, b.seconds) })
		return x, err
	}}, 0.95)
}

// overRing compares a load on one server with the same over io_uring.
func (b *bench) overRing(dev spec, w nullLoad, need float64) error {
	over := dev
	over.Ring = true
	as, bs, err := b.alternate(
		func() (float64, error) { return inGo(dev, w.run) },
		func() (float64, error) { return inGo(over, w.run) })
	if err != nil {
		return err
	}
	b.atLeast(w.name, w.unit, as, bs, need)
	return nil
}
