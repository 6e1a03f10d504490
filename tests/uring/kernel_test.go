package uring

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/protocol"
)

// TestRingRetrieve: NOTIFY_REPLY comes on a ring, with its argument in the payload,
// and gives the entry back; more often than there are entries.
func TestRingRetrieve(t *testing.T) {
	got := make(chan string, 1)
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		if r.Op() != protocol.OpNotifyReply {
			return false
		}
		if in := r.NotifyRetrieveIn(); in == nil || in.Size != uint32(len(r.Data)) {
			t.Errorf("%+v, with %d bytes", in, len(r.Data))
		}
		got <- string(r.Data)
		r.NoReply()
		return true
	}}, conn.Options{RingDepth: 2})
	if _, err := os.Stat(filepath.Join(s.dir, "f")); err != nil { // now the kernel knows node 2
		t.Fatal(err)
	}
	page := make([]byte, 4096)
	copy(page, "stored")
	must(t, s.c.NotifyStore(2, 4096, page)) // part of one would not count as known
	for i := range 30 {
		n := uint32(6)
		if i%3 == 0 {
			n = 0
		}
		must(t, s.c.NotifyRetrieve(1<<61+uint64(2*i), 2, 4096, n))
		if d := <-got; d != "stored"[:n] {
			t.Errorf("%q came back", d)
		}
	}
	must(t, s.statfs())
}

// TestRingBadDirentplus: the kernel forgets, on a ring, what was wrong in a directory
// listing, and waits until that is committed.
func TestRingBadDirentplus(t *testing.T) {
	var forgot atomic.Int64
	s := onRing(t, &handler{
		forget: func(id, n uint64) {
			if id == 99 {
				forgot.Add(int64(n))
			}
		},
		serve: func(r *conn.Request) bool {
			if r.Op() != protocol.OpReaddirplus {
				return false
			}
			b := r.Payload()[:0]
			if r.ReadIn().Offset == 0 {
				bad := protocol.EntryOut{Nodeid: 99, Attr: protocol.Attr{Ino: 99}} // no type
				b = protocol.AppendDirentplus(b, &bad, 1, 0, []byte("bad"))
				good := protocol.EntryOut{Nodeid: 2, Attr: attrOf(2)}
				b = protocol.AppendDirentplus(b, &good, 2, unix.DT_REG, []byte("f"))
			}
			_ = r.Reply(0, len(b))
			return true
		}}, conn.Options{RingDepth: 1, Want: conn.DefaultWant | protocol.InitDoReaddirplus})
	const times = 20
	for range times {
		l, err := os.ReadDir(s.dir)
		if err != nil || len(l) == 0 {
			t.Fatalf("%v, %v", l, err)
		}
	}
	if n := forgot.Load(); n != times {
		t.Errorf("%d forgotten, of %d", n, times)
	}
}

// TestRingNarrow: a server that may run on the first CPU only serves the requests of
// all, from there.
func TestRingNarrow(t *testing.T) {
	if !child() {
		offered(t)
		cmd, dir, out := runSelf(t, nil)
		in, err := cmd.StdinPipe()
		must(t, err)
		on(0, func() { err = cmd.Start() }) // it inherits this thread's CPUs
		must(t, err)
		eventually(t, "it is mounted", func() bool { return mounted(t, dir) })
		for cpu := range possible(t) {
			on(cpu, func() {
				for range 50 {
					var st unix.Statfs_t
					if err := again(func() error { return unix.Statfs(dir, &st) }); err != nil {
						t.Errorf("CPU %d: %v", cpu, err)
					}
				}
			})
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("in the child: %v\n%s", err, out)
		}
		return
	}
	s := onRing(t, &handler{}, conn.Options{})
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	if set.Count() != 1 && possible(t) > 1 {
		t.Errorf("the server may run on %d CPUs", set.Count())
	}
	list, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, e := range list {
		var tid int
		for _, c := range e.Name() {
			tid = tid*10 + int(c-'0')
		}
		if err := unix.SchedGetaffinity(tid, &set); err == nil && (set.Count() != 1 || !set.IsSet(0)) && possible(t) > 1 {
			t.Errorf("thread %d may run on %d CPUs", tid, set.Count())
		}
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // its end
	if n := s.c.Stats().Requests; n < 100 {
		t.Errorf("%d requests", n)
	}
}

// TestRingPinned: elsewhere each ring's thread stays on its CPU.
func TestRingPinned(t *testing.T) {
	var mu sync.Mutex
	cpus := map[*conn.Thread]int{}
	s := onRing(t, &handler{serve: func(r *conn.Request) bool {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() != 1 {
			t.Errorf("%d CPUs, %v", set.Count(), err)
		}
		mu.Lock()
		cpus[r.Thread()]++
		mu.Unlock()
		return false
	}}, conn.Options{})
	for cpu := range runtime.NumCPU() {
		on(cpu, func() {
			for range 10 {
				if err := s.statfs(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(cpus) == 0 || len(cpus) > possible(t) {
		t.Errorf("%d threads serve", len(cpus))
	}
}

// TestRingHot: what is asked for most costs the collector nothing.
func TestRingHot(t *testing.T) {
	s := onRing(t, &handler{}, conn.Options{})
	dir := append([]byte(s.dir), 0)
	_ = dir
	for range 100 {
		must(t, s.statfs())
	}
	f, err := unix.Open(filepath.Join(s.dir, "f"), unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(f)
	b := make([]byte, 4096)
	if n := testing.AllocsPerRun(1000, func() { _, _ = unix.Pread(f, b, 0) }); n > 0.01 {
		t.Errorf("%v allocations a READ", n)
	}
}
