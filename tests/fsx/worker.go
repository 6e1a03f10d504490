package main

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio/uring"
)

// slots is how many files a worker may have open.
const slots = 6

// worker carries out ops in a process of its own.
type worker struct {
	path  string // of the files, without their last letter
	mem   []byte // what is read and written; shared with the parent
	most  int    // bytes that a file may have
	files [slots]file
	aio   kaio
	ring  ring
}

// file is an open file.
type file struct {
	fd   int
	open bool
	m    []byte // all that the file may become, mapped when first needed
}

// work is a worker's life. Its arguments are in the environment; memory is
// descriptor 3.
func work(path string, size, most int) error {
	mem, err := unix.Mmap(3, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	debug.SetPanicOnFault(true) // SIGBUS is a result
	unix.Umask(0o022)
	w := &worker{path: path, mem: mem, most: most}
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	for {
		var o op
		if err := in.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		r := w.try(&o)
		if err := out.Encode(&r); err != nil {
			return err
		}
	}
}

// try is do, with faults as notes.
func (w *worker) try(o *op) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r.Note = fmt.Sprint(p)
		}
	}()
	n, err := w.do(o)
	r.N = n
	if e, ok := err.(unix.Errno); ok {
		r.Errno = int(e)
	} else if err != nil {
		r.Note = err.Error()
	}
	return r
}

func (w *worker) do(o *op) (int64, error) {
	f := &w.files[o.S]
	b := w.mem
	if o.N >= 0 && o.N <= int64(len(b)) {
		b = b[:o.N]
	}
	switch o.Kind {
	case "open":
		fd, err := unix.Open(w.path+o.A, o.Mode|unix.O_CLOEXEC, 0o644)
		if err == nil {
			*f = file{fd: fd, open: true}
		}
		return 0, err
	case "close":
		return 0, f.close()
	case "read":
		return f.read(b, o)
	case "write":
		fill(b, o.X)
		return f.write(b, o)
	case "aioread", "ringread", "aiowrite", "ringwrite":
		return w.async(f, b, o)
	case "aiofsync":
		return first(w.aio.rw(iocbFsync, f.fd, [][]byte{nil}, 0))
	case "ringfsync":
		return first(w.ring.rw(uring.OpFsync, f.fd, [][]byte{nil}, 0))
	case "mapread", "mapwrite":
		return w.mapped(f, b, o)
	case "truncate":
		if o.A != "" {
			return 0, unix.Truncate(w.path+o.A, o.Off)
		}
		return 0, unix.Ftruncate(f.fd, o.Off)
	case "fallocate":
		return 0, eintr(func() error { return unix.Fallocate(f.fd, uint32(o.Mode), o.Off, o.N) })
	case "copy":
		return copyRange(w.files[o.S2].fd, o.Off2, f.fd, o.Off, o.N)
	case "fsync":
		return 0, unix.Fsync(f.fd)
	case "fdatasync":
		return 0, unix.Fdatasync(f.fd)
	case "drop": // what is clean from the page cache
		return 0, unix.Fadvise(f.fd, o.Off, o.N, unix.FADV_DONTNEED)
	case "syncrange":
		return 0, unix.SyncFileRange(f.fd, o.Off, o.N, unix.SYNC_FILE_RANGE_WRITE)
	case "stat":
		var st unix.Stat_t
		err := unix.Fstat(f.fd, &st)
		if o.A != "" {
			err = unix.Stat(w.path+o.A, &st)
		}
		return st.Size, err
	case "seek":
		return unix.Seek(f.fd, o.Off, o.Mode)
	case "rename":
		return 0, unix.Rename(w.path+o.A, w.path+o.B)
	case "exchange":
		return 0, unix.Renameat2(unix.AT_FDCWD, w.path+o.A, unix.AT_FDCWD, w.path+o.B, unix.RENAME_EXCHANGE)
	case "unlink":
		return 0, unix.Unlink(w.path + o.A)
	case "whole":
		return whole(w.path+o.A, w.mem)
	}
	return 0, fmt.Errorf("no such op: %s", o.Kind)
}

func first(res []int64, e unix.Errno) (int64, error) {
	if e != 0 {
		return 0, e
	}
	return sum(res)
}

// sum adds up what parts came to; one that failed is the whole's error.
func sum(res []int64) (n int64, err error) {
	for _, r := range res {
		if r < 0 {
			return n, unix.Errno(-r)
		}
		n += r
	}
	return n, nil
}

