package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// op is one operation. What a field means is the kind's business.
type op struct {
	Kind string
	W    int    // the worker
	S    int    // its open file
	Off  int64  // in the file
	N    int64  // bytes
	S2   int    // copy: the open file to copy from
	Off2 int64  // ... and where
	Mode int    // open: flags; fallocate: mode; seek: whence
	X    uint64 // the data, and how it is done
	A, B string // names: "a", "b", "c"
}

const format = "%s w=%d s=%d off=%d n=%d s2=%d off2=%d mode=%#x x=%#x a=%s b=%s"

func (o *op) String() string {
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	return fmt.Sprintf(format, o.Kind, o.W, o.S, o.Off, o.N, o.S2, o.Off2, o.Mode, o.X, dash(o.A), dash(o.B))
}

// parseOp is String's inverse.
func parseOp(line string) (o op, err error) {
	_, err = fmt.Sscanf(line, strings.ReplaceAll(format, "%#x", "%v"), &o.Kind, &o.W, &o.S, &o.Off, &o.N, &o.S2, &o.Off2, &o.Mode, &o.X, &o.A, &o.B)
	o.A, o.B = strings.Trim(o.A, "-"), strings.Trim(o.B, "-")
	return o, err
}

// readProgram reads what save has written.
func readProgram(name string) (l []op, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		o, err := parseOp(s.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, len(l)+1, err)
		}
		l = append(l, o)
	}
	return l, nil
}

// save writes a program where it stays, and returns its name.
func save(l []op) (string, error) {
	f, err := os.CreateTemp("", "fsx-*.program")
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	for i := range l {
		fmt.Fprintln(w, &l[i])
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// fill makes b the data of x.
func fill(b []byte, x uint64) {
	x |= 1
	for len(b) >= 8 {
		x *= 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(b, x^x>>29)
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(x >> 40)
	}
}

// result is what a worker says to an op. What was read is in its memory.
type result struct {
	N     int64
	Errno int
	Note  string // of what is none of the op's errors
}
