package crash

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/tests/harness"
)

// failing is a back end whose write number k from arm on fails.
type failing struct {
	mu  sync.Mutex
	k   int // to go, 0: disarmed
	err unix.Errno
	off int64 // where the one was that failed, -1: none yet
}

func (f *failing) arm(k int, err unix.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.k, f.err, f.off = k, err, -1
}

// failed is where the write was that failed.
func (f *failing) failed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off
}

// Start is aio.Backend's.
func (f *failing) Start(op *aio.Op) bool {
	if op.Kind == aio.Write {
		f.mu.Lock()
		bad := f.k == 1
		f.k = max(f.k-1, 0)
		if bad {
			f.off = op.Off
			op.N, op.Err = 0, f.err
		}
		f.mu.Unlock()
		if bad {
			return true
		}
	}
	aio.Do(op)
	return true
}

// Depth is aio.Backend's.
func (f *failing) Depth() int { return 8 }

// Cancel is aio.Backend's.
func (f *failing) Cancel(*aio.Op) {}

// Close is aio.Backend's.
func (f *failing) Close() error { return nil }

// errorWrites is how many writes are made to fail, one after the other.
const errorWrites = 200

// TestErrors: the k-th write of the back end fails, for every k. The error is reported,
// once to each open file; later writes work; and nothing but that write is lost.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		writeback bool
		how       string
		fsync     bool
		step      int // of k; 1 with FUSEWIRE_LONG
	}{
		{false, "write", true, 1},
		{false, "map", true, 4},
		{false, "map", false, 4},
		{true, "write", true, 1},
		{true, "write", false, 1},
		{true, "map", true, 8},
		{true, "dsync", true, 16},
		{true, "dsync", false, 16},
	} {
		t.Run(fmt.Sprintf("writeback=%v/%s/fsync=%v", c.writeback, c.how, c.fsync), func(t *testing.T) {
			src, f := harness.Tmpfs(t), &failing{}
			dir := served(t, src, c.writeback, uint32(pageSize), f) // a page is a write
			p := startPlayer(t)
			step := c.step
			if long() > 1 {
				step = 1
			}
			for k := 1; k <= errorWrites; k += step {
				e := []unix.Errno{unix.ENOSPC, unix.EIO, unix.EDQUOT}[k%3]
				name := fmt.Sprint("/f", k)
				s := &scenario{Path: dir + name, How: c.how, Pages: k + 8, Fsync: c.fsync}
				f.arm(k, e)
				got := p.play(s)
				at := int(f.failed()) / pageSize
				if f.failed() < 0 {
					t.Fatalf("write %d: there were fewer", k)
				}
				want := expected(s, c.writeback, at, e)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("write %d (page %d), %v:\n got %+v\nwant %+v", k, at, e, *got, *want)
				}
				if err := left(src+name, s.Pages, at); err != nil {
					t.Fatalf("write %d (page %d), %v: %v", k, at, e, err)
				}
			}
		})
	}
}

// expected is who is told what. Linux keeps an error in two places
// (include/linux/pagemap.h: mapping_set_error): once for each open file, which is what
// fsync(2) reports (file_check_and_advance_wb_err), also to a file opened later if nobody
// was told before; and in a flag of the inode, EIO or ENOSPC, which is what close(2)
// reports to the first who asks, FUSE's alone (fs/fuse/file.c: fuse_flush). So what
// close(2) says comes once per inode and fsync(2) still says it afterwards, and EDQUOT is
// EIO there, as it is when a mapping went before (fuse_vma_close, by the same flag).
func expected(s *scenario, writeback bool, at int, e unix.Errno) *outcome {
	o := &outcome{Writes: make([]int, s.Pages)}
	flag := int(e)
	if e == unix.EDQUOT {
		flag = int(unix.EIO)
	}
	told := int(e)
	if s.How == "map" {
		told = flag
	}
	switch {
	case s.How == "write" && !writeback: // whose write it is learns it, and that is all
		o.Writes[at] = int(e)
	case s.How == "dsync":
		o.Writes[at] = int(e)
		if s.Fsync {
			o.FsyncB[0] = int(e)
		}
	case s.Fsync:
		o.FsyncA[0], o.FsyncB[0] = told, told
	default:
		o.CloseA, o.Again = flag, told
	}
	return o
}

// left checks what has come of the file, and removes it. Page 0 was written again; the
// one that failed was not: the kernel does not try twice.
func left(path string, pages, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at == pages-1 {
		b = append(b, make([]byte, max(pages*pageSize-len(b), 0))...)
	}
	for n := range pages {
		want := page(n, n == 0)
		if n == at && n > 0 {
			clear(want)
		}
		if n*pageSize >= len(b) || !bytes.Equal(b[n*pageSize:min((n+1)*pageSize, len(b))], want) {
			return fmt.Errorf("page %d of a file of %d bytes is wrong", n, len(b))
		}
	}
	return os.Remove(path)
}
