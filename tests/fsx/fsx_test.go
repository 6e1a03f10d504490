package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/fusewire/fusewire/tests/harness"
)

func TestMain(m *testing.M) {
	maybeWork()
	harness.Main(m)
}

// modes are the ways for data from an application to the source.
var modes = []struct {
	name    string
	options []string
	within  bool // see doc.go
}{
	{"passthrough", nil, false},
	{"requests", []string{"--nopassthrough"}, false},
	{"writeback", []string{"--writeback"}, false},
	{"wb-cache", []string{"--wb-cache=on"}, true},
	{"writeback-direct", []string{"--writeback", "--parallel-direct-writes=always"}, true},
	{"direct-io", []string{"--direct-io", "--nopassthrough"}, true},
	{"cache-always", []string{"--cache=always", "--nopassthrough", "--parallel-direct-writes=always"}, true},
}

// long is how many times a test's default size is wanted.
func long() int {
	n, err := strconv.Atoi(os.Getenv("FUSEWIRE_LONG"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// seeds returns the one to begin with.
func seed(t *testing.T) uint64 {
	s := os.Getenv("FUSEWIRE_SEED")
	if s == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatal("FUSEWIRE_SEED:", err)
	}
	return n
}

// each runs c on a mount of every mode. Kinds of operations that c cannot do without
// are in need.
func each(t *testing.T, c config, need ...string) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			src := harness.Tmpfs(t)
			c := c
			c.path = filepath.Join(harness.Serve(t, src, mode.options...).Dir, "f.")
			c.within = mode.within
			c.source, c.seed = filepath.Join(src, "f."), seed(t)
			c.n *= long()
			begin := time.Now()
			m, err := c.run()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("seed %d, %d operations in %v: %s", c.seed, c.n, time.Since(begin).Round(time.Millisecond), m.counts())
			for _, k := range need {
				if m.done[k] == 0 {
					t.Errorf("no %s was done", k)
				}
			}
		})
	}
}

// all are the kinds that must have been among the operations.
var all = []string{"read", "write", "aioread", "aiowrite", "aiofsync", "ringread", "ringwrite", "ringfsync", "mapread", "mapwrite",
	"copy", "fallocate 0x0", "fallocate 0x1", "fallocate 0x3", "fsync", "fdatasync", "drop", "syncrange", "open", "close"}

// TestTurns: three processes, one operation after the other.
func TestTurns(t *testing.T) {
	each(t, config{workers: 3, n: 6000}, append([]string{"truncate", "stat", "seek", "whole", "rename", "exchange", "unlink"}, all...)...)
}

// TestApart: four processes on one file at once.
func TestApart(t *testing.T) {
	each(t, config{workers: 4, n: 6000, apart: true}, all...)
}
