package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// segments is how many buffers of a block each a vector of seed 3 has.
const segments = 256

// seed3 is scatter-gather direct I/O: one request for a vector of buffers, and
// as it was before, one for each. It was so before direct I/O was asynchronous,
// so that is off; and shown with it besides.
func seed3(b *bench) error {
	b.head("seed 3: preadv and pwritev of 256 × 4 KiB, O_DIRECT", "max_pages 1", "256")
	for _, async := range []bool{false, true} {
		one := load{spec: b.spec(), size: 64 << 20}
		one.NoAsyncDio = !async
		all := one
		one.MaxWrite = block
		for _, w := range []struct {
			name  string
			write bool
			need  float64
		}{{"preadv", false, 10}, {"pwritev", true, 2.5}} {
			as, bs, err := b.alternate(one.vectors(w.write, b.seconds), all.vectors(w.write, b.seconds))
			if err != nil {
				return err
			}
			if async {
				w.name, w.need = w.name+", ASYNC_DIO on", 0
			}
			b.atLeast(w.name, "calls/s", as, bs, w.need)
		}
	}
	for _, x := range []struct {
		name  string
		shift int
		want  uint64
	}{{"aligned", 0, 1}, {"not aligned", 512, 2}} {
		for _, write := range []bool{false, true} {
			n, err := requests(b.spec(), x.shift, write)
			if err != nil {
				return err
			}
			b.equal(fmt.Sprintf("%s, write %v", x.name, write), "requests a call", n, x.want)
		}
	}
	return nil
}

// vector is a file and buffers to transfer.
type vector struct {
	fd    int
	mem   []byte
	bufs  [][]byte
	write bool
}

// newVector opens path with O_DIRECT. The buffers begin shift bytes into a page.
func newVector(path string, shift int, write bool) (*vector, error) {
	v := &vector{write: write}
	var err error
	if v.fd, err = unix.Open(path, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	v.mem, err = unix.Mmap(-1, 0, (segments+1)*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return nil, errors.Join(err, unix.Close(v.fd))
	}
	for i := range segments {
		at := i*block + shift
		v.bufs = append(v.bufs, unsafe.Slice(&v.mem[at], block))
	}
	return v, nil
}

// transfer is one call.
func (v *vector) transfer(off int64) error {
	call := unix.Preadv
	if v.write {
		call = unix.Pwritev
	}
	n, err := call(v.fd, v.bufs, off)
	if err == nil && n != segments*block {
		err = fmt.Errorf("%d bytes of %d", n, segments*block)
	}
	return err
}

func (v *vector) close() error {
	return errors.Join(unix.Munmap(v.mem), unix.Close(v.fd))
}

// vectors returns what transfers vectors for a time and returns how many a
// second.
func (l load) vectors(write bool, seconds float64) func() (float64, error) {
	return func() (float64, error) {
		if err := l.layOut(); err != nil {
			return 0, err
		}
		s, err := l.start()
		if err != nil {
			return 0, err
		}
		per, err := func() (float64, error) {
			v, err := newVector(filepath.Join(s.Dir, "f"), 0, write)
			if err != nil {
				return 0, err
			}
			begin, calls, off := time.Now(), 0, int64(0)
			for err == nil && time.Since(begin).Seconds() < seconds {
				err = v.transfer(off)
				off = (off + segments*block) % l.size
				calls++
			}
			took := time.Since(begin).Seconds()
			return float64(calls) / took, errors.Join(err, v.close())
		}()
		_, err2 := s.stop()
		return per, errors.Join(err, err2)
	}
}

// requests returns how many requests one vector becomes.
func requests(sp spec, shift int, write bool) (uint64, error) {
	l := load{spec: sp, size: segments * block}
	l.Count = true
	if err := fill(filepath.Join(l.Source, "v"), l.size); err != nil {
		return 0, err
	}
	s, err := l.start()
	if err != nil {
		return 0, err
	}
	v, err := newVector(filepath.Join(s.Dir, "v"), shift, write)
	if err == nil {
		err = errors.Join(v.transfer(0), v.close())
	}
	n, err2 := s.stop()
	return n.Reads + n.Writes, errors.Join(err, err2)
}
