package main

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

// inode is a file, or with base a part of one, as it has to be.
type inode struct {
	data  []byte
	base  int64 // where data begins
	total int64 // the file's size if data is a part of it, else -1
}

func (i *inode) size() int64 {
	if i.total >= 0 {
		return i.total
	}
	return int64(len(i.data))
}

func (i *inode) resize(n int64) {
	if have := int64(len(i.data)); n > have {
		i.data = append(i.data, make([]byte, n-have)...)
	} else {
		i.data = i.data[:n]
	}
}

// at returns what is there of n bytes at off.
func (i *inode) at(off, n int64) []byte {
	off -= i.base
	have := int64(len(i.data))
	if off >= have {
		return nil
	}
	return i.data[off:min(off+n, have)]
}

// handle is an open file.
type handle struct {
	i     *inode
	flags int
}

func (h *handle) reads() bool   { return h.flags&unix.O_ACCMODE != unix.O_WRONLY }
func (h *handle) writes() bool  { return h.flags&unix.O_ACCMODE != unix.O_RDONLY }
func (h *handle) appends() bool { return h.flags&unix.O_APPEND != 0 }
func (h *handle) direct() bool  { return h.flags&unix.O_DIRECT != 0 }

// model is all that ought to be.
type model struct {
	names map[string]*inode
	files [][slots]*handle // by worker
	none  map[string]int   // ops that were not supported, by kind
	done  map[string]int   // the others
}

func newModel(workers int) *model {
	return &model{names: map[string]*inode{}, files: make([][slots]*handle, workers), none: map[string]int{}, done: map[string]int{}}
}

// apply compares a result with what must have come of o, and lets it have
// happened. mem is what was read.
func (m *model) apply(o *op, r *result, mem []byte) error {
	if r.Note != "" {
		return fmt.Errorf("%s", r.Note)
	}
	e := unix.Errno(r.Errno)
	kind := o.Kind
	switch {
	case kind == "fallocate":
		kind = fmt.Sprintf("fallocate %#x", o.Mode)
		if e == unix.EOPNOTSUPP {
			m.none[kind]++
			return nil
		}
	case kind == "mapread" || kind == "mapwrite":
		if e == unix.ENODEV { // FOPEN_DIRECT_IO before 6.6
			m.none[kind]++
			return nil
		}
	}
	want, err := m.happen(o, r, mem)
	if err != nil {
		return err
	}
	if e != want {
		return fmt.Errorf("%v, want %v", name(e), name(want))
	}
	m.done[kind]++
	return nil
}

func name(e unix.Errno) string {
	if e == 0 {
		return "success"
	}
	return unix.ErrnoName(e)
}

// count is an error unless r came to n bytes.
func count(r *result, n int64) error {
	if r.Errno == 0 && r.N != n {
		return fmt.Errorf("%d, want %d", r.N, n)
	}
	return nil
}

func (m *model) happen(o *op, r *result, mem []byte) (unix.Errno, error) {
	h := m.files[o.W][o.S]
	switch o.Kind {
	case "open":
		i := m.names[o.A]
		switch {
		case i == nil && o.Mode&unix.O_CREAT == 0:
			return unix.ENOENT, nil
		case i != nil && o.Mode&unix.O_EXCL != 0:
			return unix.EEXIST, nil
		case i == nil:
			i = &inode{total: -1}
			m.names[o.A] = i
		case o.Mode&unix.O_TRUNC != 0:
			i.resize(0)
		}
		m.files[o.W][o.S] = &handle{i, o.Mode}
	case "close":
		m.files[o.W][o.S] = nil
	case "read", "aioread", "ringread":
		return 0, compare(h.i.at(o.Off, o.N), r, mem, o.Off)
	case "mapread":
		return 0, m.mapread(o, h.i, r, mem)
	case "write", "aiowrite", "ringwrite", "mapwrite":
		off := o.Off
		if h.appends() && o.Kind != "mapwrite" {
			off = h.i.size()
		}
		if r.Errno == 0 {
			h.i.write(off, o.N, o.X)
		}
		return 0, count(r, o.N)
	case "truncate":
		i := m.names[o.A]
		if o.A == "" {
			i = h.i
		} else if i == nil {
			return unix.ENOENT, nil
		}
		i.resize(o.Off)
	case "fallocate":
		m.fallocate(o, h.i)
	case "copy":
		from := m.files[o.W][o.S2].i.at(o.Off2, o.N)
		if r.N > int64(len(from)) || r.Errno == 0 && r.N == 0 && len(from) > 0 {
			return 0, fmt.Errorf("%d, want some of %d", r.N, len(from))
		}
		from = bytes.Clone(from[:r.N])
		if r.N > 0 {
			h.i.room(o.Off, r.N)
			copy(h.i.at(o.Off, r.N), from)
		}
	case "stat":
		i := m.names[o.A]
		if o.A == "" {
			i = h.i
		} else if i == nil {
			return unix.ENOENT, nil
		}
		return 0, count(r, i.size())
	case "seek":
		return h.i.seek(o, r)
	case "rename", "exchange":
		a, b := m.names[o.A], m.names[o.B]
		if a == nil || b == nil && o.Kind == "exchange" {
			return unix.ENOENT, nil
		}
		m.names[o.B] = a
		if o.Kind == "exchange" {
			m.names[o.A] = b
		} else if o.A != o.B {
			delete(m.names, o.A)
		}
	case "unlink":
		if m.names[o.A] == nil {
			return unix.ENOENT, nil
		}
		delete(m.names, o.A)
	case "whole":
		i := m.names[o.A]
		if i == nil {
			return unix.ENOENT, nil
		}
		return 0, compare(i.data, r, mem, 0)
	}
	return 0, nil
}

