package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// fsxMax is the largest size of fsx's file.
const fsxMax = 128 << 10

// model is a file, and what must be in it.
type model struct {
	path   string
	r      *rand.Rand
	fd     int
	direct int // the same file with O_DIRECT, or -1
	want   []byte
	buf    []byte // page-aligned
	page   int
	noise  []byte // what is written comes from here
	ee     []byte // 0xee all over
}

// fsx does n random operations on the file path and on a copy in memory.
func fsx(path string, r *rand.Rand, n int) error {
	buf, err := unix.Mmap(-1, 0, fsxMax, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer unix.Munmap(buf)
	m := &model{path: path, r: r, fd: -1, direct: -1, buf: buf, page: unix.Getpagesize(), noise: random(r, fsxMax+4096), ee: bytes.Repeat([]byte{0xee}, fsxMax)}
	if err := m.open(); err != nil {
		return err
	}
	defer func() { m.close() }()
	for i := range n {
		name, err := m.step()
		if err != nil {
			return fmt.Errorf("operation %d, %s: %w", i, name, err)
		}
	}
	return nil
}

func (m *model) open() (err error) {
	if m.fd, err = unix.Open(m.path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644); err != nil {
		return err
	}
	m.direct, err = unix.Open(m.path, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err == unix.EINVAL { // the source cannot: tmpfs before 6.6
		m.direct, err = -1, nil
	}
	return err
}

func (m *model) close() error {
	if m.direct >= 0 {
		unix.Close(m.direct)
	}
	return unix.Close(m.fd)
}

// span is a random range, in the file or a little behind its end.
func (m *model) span() (off, n int) {
	off = m.r.IntN(min(len(m.want)+20_000, fsxMax-1))
	return off, 1 + m.r.IntN(min(fsxMax-off, []int{10, 5000, 50_000}[m.r.IntN(3)]))
}

// grow makes the copy at least n long.
func (m *model) grow(n int) {
	if n > len(m.want) {
		m.want = append(m.want, make([]byte, n-len(m.want))...)
	}
}

// step is one operation.
func (m *model) step() (string, error) {
	off, n := m.span()
	fd := m.fd
	switch k := m.r.IntN(20); {
	case k < 10: // read or write
		name := "plain"
		if m.direct >= 0 && m.r.IntN(3) == 0 {
			name, fd = "O_DIRECT", m.direct
			off = off / m.page * m.page
			n = min((n+m.page-1)/m.page*m.page, fsxMax-off)
		}
		if k < 5 {
			return fmt.Sprintf("%s read of %d at %d", name, n, off), m.read(fd, off, n)
		}
		return fmt.Sprintf("%s write of %d at %d", name, n, off), m.write(fd, off, n)
	case k < 13:
		size := m.r.IntN(fsxMax)
		if k == 12 { // to about where it ends
			size = min(max(0, len(m.want)-5000+m.r.IntN(10_000)), fsxMax)
		}
		if size < len(m.want) {
			m.want = m.want[:size]
		}
		m.grow(size)
		return fmt.Sprintf("truncate to %d", size), unix.Ftruncate(fd, int64(size))
	case k < 15:
		err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(n))
		if off < len(m.want) {
			clear(m.want[off:min(off+n, len(m.want))])
		}
		return fmt.Sprintf("hole of %d at %d", n, off), err
	case k < 17:
		return fmt.Sprintf("mapped access of %d at %d", n, off), m.mapped(off, n)
	case k == 17:
		return "fsync", unix.Fsync(fd)
	case k == 18:
		if err := m.close(); err != nil {
			return "close", err
		}
		m.fd, m.direct = -1, -1
		return "open", m.open()
	default:
		return fmt.Sprintf("size of %d", len(m.want)), m.size()
	}
}

func (m *model) read(fd, off, n int) error {
	// What is not read must not be changed.
	copy(m.buf, m.ee[:n])
	got := 0
	err := ignoringEINTR(func() (err error) { got, err = unix.Pread(fd, m.buf[:n], int64(off)); return })
	if err != nil {
		return err
	}
	want := []byte{}
	if off < len(m.want) {
		want = m.want[off:min(off+n, len(m.want))]
	}
	if !bytes.Equal(m.buf[:got], want) {
		return differ(m.buf[:got], want, nil)
	}
	if !bytes.Equal(m.buf[got:n], m.ee[got:n]) {
		return errors.New("memory behind what was read was changed")
	}
	return nil
}

func (m *model) write(fd, off, n int) error {
	copy(m.buf[:n], m.noise[m.r.IntN(len(m.noise)-n):])
	done := 0
	err := ignoringEINTR(func() (err error) { done, err = unix.Pwrite(fd, m.buf[:n], int64(off)); return })
	if err != nil || done != n {
		return fmt.Errorf("%d bytes: %w", done, err)
	}
	m.grow(off + n)
	copy(m.want[off:], m.buf[:n])
	return nil
}

// mapped changes and reads a part of the file through mmap.
func (m *model) mapped(off, n int) error {
	if off >= len(m.want) {
		return nil
	}
	n = min(n, len(m.want)-off)
	at := off / m.page * m.page
	b, err := unix.Mmap(m.fd, int64(at), off-at+n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err == unix.ENODEV { // direct I/O, and a kernel that has no shared mappings with it
		return nil
	}
	if err != nil {
		return err
	}
	p := b[off-at : off-at+n]
	if !bytes.Equal(p, m.want[off:off+n]) {
		err = differ(p, m.want[off:off+n], nil)
	}
	for i := m.r.IntN(n); i < n; i += 1 + m.r.IntN(2000) {
		p[i]++
		m.want[off+i]++
	}
	// Other ways to the file may pass the page cache.
	if e := unix.Msync(b, unix.MS_SYNC); e != nil && err == nil {
		err = fmt.Errorf("msync: %w", e)
	}
	return errors.Join(err, unix.Munmap(b))
}

func (m *model) size() error {
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		return err
	}
	if int(st.Size) != len(m.want) {
		return fmt.Errorf("it is %d", st.Size)
	}
	return nil
}
