package crash

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Variables by which this binary learns that it is to be the writer.
const (
	dirVar  = "FUSEWIRE_CRASH_DIR"
	seedVar = "FUSEWIRE_CRASH_SEED"
)

// writer writes and has it made durable, for as long as that works.
type writer struct {
	dir  string
	t    *table
	rng  *rand.Rand
	fds  [files]int // O_RDWR
	sync [files]int // O_DSYNC
	m    [files][]byte
	log  int
}

// write is the life of the writer. A line on its standard input starts a round, another
// one ends it; what came of it goes to standard output. The table is descriptor 3.
func write() error {
	t, err := mapTable(3)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64)
	if err != nil {
		return err
	}
	w := &writer{dir: os.Getenv(dirVar), t: t, rng: rand.New(rand.NewPCG(seed, 7))}
	lines := make(chan bool)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- true
		}
		close(lines)
	}()
	for range lines {
		if err := w.t.check(w.read); err != nil {
			fmt.Println("bad:", err)
			return nil
		}
		fmt.Println("good")
		var stop atomic.Bool
		done := make(chan error)
		go func() { done <- w.round(&stop) }()
		select {
		case err = <-done:
		case <-lines:
			stop.Store(true)
			err = <-done
		}
		fmt.Println("down:", err)
	}
	return nil
}

func (w *writer) read(name string) ([]byte, error) {
	b, err := os.ReadFile(w.dir + "/" + name)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return b, err
}

func (w *writer) round(stop *atomic.Bool) (err error) {
	w.log = -1
	for f := range files {
		w.fds[f], w.sync[f] = -1, -1
	}
	defer w.close()
	debug.SetPanicOnFault(true) // SIGBUS is an error like others
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if err := w.open(); err != nil {
		return err
	}
	for !stop.Load() {
		if err := w.step(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) open() (err error) {
	for f := range files {
		path := w.dir + "/" + name(f*blocks)
		if w.fds[f], err = unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644); err != nil {
			return err
		}
		if w.sync[f], err = unix.Open(path, unix.O_WRONLY|unix.O_DSYNC|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		if w.m[f], err = unix.Mmap(w.fds[f], 0, blocks*stride, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			return err
		}
	}
	if w.log, err = unix.Open(w.dir+"/log", unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o644); err != nil {
		return err
	}
	// What was not acknowledged may be there in part.
	n := w.t[log].acked.Load()
	w.t[log].issued.Store(n)
	return unix.Ftruncate(w.log, int64(n)*record)
}

func (w *writer) close() {
	for f := range files {
		if w.m[f] != nil {
			_ = unix.Munmap(w.m[f]) // the mount may be dead, here and below
			w.m[f] = nil
		}
		_, _ = unix.Close(w.fds[f]), unix.Close(w.sync[f])
	}
	_ = unix.Close(w.log)
}

// begin says that the next generation of a block is going to be written.
func (w *writer) begin(n int) []byte { return pattern(n, w.t[n].issued.Add(1)) }

func (w *writer) ack(n int) { w.t[n].acked.Store(w.t[n].issued.Load()) }

// step writes something and has it made durable, in one of the ways there are.
func (w *writer) step() error {
	f := w.rng.IntN(files)
	n := f*blocks + w.rng.IntN(blocks)
	switch w.rng.IntN(7) {
	case 0:
		if err := put(w.sync[f], w.begin(n), offset(n)); err != nil {
			return err
		}
	case 1:
		if offset(n)+int64(size(n)) > w.size(f) {
			return nil
		}
		copy(w.m[f][offset(n):], w.begin(n))
		if err := unix.Msync(w.m[f], unix.MS_SYNC); err != nil {
			return err
		}
	case 2:
		if err := put(w.log, w.begin(log), -1); err != nil {
			return err
		}
		n = log
		if err := unix.Fdatasync(w.log); err != nil {
			return err
		}
	case 3:
		n = swap
		if err := w.replace(w.begin(n)); err != nil {
			return err
		}
	default: // several blocks, one fsync
		var l []int
		for range 1 + w.rng.IntN(4) {
			n := f*blocks + w.rng.IntN(blocks)
			l = append(l, n)
			if err := put(w.fds[f], w.begin(n), offset(n)); err != nil {
				return err
			}
		}
		if err := unix.Fsync(w.fds[f]); err != nil {
			return err
		}
		for _, n := range l {
			w.ack(n)
		}
		return nil
	}
	w.ack(n)
	return nil
}

func (w *writer) size(f int) int64 {
	var st unix.Stat_t
	if unix.Fstat(w.fds[f], &st) != nil {
		return 0
	}
	return st.Size
}

// put is pwrite(2) or, at -1, write(2), of everything.
func put(fd int, b []byte, off int64) error {
	n, err := 0, error(nil)
	if off < 0 {
		n, err = unix.Write(fd, b)
	} else {
		n, err = unix.Pwrite(fd, b, off)
	}
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d of %d bytes written", n, len(b))
	}
	return err
}

// replace puts another file in the place of one, so that one of the two is there.
func (w *writer) replace(b []byte) error {
	tmp := w.dir + "/new"
	fd, err := unix.Open(tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	err = put(fd, b, 0)
	if err == nil {
		err = unix.Fsync(fd)
	}
	if e := unix.Close(fd); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := unix.Rename(tmp, w.dir+"/"+name(swap)); err != nil {
		return err
	}
	dir, err := unix.Open(w.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Fsync(dir)
}
