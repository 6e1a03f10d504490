package crash

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	files   = 4
	blocks  = 16
	stride  = 6000 // of blocks, so that they share pages
	entries = files*blocks + 2
	log     = files * blocks // the entry of the file that is appended to: records
	swap    = log + 1        // the entry of the file that is replaced
	record  = 100
	swapped = 10000 // bytes
)

// entry is what is known of a block, both in generations. 0 is zeros.
type entry struct{ issued, acked atomic.Uint32 }

// table is the entries, in memory that processes share. It is mapped, so that it stays
// where it is, and page-aligned; nothing but atomic words is in it.
type table [entries]entry

func newTable() (*os.File, *table, error) {
	fd, err := unix.MemfdCreate("crash", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), "table")
	if err := f.Truncate(int64(unsafe.Sizeof(table{}))); err != nil {
		return nil, nil, err
	}
	t, err := mapTable(fd)
	return f, t, err
}

func mapTable(fd int) (*table, error) {
	b, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(table{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*table)(unsafe.Pointer(unsafe.SliceData(b))), nil
}

// size is how long a block is.
func size(n int) int {
	switch n {
	case log:
		return record
	case swap:
		return swapped
	}
	return 1 + n*2347%(stride-1)
}

func name(n int) string {
	switch n {
	case log:
		return "log"
	case swap:
		return "swapped"
	}
	return fmt.Sprint("f", n/blocks)
}

func offset(n int) int64 { return int64(n % blocks * stride) }

// pattern is a block's content in a generation.
func pattern(n int, gen uint32) []byte {
	if gen == 0 {
		return make([]byte, size(n))
	}
	return stream(uint64(n+1)<<32|uint64(gen), size(n))
}

// stream is n bytes that only x has.
func stream(x uint64, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i+8 <= len(b); i += 8 {
		x = x*0x9e3779b97f4a7c15 + 0x7f4a7c15
		binary.LittleEndian.PutUint64(b[i:], x^x>>31)
	}
	return b[:n]
}

// check compares a block with what may be there. had is what was acknowledged
// before it was read.
func check(n int, had, issued uint32, got []byte) error {
	want := make([][]byte, 0, 4)
	for g := had; g <= issued; g++ {
		want = append(want, pattern(n, g))
	}
	for i := range size(n) {
		c := byte(0) // behind the end: never written
		if i < len(got) {
			c = got[i]
		}
		ok := false
		for _, w := range want {
			ok = ok || w[i] == c
		}
		if !ok || i >= len(got) && had > 0 {
			return fmt.Errorf("%s, block %d: byte %d of %d (%d are there) is of none of the generations %d to %d", name(n), n, i, size(n), len(got), had, issued)
		}
	}
	return nil
}

// checkLog compares the records that were acknowledged.
func checkLog(had uint32, got []byte) error {
	if len(got) < int(had)*record {
		return fmt.Errorf("%d bytes of the log, %d were acknowledged", len(got), had*record)
	}
	for r := range had {
		if string(got[r*record:][:record]) != string(pattern(log, r+1)) {
			return fmt.Errorf("the log's record %d of %d is wrong", r, had)
		}
	}
	return nil
}

// check compares everything. read returns a file's content, nil if there is none.
func (t *table) check(read func(name string) ([]byte, error)) error {
	var had [entries]uint32
	for n := range had {
		had[n] = t[n].acked.Load() // before anything is read
	}
	var b []byte
	for n := range had {
		var err error
		if n >= log || n%blocks == 0 {
			if b, err = read(name(n)); err != nil {
				return err
			}
		}
		switch {
		case n == log:
			err = checkLog(had[n], b)
		case n == swap && had[n] == 0:
		case n == swap:
			err = check(n, had[n], t[n].issued.Load(), b)
		default:
			err = check(n, had[n], t[n].issued.Load(), b[min(int(offset(n)), len(b)):])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
