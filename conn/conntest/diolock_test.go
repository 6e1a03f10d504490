package conntest_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// overlap reports whether two WRITEs were out at once in a trace of Run.
func overlap(trace []string) bool {
	out := 0
	for _, l := range trace {
		switch {
		case strings.HasPrefix(l, "WRITE "):
			if out++; out > 1 {
				return true
			}
		case strings.HasPrefix(l, "answer WRITE "):
			out--
		}
	}
	return false
}

// TestParallelDirect: direct writes of several processes are out at once only if
// the server allows it, below the end of the file, without O_APPEND, and while
// nobody has the file open for cached I/O.
func TestParallelDirect(t *testing.T) {
	const par = protocol.FopenDirectIO | protocol.FopenParallelDirectWrites
	for _, v := range []struct {
		name   string
		open   uint32
		flags  int
		off    int64
		cached bool
		want   bool
	}{
		{"parallel", par, 0, 0, false, true},
		{"not allowed", protocol.FopenDirectIO, 0, 0, false, false},
		{"append", par, unix.O_APPEND, 0, false, false},
		{"past the end", par, 0, 1 << 20, false, false},
		{"cached open", par, 0, 0, true, false},
		{"parallel without direct", protocol.FopenParallelDirectWrites, unix.O_DIRECT, 0, false, false},
	} {
		t.Run(v.name, func(t *testing.T) {
			seen := false
			for seed := range uint64(6) {
				h := &keeper{data: make([]byte, 64<<10)}
				k := back(t, h, false)
				c := k.Process(0, 0)
				if v.cached {
					_, err := c.Open("/f", unix.O_RDONLY, 0)
					check(t, err)
				}
				h.mu.Lock()
				h.open, h.full = v.open, v.off != 0 // so that the end stays where it is
				h.mu.Unlock()
				task := func(n int64) func(*conntest.Client) {
					return func(c *conntest.Client) {
						f, err := c.Open("/f", unix.O_RDWR|v.flags, 0)
						if err != nil {
							t.Error(err)
							return
						}
						for range 3 {
							if _, err := f.WriteAt(bytes.Repeat([]byte{byte(n)}, 4096), v.off+n*4096); err != nil && v.off == 0 {
								t.Error(err)
							}
						}
						if err := f.Close(); err != nil {
							t.Error(err)
						}
					}
				}
				seen = seen || overlap(k.Run(seed, 0, 0, task(1), task(2), task(3)))
				check(t, k.Unmount())
			}
			if seen != v.want {
				t.Errorf("WRITEs at once: %v, want %v", seen, v.want)
			}
		})
	}
}

// TestCachedOpenWaits: an open for cached I/O waits for shared direct writes.
func TestCachedOpenWaits(t *testing.T) {
	h := &holder{keeper: keeper{data: make([]byte, 64<<10), open: protocol.FopenDirectIO | protocol.FopenParallelDirectWrites}, hold: protocol.OpWrite, gate: make(chan struct{})}
	k := serve(t, h, 0)
	f, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
	check(t, err)
	writing := background(func() error { _, err := f.WriteAt(make([]byte, 4096), 0); return err })
	h.arrived(t, 1)
	h.keeper.mu.Lock()
	h.open = 0
	h.keeper.mu.Unlock()
	opened := background(func() error { _, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0); return err })
	for k.Count(protocol.OpOpen) < 2 {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-opened:
		t.Error("opened for cached I/O while a shared direct write was under way")
	case <-time.After(20 * time.Millisecond):
	}
	close(h.gate)
	check(t, after(t, writing))
	check(t, after(t, opened))
	check(t, k.Unmount())
}

// TestKillSuidgid: HANDLE_KILLPRIV_V2 has the flags of who lacks CAP_FSETID.
func TestKillSuidgid(t *testing.T) {
	for _, uid := range []uint32{0, 1000} {
		for _, open := range []uint32{0, protocol.FopenDirectIO} {
			h := &keeper{data: make([]byte, 100), open: open}
			var valid []uint32
			k := traced(t, h, protocol.InitHandleKillprivV2, func(r *protocol.Request) {
				if in := r.SetattrIn(); in != nil {
					valid = append(valid, in.Valid)
				}
			})
			f, err := k.Process(uid, uid).Open("/f", unix.O_RDWR, 0)
			check(t, err)
			_, err = f.WriteAt([]byte("x"), 0)
			check(t, err)
			check(t, f.Truncate(10))
			check(t, f.Close())
			check(t, k.Unmount())
			kill := uid != 0
			if len(h.kills) != 1 || h.kills[0]&protocol.WriteKillSuidgid != 0 != kill {
				t.Errorf("uid %d: write_flags %v", uid, h.kills)
			}
			if len(valid) != 1 || valid[0]&protocol.FattrKillSuidgid != 0 != kill {
				t.Errorf("uid %d: SETATTR %#x", uid, valid)
			}
		}
	}
}

// TestRequestTimeout: an old request ends the mount, on the virtual clock.
func TestRequestTimeout(t *testing.T) {
	for _, minor := range []uint32{12, 42, 43, 45} {
		h := &holder{keeper: keeper{data: make([]byte, 100)}, hold: protocol.OpRead, gate: make(chan struct{})}
		k := serve(t, h, minor)
		f, err := k.Process(0, 0).Open("/f", unix.O_RDWR, 0)
		check(t, err)
		reading := background(func() error { _, err := f.ReadAt(make([]byte, 10), 0); return err })
		h.arrived(t, 1)
		k.Advance(20 * time.Second)
		if len(k.Violations()) != 0 {
			t.Error(k.Violations())
		}
		k.Advance(time.Second)
		if minor < 43 {
			close(h.gate)
			check(t, after(t, reading))
			check(t, k.Unmount())
			continue
		}
		want(t, after(t, reading), unix.ECONNABORTED)
		close(h.gate)
		_, err = f.ReadAt(make([]byte, 10), 0)
		want(t, err, unix.ENOTCONN)
		_ = k.Unmount()
		expect(t, k, "request_timeout of 20s")
	}
}

// holder is keeper that leaves requests of one kind unanswered until gate is
// closed, each in a goroutine of its own.
type holder struct {
	keeper
	hold protocol.Opcode
	gate chan struct{}
	come int // requests held so far
}

func (h *holder) Serve(r *conn.Request) {
	if r.Op() == h.hold {
		h.mu.Lock()
		h.come++
		h.mu.Unlock()
		<-h.gate
	}
	h.keeper.Serve(r)
}

func (h *holder) arrived(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(4 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		come := h.come
		h.mu.Unlock()
		if come >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d requests came, want %d", come, n)
		}
	}
}

// serve mounts h with enough threads to hold a few requests.
// Its request_timeout is 20 s, where the protocol has that.
func serve(t *testing.T, h conn.Handler, minor uint32) *conntest.Kernel {
	t.Helper()
	o := options(conntest.Options{Minor: minor})
	o.Conn.Threads, o.Conn.RequestTimeout = 16, 20
	k, err := conntest.New(h, o)
	check(t, err)
	return k
}

// traced mounts h with the flags want on top of the usual ones; see sees each
// request.
func traced(t *testing.T, h conn.Handler, flags protocol.InitFlags, see func(*protocol.Request)) *conntest.Kernel {
	t.Helper()
	o := options(conntest.Options{})
	o.Conn.Want |= flags
	o.Trace = func(m []byte) {
		var r protocol.Request
		if r.Decode(append(make([]byte, 0, len(m)+8), m...), nil) == nil {
			see(&r)
		}
	}
	k, err := conntest.New(h, o)
	check(t, err)
	return k
}
