package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// dataRows are those about reading and writing one file, by fio. No request is
// counted where an operation is one of a second's thousands; gates_test.go counts.
func dataRows() []row {
	rows := []row{
		fioRow("read 1M buffered", "MB/s", "--rw=read --bs=1M"),
		fioRow("read 1M direct", "MB/s", "--rw=read --bs=1M --direct=1"),
		fioRow("write 1M buffered + fsync", "MB/s", "--rw=write --bs=1M --end_fsync=1"),
		fioRow("write 1M direct", "MB/s", "--rw=write --bs=1M --direct=1"),
		fioRow("write 4k buffered + fsync", "MB/s", "--rw=write --bs=4k --end_fsync=1"),
		fioRow("randread 4k direct qd1", "IOPS", "--rw=randread --bs=4k --direct=1"),
		fioRow("randread 4k direct qd16", "IOPS", "--rw=randread --bs=4k --direct=1 --ioengine=io_uring --iodepth=16"),
		fioRow("randread 4k direct 4 jobs", "IOPS", "--rw=randread --bs=4k --direct=1 --numjobs=4"),
		fioRow("randwrite 4k direct qd1", "IOPS", "--rw=randwrite --bs=4k --direct=1"),
		fioRow("randwrite 4k direct qd16", "IOPS", "--rw=randwrite --bs=4k --direct=1 --ioengine=io_uring --iodepth=16"),
		fioRow("randwrite 4k direct 4 jobs", "IOPS", "--rw=randwrite --bs=4k --direct=1 --numjobs=4"),
		fioRow("preadv 256x4k direct", "MB/s", "--rw=read --bs=4k --direct=1 --ioengine=vsync --iodepth=256 --iodepth_batch=256"),
		fioRow("pwritev 256x4k direct", "MB/s", "--rw=write --bs=4k --direct=1 --ioengine=vsync --iodepth=256 --iodepth_batch=256"),
	}
	for _, n := range []string{"1", "2", "4", "8"} {
		rows = append(rows, fioRow("one file, 1M direct writes, "+n+" jobs", "MB/s", "--rw=randwrite --bs=1M --direct=1 --numjobs="+n))
	}
	return rows
}

func (b *bench) fileSize() int64 {
	if b.quick {
		return 128 << 20
	}
	return 1 << 30
}

// fioRow is a row about a file that has all its blocks.
func fioRow(name, unit, args string) row {
	return row{name: name, unit: unit, few: true,
		setup: func(p *place) error {
			return once(p.src+"/data", func(path string) error { return fill(path, p.b.fileSize()) })
		},
		work: func(p *place) (float64, float64, error) {
			// Buffered sequential rows go once over the file: a second time it would be cached.
			a := append(strings.Fields(args), fmt.Sprintf("--size=%d", p.b.fileSize()))
			if strings.Contains(args, "direct=1") {
				a = append(a, "--time_based", fmt.Sprintf("--runtime=%dms", int(p.b.seconds*1000)))
			}
			r, err := fio(p.dir, a...)
			if unit == "IOPS" {
				return r.ops, r.iops, err
			}
			return r.ops, r.bytes / 1e6, err
		}}
}

func fill(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := bytes.Repeat([]byte{0x5a}, 1<<20)
	for at := int64(0); at < size; at += int64(len(chunk)) {
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return f.Close()
}

// fioResult is what we need of fio's report.
type fioResult struct {
	ops, iops, bytes float64 // in all; a second; a second
}

// fio runs fio on the file called data in dir.
func fio(dir string, args ...string) (fioResult, error) {
	var r fioResult
	if _, err := exec.LookPath("fio"); err != nil {
		if err := packages("fio"); err != nil {
			return r, err
		}
	}
	cmd := exec.Command("fio", append([]string{"--name=x", "--filename=" + filepath.Join(dir, "data"),
		"--output-format=json", "--group_reporting", "--thread", "--norandommap", "--randrepeat=0",
		"--fallocate=none", "--allow_file_create=0", "--invalidate=0"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("fio %s: %w\n%s%s", strings.Join(args, " "), err, errs.Bytes(), out.Bytes())
	}
	type side struct {
		IOPS  float64 `json:"iops"`
		Bytes float64 `json:"bw_bytes"`
		Total float64 `json:"total_ios"`
	}
	var report struct {
		Jobs []struct {
			Error       int
			Read, Write side
		}
	}
	text := out.Bytes()
	if at := bytes.IndexByte(text, '{'); at > 0 { // notes come first
		text = text[at:]
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return r, fmt.Errorf("fio's report: %w\n%s", err, out.Bytes())
	}
	for _, j := range report.Jobs {
		if j.Error != 0 {
			return r, fmt.Errorf("fio %s: error %d\n%s", strings.Join(args, " "), j.Error, errs.Bytes())
		}
		r.iops += j.Read.IOPS + j.Write.IOPS
		r.bytes += j.Read.Bytes + j.Write.Bytes
		r.ops += j.Read.Total + j.Write.Total
	}
	return r, nil
}