// room makes the file reach at least to off+n.
func (i *inode) room(off, n int64) {
	if i.total < 0 && off+n > i.size() {
		i.resize(off + n)
	}
}

func (i *inode) write(off, n int64, x uint64) {
	i.room(off, n)
	fill(i.at(off, n), x)
}

func (m *model) fallocate(o *op, i *inode) {
	const keep, punch, zero, collapse, insert = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE
	switch {
	case o.Mode == collapse:
		copy(i.data[o.Off:], i.data[o.Off+o.N:])
		i.resize(i.size() - o.N)
		return
	case o.Mode == insert:
		i.resize(i.size() + o.N)
		copy(i.data[o.Off+o.N:], i.data[o.Off:])
		clear(i.data[o.Off : o.Off+o.N])
		return
	case o.Mode&keep == 0:
		i.room(o.Off, o.N)
	}
	if o.Mode&(punch|zero) != 0 {
		clear(i.at(o.Off, o.N))
	}
}

// mapread: what was copied out of pages begins with the data and ends with zeros.
func (m *model) mapread(o *op, i *inode, r *result, mem []byte) error {
	want := i.at(o.Off, o.N)
	if rest := mem[len(want):o.N]; r.Errno == 0 && len(bytes.TrimLeft(rest, "\x00")) > 0 {
		return fmt.Errorf("the page behind the end, at %d, is not zero", o.Off+int64(len(want)))
	}
	if err := count(r, o.N); err != nil {
		return err
	}
	r.N = int64(len(want))
	return compare(want, r, mem, o.Off)
}

// compare is an error unless want was read, all of it.
func compare(want []byte, r *result, mem []byte, off int64) error {
	if r.Errno != 0 {
		return nil
	}
	got := mem[:r.N]
	if bytes.Equal(got, want) {
		return nil
	}
	n := min(len(got), len(want))
	at, bad := n, 0
	for i := range n {
		if got[i] != want[i] {
			at = min(at, i)
			bad++
		}
	}
	return fmt.Errorf("%d bytes read, want %d; %d of them are wrong, the first at %d: %x, want %x", len(got), len(want), bad,
		off+int64(at), got[at:min(at+16, len(got))], want[at:min(at+16, len(want))])
}

// seek checks SEEK_DATA and SEEK_HOLE, which may take zeros for data.
func (i *inode) seek(o *op, r *result) (unix.Errno, error) {
	rest := i.at(o.Off, i.size())
	data := nonzero(rest)
	switch {
	case len(rest) == 0:
		return unix.ENXIO, nil
	case r.Errno == int(unix.ENXIO) && o.Mode == unix.SEEK_DATA && data < 0:
		return unix.ENXIO, nil
	case r.Errno != 0:
		return 0, nil
	case r.N < o.Off || r.N > i.size():
		return 0, fmt.Errorf("%d is behind the file or before %d", r.N, o.Off)
	case o.Mode == unix.SEEK_DATA && (data >= 0 && r.N > o.Off+int64(data) || r.N == i.size()):
		return 0, fmt.Errorf("data at %d, but there are some at %d of %d", r.N, o.Off+int64(data), i.size())
	case o.Mode == unix.SEEK_HOLE && r.N < i.size() && i.data[r.N] != 0:
		return 0, fmt.Errorf("data in the hole at %d", r.N)
	}
	return 0, nil
}

// nonzero returns where b's first byte that is not zero is, -1 if there is none.
func nonzero(b []byte) int {
	for n, c := range b {
		if c != 0 {
			return n
		}
	}
	return -1
}
