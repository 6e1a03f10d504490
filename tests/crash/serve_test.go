package crash

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/tests/harness"
)

// served serves src in this process, which from now on must not touch the mount, until
// the test ends. What is read, written and synced goes through back.
func served(t *testing.T, src string, writeback bool, maxWrite uint32, back aio.Backend) (dir string) {
	t.Helper()
	o := passfs.DefaultOptions()
	o.Writeback, o.Slow = writeback, true
	o.Engine = aio.New(back, aio.Config{MaxMerge: -1})
	fd, err := unix.Open(src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := passfs.New(fd, &o)
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
	c := conn.New(dev, &conn.Options{Want: fs.Want(), MaxWrite: maxWrite, Log: func(s string) { t.Log(s) }})
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
