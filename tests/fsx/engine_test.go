package main

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/tests/harness"
)

// TestEngine: passfs with an engine, which reads and writes go through, merged. The
// server is this process: what works on the mount are others.
func TestEngine(t *testing.T) {
	for _, writeback := range []bool{false, true} {
		name := "requests"
		if writeback {
			name = "writeback"
		}
		t.Run(name, func(t *testing.T) {
			src := harness.Tmpfs(t)
			o := passfs.DefaultOptions()
			o.Writeback, o.Slow, o.Engine = writeback, true, aio.New(aio.NewWorkers(4), aio.Config{Depth: 2})
			dir := served(t, src, &o)
			for _, apart := range []bool{false, true} {
				c := config{path: filepath.Join(dir, "f."), source: filepath.Join(src, "f."), workers: 3, n: 2500 * long(), seed: seed(t), apart: apart}
				if _, err := c.run(); err != nil {
					t.Fatal(err)
				}
			}
			if s := o.Engine.Stats(); s.Submitted < 1000 {
				t.Errorf("the engine had %d operations", s.Submitted)
			}
		})
	}
}

// served serves src in this process until the test ends.
func served(t *testing.T, src string, o *passfs.Options) (dir string) {
	t.Helper()
	fd, err := unix.Open(src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := passfs.New(fd, o)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	m, err := conn.NewMount(harness.Disk(t), &conn.MountOptions{DefaultPermissions: true, Flags: conn.DefaultMountFlags})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := conn.NewFuseDevice(m.FD())
	if err != nil {
		t.Fatal(err)
	}
	c := conn.New(dev, &conn.Options{Want: fs.Want(), Log: func(s string) { t.Log(s) }})
	end := make(chan error, 1)
	go func() { end <- c.Serve(ops.New(fs)) }()
	t.Cleanup(func() {
		if err := m.Unmount(); err != nil {
			t.Error(err)
			_ = m.Detach() // the error is reported
		}
		select {
		case err := <-end:
			if err != nil {
				t.Error("serving:", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
			_ = m.Abort() // reported
			<-end
		}
		if err := o.Engine.Close(); err != nil {
			t.Error(err)
		}
		m.Close()
	})
	return m.Dir()
}
