package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// writerSpec describes a child that writes until it is killed: generation after
// generation into its blocks of a file, Threads at a time.
type writerSpec struct {
	Path    string
	Threads int
	Blocks  int // of each thread
}

// write is that child. It says when it is about to begin.
func write(text string) error {
	var s writerSpec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	fd, err := unix.Open(s.Path, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	fmt.Println("writing")
	failed := make(chan error)
	for t := range s.Threads {
		go func() {
			runtime.LockOSThread()
			b := alignedBlocks(1)
			for gen := uint64(1); ; gen++ {
				for i := range s.Blocks {
					n := uint64(t*s.Blocks + i)
					stamp(b, n, gen)
					if _, err := unix.Pwrite(fd, b, int64(n)*block); err != nil {
						failed <- err
						return
					}
				}
			}
		}()
	}
	return errors.Join(errors.New("writing"), <-failed)
}

// alignedBlocks returns memory that O_DIRECT takes.
func alignedBlocks(n int) []byte {
	b, err := unix.Mmap(-1, 0, n*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
	return b
}

// stamp fills b, a block, so that it tells which one of the file it is and of which
// generation, and whether it is whole.
func stamp(b []byte, n, gen uint64) {
	for at := 0; at < len(b); at += 16 {
		binary.LittleEndian.PutUint64(b[at:], n+1+uint64(at)<<40)
		binary.LittleEndian.PutUint64(b[at+8:], gen)
	}
}

// stamped returns the generation of block n, 0 if it was never written or has
// been zeroed since.
func stamped(b []byte, n uint64) (gen uint64, err error) {
	gen = binary.LittleEndian.Uint64(b[8:])
	zero := gen == 0
	for at := 0; at < len(b); at += 16 {
		want := n + 1 + uint64(at)<<40
		if zero {
			want = 0
		}
		if x, g := binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+8:]); x != want || g != gen {
			return 0, fmt.Errorf("block %d, byte %d: %#x of generation %d, want %#x of %d", n, at, x, g, want, gen)
		}
	}
	return gen, nil
}
