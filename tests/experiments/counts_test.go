package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/fusewire/fusewire/ops/passfs"
)

func (l load) must(t *testing.T) counts {
	t.Helper()
	_, n, err := l.measure()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAsyncDio: with ASYNC_DIO as many requests are in service as max_background
// lets through, without it one.
func TestAsyncDio(t *testing.T) {
	for _, rw := range []string{"randread", "randwrite"} {
		for _, off := range []bool{false, true} {
			l := load{spec: on(t), size: 8 << 20}
			l.Each, l.AtATime, l.MaxMerge, l.MaxBackground = 2*time.Millisecond, 256, 1, 48
			l.NoAsyncDio = off
			want, ios := 48, 2000
			if off {
				want, ios = 1, 100
			}
			l.fio = []string{"--ioengine=libaio", "--iodepth=128", "--direct=1", "--bs=4k", "--rw=" + rw, fmt.Sprintf("--number_ios=%d", ios)}
			if n := l.must(t); n.PeakStore != want || n.Reads+n.Writes != uint64(ios) {
				t.Errorf("%s, ASYNC_DIO off %v: %d at once, want %d; %d requests, want %d", rw, off, n.PeakStore, want, n.Reads+n.Writes, ios)
			}
		}
	}
}

// TestMerge: sequential requests reach the store eight to one, if not fewer; random ones do
// as they are, and so do lone ones.
func TestMerge(t *testing.T) {
	for _, c := range []struct {
		rw         string
		depth, ios int
		most       float64
	}{{"write", 64, 4000, 1.0 / 8}, {"read", 64, 4000, 1.0 / 8}, {"randwrite", 64, 500, 1}, {"read", 1, 100, 1}} {
		l := load{spec: on(t), size: 16 << 20}
		l.Each, l.AtATime = 2*time.Millisecond, 4
		l.fio = []string{"--ioengine=libaio", fmt.Sprintf("--iodepth=%d", c.depth), "--direct=1", "--bs=4k", "--rw=" + c.rw, fmt.Sprintf("--number_ios=%d", c.ios)}
		n := l.must(t)
		if got := uint64(c.ios); n.Reads+n.Writes != got || n.Bytes != got*block {
			t.Errorf("%s: %d reads, %d writes, %d bytes for %d blocks", c.rw, n.Reads, n.Writes, n.Bytes, got)
		}
		if per := n.perRequest()[0]; per > c.most || c.depth == 1 && per != 1 {
			t.Errorf("%s, depth %d: %d ops of the store for %d requests", c.rw, c.depth, n.Calls, c.ios)
		}
	}
}

// TestVectors: a vector of 256 pages is one request, and two where it begins within
// a page; with max_pages 1 it is as many as it has pages.
func TestVectors(t *testing.T) {
	s := on(t)
	for _, write := range []bool{false, true} {
		for _, c := range []struct {
			shift    int
			maxWrite uint32
			want     uint64
		}{{0, 0, 1}, {512, 0, 2}, {0, block, segments}} {
			s.MaxWrite = c.maxWrite
			got, err := requests(s, c.shift, write)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("write %v, shifted by %d, max_write %d: %d requests, want %d", write, c.shift, c.maxWrite, got, c.want)
			}
		}
	}
}

// TestParallelWrites: direct writes to one file are in the store side by side with
// the flag, one at a time without.
func TestParallelWrites(t *testing.T) {
	for _, off := range []bool{false, true} {
		l := load{spec: on(t), size: 4 << 20}
		l.Each, l.AtATime, l.MaxMerge, l.DirectIO = 2*time.Millisecond, 64, 1, true
		want := 8
		if off {
			l.Parallel, want = passfs.ParallelNever, 1
		}
		l.fio = []string{"--ioengine=sync", "--direct=1", "--bs=4k", "--rw=randwrite", "--numjobs=8", "--number_ios=20"}
		if n := l.must(t); n.PeakStore != want || n.Writes != 160 {
			t.Errorf("flag off %v: %d at once, want %d; %d writes", off, n.PeakStore, want, n.Writes)
		}
	}
}

// TestCopies: 1 MiB requests are carried out where they lie, by the reader and by an
// engine: nothing is copied in user space.
func TestCopies(t *testing.T) {
	for _, atATime := range []int{0, 4} {
		for _, rw := range []string{"read", "write"} {
			l := load{spec: on(t), size: 16 << 20}
			l.AtATime, l.Count = atATime, true
			l.fio = []string{"--ioengine=libaio", "--iodepth=4", "--direct=1", "--bs=1m", "--rw=" + rw}
			if n := l.must(t); n.Copied != 0 || n.Reads+n.Writes != 16 {
				t.Errorf("%s, %d at a time: %d bytes copied, %d requests, want 0 and 16", rw, atATime, n.Copied, n.Reads+n.Writes)
			}
		}
	}
}

// TestWriteBack: blocks of 4 KiB reach the store as a few large ops, if the kernel
// holds them back, or passfs does.
func TestWriteBack(t *testing.T) {
	for _, kernel := range []bool{true, false} {
		l := load{spec: on(t), size: 32 << 20}
		l.Each, l.AtATime, l.MaxMerge, l.Count = time.Millisecond, 64, 1, true
		l.Writeback, l.WriteCache = kernel, !kernel
		var n counts
		if _, err := l.ddNew(4<<10, &n)(); err != nil {
			t.Fatal(err)
		}
		writes := uint64(l.size) / 4096
		if kernel {
			writes = uint64(l.size) / (256 << 10) // 1 MiB, where memory is not scarce
		}
		if most := uint64(l.size) / (256 << 10); n.Calls > most || n.Writes > writes || !kernel && n.Writes != writes {
			t.Errorf("kernel %v: %d WRITEs, %d ops of the store, at most %d are well", kernel, n.Writes, n.Calls, most)
		}
	}
}
