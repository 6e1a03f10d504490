package crash

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/tests/harness"
)

// TestFull: the source is full before all is written back. Every open file is told once,
// what there was room for is there, and when there is room again writes work.
func TestFull(t *testing.T) {
	const room, pages = 64, 160
	for _, how := range []string{"write", "map"} {
		src := harness.Tmpfs(t)
		if err := unix.Mount("", src, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", room*pageSize)); err != nil {
			t.Fatal(err)
		}
		m := harness.Serve(t, src, "--writeback", "--max-write=4096")
		p := startPlayer(t)
		got := p.play(&scenario{m.Dir + "/f", how, pages, true})
		full := int(unix.ENOSPC)
		if got.FsyncA != [2]int{full, 0} || got.FsyncB != [2]int{full, 0} || got.CloseA != 0 || got.CloseB != 0 {
			t.Errorf("%s: %+v, want %d from each first fsync, and 0 elsewhere", how, *got, full)
		}
		b, err := os.ReadFile(src + "/f")
		if err != nil {
			t.Fatal(err)
		}
		there := 0
		for n := 0; n*pageSize < len(b); n++ {
			switch have := b[n*pageSize : min((n+1)*pageSize, len(b))]; {
			case bytes.Equal(have, page(n, false)), n == 0 && bytes.Equal(have, page(n, true)):
				there++
			case len(bytes.Trim(have, "\x00")) > 0:
				t.Errorf("%s: page %d is neither whole nor a hole", how, n)
			}
		}
		if there < room/2 || there > room {
			t.Errorf("%s: %d pages are there, with room for %d", how, there, room)
		}
		if err := os.Truncate(src+"/f", 0); err != nil {
			t.Fatal(err)
		}
		got = p.play(&scenario{m.Dir + "/g", how, room / 2, true})
		if fmt.Sprint(*got) != fmt.Sprint(outcome{Writes: make([]int, room/2)}) {
			t.Errorf("%s: with room again: %+v", how, *got)
		}
		if b, err := os.ReadFile(src + "/g"); err != nil || !bytes.Equal(b[pageSize:2*pageSize], page(1, false)) {
			t.Errorf("%s: with room again: %d bytes: %v", how, len(b), err)
		}
	}
}
