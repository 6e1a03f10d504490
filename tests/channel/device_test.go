package channel

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// server is a handler that only serves.
type server func(*conn.Request)

func (f server) Init(*conn.Conn, *protocol.InitIn, *protocol.InitOut) error { return nil }
func (f server) Serve(r *conn.Request)                                      { f(r) }
func (f server) Forget(uint64, uint64)                                      {}
func (f server) Done()                                                      {}

// devices counts this process's descriptors of /dev/fuse.
func devices(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	n := 0
	for _, e := range list {
		// One is ReadDir's own, closed by now.
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == "/dev/fuse" {
			n++
		}
	}
	return n
}

// TestDeviceReal serves a real mount with a channel for each reader: replies go
// back on the channel that was read from, also when the request was detached or
// resent; backing ids come and go.
func TestDeviceReal(t *testing.T) {
	dir := t.TempDir()
	m := mounted(t, dir, nil)
	dev, err := conn.NewFuseDevice(m.FD())
	must(t, err)
	c := conn.New(dev, &conn.Options{Clone: true, Threads: 6, IdleThreads: 3, Log: func(s string) { t.Error(s) },
		Want: conn.DefaultWant | protocol.InitPassthrough})
	gate := make(chan struct{})
	var hold atomic.Bool
	var held atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- c.Serve(server(func(r *conn.Request) {
			if r.Op() != protocol.OpStatfs {
				_ = r.ReplyError(unix.ENOSYS)
				return
			}
			answer := func() {
				protocol.ViewOf[protocol.StatfsOut](r.Out()).St.Bsize = 4096
				if err := r.Reply(80, 0); err != nil {
					t.Errorf("reply: %v", err)
				}
			}
			switch {
			case hold.Load():
				r.Block()
				held.Add(1)
				<-gate
				answer()
			case r.Unique()/2%3 == 0:
				r.Detach()
				go answer()
			default:
				answer()
			}
		}))
	}()
	<-c.Ready()
	stat := func() {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Bsize != 4096 {
			t.Errorf("statfs: %v, %d", err, st.Bsize)
		}
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 300 {
				stat()
			}
		}()
	}
	wg.Wait()
	// The mount's descriptor, the device's duplicate, and a clone for each of at
	// least two readers more.
	if n := devices(t); n < 4 {
		t.Errorf("/dev/fuse is open %d times, for 3 readers", n)
	}

	const n = 3
	hold.Store(true)
	for range n {
		wg.Add(1)
		go func() { defer wg.Done(); stat() }()
	}
	eventually(t, "requests are held", func() bool { return held.Load() == n })
	if c.Flags()&protocol.InitHasResend != 0 { // 7.40, Linux 6.9
		must(t, c.NotifyResend())
		eventually(t, "copies come in", func() bool { return c.Stats().Resent == n })
	}
	hold.Store(false)
	close(gate)
	wg.Wait()
	if got := held.Load(); got != n {
		t.Errorf("%d requests were served, want %d: a copy was served too", got, n)
	}

	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer f.Close()
	if c.Flags()&protocol.InitPassthrough != 0 { // 7.40, Linux 6.9
		id, err := c.BackingOpen(int(f.Fd()))
		if err != nil || id <= 0 {
			t.Errorf("BackingOpen: %d, %v", id, err)
		}
		if err := c.BackingClose(id); err != nil {
			t.Errorf("BackingClose: %v", err)
		}
		if err := c.BackingClose(id); !errors.Is(err, unix.ENOENT) {
			t.Errorf("BackingClose, a second time: %v", err)
		}
	}
	if err := c.NotifyInvalInode(999, 0, 0); !errors.Is(err, unix.ENOENT) {
		t.Errorf("notification about an unknown inode: %v", err)
	}
	must(t, m.Unmount())
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("Serve did not return after the unmount")
	}
	if st := c.Stats(); st.Lost+st.Refused+st.Double+st.Unanswered != 0 || st.SlotsUsed != 0 {
		t.Errorf("%+v", st)
	}
}
