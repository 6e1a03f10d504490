package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fioResult is what we need of fio's report.
type fioResult struct {
	IOPS  float64 // of reads and writes together
	Bytes float64 // a second
}

// runFio runs fio in dir. What it leaves behind when it fails is in the error.
func runFio(dir string, args ...string) (fioResult, error) {
	var r fioResult
	path, err := exec.LookPath("fio")
	if err != nil {
		return r, errors.New("fio is missing: as root, run: .ci/packages fio")
	}
	cmd := exec.Command(path, append([]string{
		"--name=x", "--output-format=json", "--group_reporting", "--thread",
		"--allow_file_create=0", "--fallocate=none", "--randrepeat=1",
	}, args...)...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("fio %s: %w\n%s%s", strings.Join(args, " "), err, errs.Bytes(), out.Bytes())
	}
	type side struct {
		IOPS  float64 `json:"iops"`
		Bytes float64 `json:"bw_bytes"`
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
		r.IOPS += j.Read.IOPS + j.Write.IOPS
		r.Bytes += j.Read.Bytes + j.Write.Bytes
	}
	return r, nil
}

// load is a mount under a workload: what is compared with another.
type load struct {
	spec
	size  int64    // of each file
	files int      // named f.0, f.1, ...; 0 is one, called f
	fio   []string // arguments, without names
}

// measure runs l once, on files that have all their blocks already.
func (l load) measure() (fioResult, counts, error) {
	if err := l.layOut(); err != nil {
		return fioResult{}, counts{}, err
	}
	args := append([]string{fmt.Sprintf("--size=%d", l.size)}, l.fio...)
	if l.files == 0 {
		args = append(args, "--filename=f")
	} else {
		args = append(args, "--filename_format=f.$jobnum")
	}
	if l.Native {
		r, err := runFio(l.Source, args...)
		return r, counts{}, err
	}
	v, err := l.start()
	if err != nil {
		return fioResult{}, counts{}, err
	}
	r, err := runFio(v.Dir, args...)
	n, err2 := v.stop()
	return r, n, errors.Join(err, err2)
}

func (l load) layOut() error {
	names := []string{"f"}
	if l.files > 0 {
		names = nil
		for i := range l.files {
			names = append(names, fmt.Sprintf("f.%d", i))
		}
	}
	for _, n := range names {
		if err := fill(filepath.Join(l.Source, n), l.size); err != nil {
			return err
		}
	}
	return nil
}

// fill makes a file of size bytes, none of them a hole, unless there is one.
func fill(path string, size int64) error {
	if st, err := os.Stat(path); err == nil && st.Size() == size {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	chunk := bytes.Repeat([]byte{0x5a}, 1<<20)
	for at := int64(0); at < size && err == nil; at += int64(len(chunk)) {
		_, err = f.Write(chunk[:min(int64(len(chunk)), size-at)])
	}
	return errors.Join(err, f.Close())
}
