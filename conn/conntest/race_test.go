package conntest_test

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// errs that a race may give; anything else is wrong.
func allowed(err error, l ...unix.Errno) bool {
	for _, e := range l {
		if err == e {
			return true
		}
	}
	return err == nil
}

// TestRace has three processes work on the same few names in an order that a
// seed decides. What must hold: no rule is broken, nothing hangs, no error that
// the program cannot have caused, and nothing is left.
func TestRace(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			k, _ := pass(t, nil, conntest.Options{Shared: true})
			task := func(id int) func(c *conntest.Client) {
				return func(c *conntest.Client) {
					own := fmt.Sprintf("/own%d", id)
					for n := range 4 {
						if err := c.Mkdir("/d", 0o755); !allowed(err, unix.EEXIST) {
							t.Error("mkdir", err)
						}
						f, err := c.Open("/d/f", unix.O_RDWR|unix.O_CREAT, 0o644)
						if !allowed(err, unix.ENOENT, unix.ESTALE) {
							t.Error("open", err)
						}
						if err == nil {
							data := []byte{byte(id), byte(n)}
							if _, err := f.WriteAt(data, int64(id*5000)); err != nil {
								t.Error("write", err)
							}
							got := make([]byte, 2)
							if _, err := f.ReadAt(got, int64(id*5000)); err != nil {
								t.Error("read", err)
							} else if got[0] != data[0] && got[0] != 0 {
								t.Errorf("read %v, wrote %v", got, data)
							}
							if err := f.Close(); err != nil {
								t.Error("close", err)
							}
						}
						if err := c.Rename("/d/f", own, 0); !allowed(err, unix.ENOENT) {
							t.Error("rename", err)
						}
						if _, err := c.List("/"); err != nil {
							t.Error("list", err)
						}
						if _, err := c.Stat("/d/f"); !allowed(err, unix.ENOENT) {
							t.Error("stat", err)
						}
						if err := c.Rmdir("/d"); !allowed(err, unix.ENOENT, unix.ENOTEMPTY) {
							t.Error("rmdir", err)
						}
						if err := c.Unlink(own); !allowed(err, unix.ENOENT) {
							t.Error("unlink", err)
						}
					}
				}
			}
			k.Run(seed, uint32(os.Getuid()), uint32(os.Getgid()), task(1), task(2), task(3))
			k.DropCaches()
			if n := k.Nlookup(); len(n) != 1 {
				t.Errorf("left: %v", n)
			}
		})
	}
}

// TestReplay runs a seed twice: the choices are the same.
func TestReplay(t *testing.T) {
	run := func() []string {
		h := clerk{}
		o := options(conntest.Options{})
		o.Conn = &conn.Options{MaxWrite: 64 << 10, Threads: 1}
		k, err := conntest.New(&h, o)
		check(t, err)
		defer func() { check(t, k.Unmount()) }()
		task := func(c *conntest.Client) {
			for range 5 {
				_, _ = c.Stat("/f")
				_, _ = c.Stat("/d")
				if f, err := c.Open("/f", unix.O_RDWR, 0); err == nil {
					_, _ = f.ReadAt(make([]byte, 5000), 0)
					_ = f.Close()
				}
			}
		}
		return k.Run(7, 0, 0, task, task, task)
	}
	a, b := run(), run()
	if len(a) < 100 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d and %d choices, not the same", len(a), len(b))
	}
}

// TestSocket drives a server on the other end of a socket.
func TestSocket(t *testing.T) {
	served := make(chan error, 1)
	k, err := conntest.NewSocket(func(fd int) error {
		dev, err := conn.NewFuseDevice(fd)
		if err != nil {
			return err
		}
		go func() { served <- conn.New(dev, &conn.Options{MaxWrite: 64 << 10, Threads: 1}).Serve(&clerk{}) }()
		return nil
	}, options(conntest.Options{}))
	check(t, err)
	c := k.Process(0, 0)
	f, err := c.Open("/f", unix.O_RDWR, 0)
	check(t, err)
	if n, err := f.ReadAt(make([]byte, 20000), 0); n != fileSize || err != nil {
		t.Error(n, err)
	}
	if n, err := f.WriteAt(make([]byte, 9000), 0); n != 9000 || err != nil {
		t.Error(n, err)
	}
	check(t, f.Close())
	if !k.Idle() {
		t.Error("not idle")
	}
	if k.Count(protocol.OpRelease) != 1 {
		t.Error("no RELEASE")
	}
	check(t, k.Unmount())
	check(t, <-served)
}
