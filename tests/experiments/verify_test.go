package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/fusewire/fusewire/ops/passfs"
)

// TestVerify has fio write, and read again and compare: by three ways to ask the
// kernel, through the page cache and past it, one job and eight on one file.
func TestVerify(t *testing.T) {
	const part = 256 << 10 // of the file, for each job
	s := on(t)
	s.Each, s.AtATime, s.Parallel = 50*time.Microsecond, 8, passfs.ParallelAlways
	if err := fill(filepath.Join(s.Source, "f"), 8*part); err != nil {
		t.Fatal(err)
	}
	v, down := up(t, s)
	for _, engine := range []string{"psync", "libaio", "io_uring"} {
		for _, direct := range []int{0, 1} {
			for _, jobs := range []int{1, 8} {
				args := []string{"--filename=f", fmt.Sprintf("--size=%d", part), fmt.Sprintf("--offset_increment=%d", part),
					fmt.Sprintf("--numjobs=%d", jobs), "--ioengine=" + engine, "--iodepth=16", fmt.Sprintf("--direct=%d", direct),
					"--rw=randwrite", fmt.Sprintf("--bs=%dk", 4*(1+jobs%2*3)), "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
					fmt.Sprintf("--randseed=%d", dice(t))}
				if _, err := runFio(v.Dir, args...); err != nil {
					t.Errorf("%s, direct %d, %d jobs: %v", engine, direct, jobs, err)
				}
			}
		}
	}
	if n := down(); n.Writes == 0 || n.Reads == 0 || n.PeakStore < 2 {
		t.Errorf("%d writes, %d reads, %d at once: nothing was tested", n.Writes, n.Reads, n.PeakStore)
	}
}
