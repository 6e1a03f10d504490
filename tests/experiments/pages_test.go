package main

import (
	"os"
	"strings"
	"testing"
)

// maxPagesLimit is the machine's bound on the pages of a request (Linux 6.13).
const maxPagesLimit = "/proc/sys/fs/fuse/max_pages_limit"

// TestMaxPages: where the administrator allows more than 256 pages, requests are
// larger without being asked to, and no larger than 4 MiB.
func TestMaxPages(t *testing.T) {
	was, err := os.ReadFile(maxPagesLimit)
	if os.IsNotExist(err) {
		t.Skip("this kernel's limit is fixed")
	} else if err != nil {
		t.Fatal(err)
	}
	set := func(pages string) {
		if err := os.WriteFile(maxPagesLimit, []byte(pages), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { set(strings.TrimSpace(string(was))) })
	for _, c := range []struct {
		limit string
		want  uint64 // requests of 16 transfers of 8 MiB
	}{{"256", 128}, {"512", 64}, {"4096", 32}} {
		set(c.limit)
		for _, rw := range []string{"read", "write"} {
			l := load{spec: on(t), size: 8 << 20}
			l.Count = true
			l.fio = []string{"--ioengine=sync", "--direct=1", "--bs=8m", "--rw=" + rw, "--number_ios=16", "--loops=16"}
			if n := l.must(t); n.Reads+n.Writes != c.want {
				t.Errorf("%s, limit %s: %d requests, want %d", rw, c.limit, n.Reads+n.Writes, c.want)
			}
		}
	}
}