func eintr(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func (f *file) close() error {
	if f.m != nil {
		if err := unix.Munmap(f.m); err != nil {
			return err
		}
	}
	fd := f.fd
	*f = file{}
	return unix.Close(fd)
}

// read reads all of b, or to the end.
func (f *file) read(b []byte, o *op) (int64, error) {
	var n int
	var err error
	switch o.X % 4 {
	case 0:
		if _, err := unix.Seek(f.fd, o.Off, unix.SEEK_SET); err != nil {
			return 0, err
		}
		n, err = unix.Read(f.fd, b)
	case 1:
		cut := len(b) / 2 &^ (pageSize - 1) // for O_DIRECT
		n, err = unix.Preadv(f.fd, [][]byte{b[:cut], b[cut:]}, o.Off)
	default:
		n, err = unix.Pread(f.fd, b, o.Off)
	}
	return int64(max(n, 0)), err
}

func (f *file) write(b []byte, o *op) (int64, error) {
	var n int
	var err error
	switch o.X >> 8 % 4 {
	case 0:
		if _, err := unix.Seek(f.fd, o.Off, unix.SEEK_SET); err != nil {
			return 0, err
		}
		n, err = unix.Write(f.fd, b)
	case 1:
		cut := len(b) / 2 &^ (pageSize - 1)
		n, err = unix.Pwritev(f.fd, [][]byte{b[:cut], b[cut:]}, o.Off)
	default:
		n, err = unix.Pwrite(f.fd, b, o.Off)
	}
	return int64(max(n, 0)), err
}

// parts cuts b into at most n, at pages of the file if it begins at one.
func parts(b []byte, n int) (l [][]byte) {
	each := max(len(b)/n&^(pageSize-1), pageSize)
	for len(b) > each && len(l) < n-1 {
		l = append(l, b[:each])
		b = b[each:]
	}
	return append(l, b)
}

func (w *worker) async(f *file, b []byte, o *op) (int64, error) {
	l := parts(b, 1+int(o.X>>16%pieces))
	switch o.Kind {
	case "aioread":
		return first(w.aio.rw(iocbRead, f.fd, l, o.Off))
	case "ringread":
		return first(w.ring.rw(uring.OpRead, f.fd, l, o.Off))
	}
	fill(b, o.X)
	if o.Mode != 0 { // O_APPEND: the order is not ours
		l = [][]byte{b}
	}
	if o.Kind == "aiowrite" {
		return first(w.aio.rw(iocbWrite, f.fd, l, o.Off))
	}
	return first(w.ring.rw(uring.OpWrite, f.fd, l, o.Off))
}

// mapped copies out of the file's mapping or into it: one that stays as long as the
// open file, or one of its own. A read goes on to the end of its last page, which
// the model says something of too.
func (w *worker) mapped(f *file, b []byte, o *op) (int64, error) {
	from := o.Off &^ int64(pageSize-1)
	prot := unix.PROT_READ
	if o.Mode != 0 { // may be written
		prot |= unix.PROT_WRITE
	}
	var m []byte
	if o.X%2 == 0 {
		if f.m == nil {
			var err error
			if f.m, err = unix.Mmap(f.fd, 0, w.most, prot, unix.MAP_SHARED); err != nil {
				return 0, err
			}
		}
		m = f.m[from:]
	} else {
		var err error
		if m, err = unix.Mmap(f.fd, from, int(o.Off-from)+len(b), prot, unix.MAP_SHARED); err != nil {
			return 0, err
		}
		defer unix.Munmap(m)
	}
	at := m[o.Off-from:][:len(b)]
	if o.Kind == "mapread" {
		return int64(copy(b, at)), nil
	}
	fill(b, o.X)
	n := copy(at, b)
	if o.X>>8%8 == 0 {
		end := int(o.Off-from) + len(b)
		return int64(n), unix.Msync(m[:end], unix.MS_SYNC)
	}
	return int64(n), nil
}

// copyRange is one copy_file_range(2). Another one would meet what this one has put
// behind the end of the source.
func copyRange(from int, off int64, to int, at, n int64) (int64, error) {
	for {
		c, err := unix.CopyFileRange(from, &off, to, &at, int(n), 0)
		if err != unix.EINTR {
			return int64(max(c, 0)), err
		}
	}
}

// whole reads a file from its beginning to its end.
func whole(name string, b []byte) (int64, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	done := 0
	for done < len(b) {
		n, err := unix.Read(fd, b[done:])
		if err != nil || n == 0 {
			return int64(done), err
		}
		done += n
	}
	return int64(done), nil
}
