package apps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counter is a word of a mapping, shared by processes.
// Sound: the mapping is page aligned, off a multiple of 4, and the mapping
// outlives every use.
func counter(m []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&m[off]))
}

// pingPong raises the word at 0 when its parity is mine, n times; every raise
// also stamps a page of its own, which the other side checks.
func pingPong(m []byte, mine uint32, n int) error {
	turn := counter(m, 0)
	page := os.Getpagesize()
	pages := len(m)/page - 1
	deadline := time.Now().Add(60 * time.Second)
	for range n {
		for turn.Load()%2 != mine {
			if time.Now().After(deadline) {
				return errors.New("the other side's stores are not seen")
			}
			time.Sleep(10 * time.Microsecond)
		}
		v := turn.Load()
		if v > 0 {
			at := page * (1 + int(v-1)%pages)
			if got := binary.NativeEndian.Uint32(m[at:]); got != v-1 {
				return fmt.Errorf("turn %d: page holds %d", v, got)
			}
		}
		binary.NativeEndian.PutUint32(m[page*(1+int(v)%pages):], v)
		turn.Store(v + 1)
	}
	return nil
}

func mapFile(name string) (*os.File, []byte, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return f, m, err
}

func init() {
	// pong FILE N: the other side of pingPong.
	helpers["pong"] = func(args []string) error {
		_, m, err := mapFile(args[0])
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return pingPong(m, 1, n)
	}
	// stamp FILE OFF: one write(2), for a mapping elsewhere to see.
	helpers["stamp"] = func(args []string) error {
		f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		off, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("stamped by another process"), off)
		return errors.Join(err, f.Close())
	}
}

// mmapScene: shared mappings are coherent between processes, with read and
// write, and reach the file.
func mmapScene(s *scene) {
	const rounds = 500
	size := 9 * os.Getpagesize()
	s.write("shared", make([]byte, size), 0o600)
	f, m, err := mapFile("shared")
	s.check(err)
	other := s.helper("pong", "shared", strconv.Itoa(rounds))
	other.Stderr = os.Stderr
	s.check(other.Start())
	s.check(pingPong(m, 0, rounds))
	s.check(other.Wait())
	s.say("turns: %d", counter(m, 0).Load())
	s.check(unix.Msync(m, unix.MS_SYNC))
	b, err := os.ReadFile("shared")
	s.check(err)
	s.say("file equals mapping: %v", string(b) == string(m))
	s.runCmd(s.helper("stamp", "shared", "5000"))
	s.say("written elsewhere, seen here: %q", m[5000:5026])
	copy(m[100:], "stored")
	got := make([]byte, 6)
	_, err = f.ReadAt(got, 100)
	s.check(err)
	s.say("stored here, read here: %q", got)
	s.check(unix.Munmap(m))
	s.check(f.Close())
	b, err = os.ReadFile("shared")
	s.check(err)
	s.say("after unmap: %q", b[100:106])

	// A mapping past the end of the last page's data, and of a grown file.
	s.write("odd", []byte("0123456789"), 0o600)
	f, m, err = mapFile("odd")
	s.check(err)
	copy(m, "abc")
	m2, err := unix.Mmap(int(f.Fd()), 0, 3*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	s.check(err)
	s.check(f.Truncate(int64(3 * os.Getpagesize())))
	copy(m2[2*os.Getpagesize():], "tail")
	s.check(unix.Msync(m2, unix.MS_SYNC))
	b, err = os.ReadFile("odd")
	s.check(err)
	s.say("grown: %q %q size %d pages", b[:10], b[2*os.Getpagesize():][:4], len(b)/os.Getpagesize())
	s.check(unix.Munmap(m))
	s.check(unix.Munmap(m2))
	s.check(f.Close())

	// Mapped pages of a file that is also open for appending go to their place.
	s.write("log", pattern(1, 8192), 0o600)
	ap, err := os.OpenFile("log", os.O_RDWR|os.O_APPEND, 0)
	s.check(err)
	m, err = unix.Mmap(int(ap.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	s.check(err)
	_, err = ap.WriteString("appended")
	s.check(err)
	copy(m[10:], "mapped")
	s.check(unix.Msync(m, unix.MS_SYNC))
	s.check(unix.Munmap(m))
	s.check(ap.Close())
	b, err = os.ReadFile("log")
	s.check(err)
	s.say("appended and mapped: %d bytes, %q %q", len(b), b[10:16], b[8192:])

	// Private mappings keep their changes to themselves.
	s.write("private", []byte("untouched"), 0o400)
	ro, err := os.Open("private")
	s.check(err)
	m, err = unix.Mmap(int(ro.Fd()), 0, 9, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	s.check(err)
	copy(m, "touched")
	b, err = os.ReadFile("private")
	s.check(err)
	s.say("private: %q %q", m, b)
	_, err = unix.Mmap(int(ro.Fd()), 0, 9, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	s.sayErr("shared and writable of a read-only descriptor", err)
}
