package wb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/sg/clock"
)

// osFile is an Owner over a real file.
type osFile struct{ *os.File }

func (f osFile) FD() int    { return int(f.Fd()) }
func (f osFile) Keep() bool { return true }
func (f osFile) Drop()      {}

func (f osFile) Size() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(f.FD(), &st)
	return st.Size, err
}

// wait is the blocking form of a call.
func wait(f *File, t *Task, call func(*Task) bool) {
	done := make(chan bool, 1)
	t.Done = func(*Task) { done <- true }
	if !call(t) {
		f.Wait(t)
		<-done
	}
}

// TestThreads has several goroutines at work on each of a few files, each in a
// part of its own, over real files and threads; for the race detector, too.
func TestThreads(t *testing.T) {
	dir := t.TempDir()
	c, err := New(NewThreads(6, nil), Config{Bytes: 20 * chunkSize, FileBytes: 9 * chunkSize, MaxWrite: 3 * chunkSize, Age: 20 * time.Millisecond, Files: 2})
	if err != nil {
		t.Fatal(err)
	}
	const part, parts, rounds = 50000, 3, 400
	var all sync.WaitGroup
	for i := range 3 {
		o, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		f, own := c.File(uint64(i)), osFile{o}
		for p := range parts {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), uint64(p)))
				want := make([]byte, part)
				at := int64(p * part)
				var h Handle
				f.Open(&h)
				for range rounds {
					off := rng.IntN(part)
					n := 1 + rng.IntN(min(part-off, 20000))
					b := make([]byte, n)
					switch k := rng.IntN(10); {
					case k < 5:
						for j := range b {
							b[j] = byte(rng.Uint32()) | 1
						}
						w := &Task{Off: at + int64(off), Data: b, Owner: own}
						wait(f, w, f.Write)
						if w.Through {
							c := &Task{Len: -1, Cut: -1}
							wait(f, c, f.Claim)
							if _, err := o.WriteAt(b[w.N:], w.Off+int64(w.N)); err != nil {
								t.Error(err)
							}
							f.Release(c, true)
						}
						copy(want[off:], b)
					case k < 9:
						r := &Task{Off: at + int64(off), Data: b, Owner: own}
						wait(f, r, f.Read)
						if r.Through {
							r.N, _ = o.ReadAt(b, r.Off)
						}
						if !bytes.Equal(b[:r.N], want[off:off+r.N]) || r.Err != 0 {
							t.Errorf("file %d, part %d: read of %d at %d differs (%v, through %v)", i, p, n, off, r.Err, r.Through)
							return
						}
						for _, x := range want[off+r.N : off+n] {
							if x != 0 {
								t.Errorf("file %d, part %d: read of %d at %d is short: %d", i, p, n, off, r.N)
								return
							}
						}
					default:
						s := &Task{Off: at, Len: part, Fsync: rng.IntN(3) == 0, Handle: &h, Owner: own}
						wait(f, s, f.Sync)
						got := make([]byte, part)
						m, _ := o.ReadAt(got, at)
						if !bytes.Equal(got[:m], want[:m]) || s.Err != 0 {
							t.Errorf("file %d, part %d: after a sync the back end differs (%v)", i, p, s.Err)
						}
					}
				}
			})
		}
	}
	all.Wait()
	if lost := c.Close(10 * time.Second); lost != 0 {
		t.Error("lost", lost)
	}
	if s := c.Stats(); s.Memory != 0 || s.Files != 0 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// TestAge: what nobody asks for is written when it is old, and the goroutine that
// sees to it ends.
func TestAge(t *testing.T) {
	o, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	c, err := New(NewThreads(1, nil), Config{Age: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	f := c.File(1)
	for i := range 3 {
		if w := (&Task{Data: []byte("old"), Off: int64(3 * i), Owner: osFile{o}}); !f.Write(w) || w.N != 3 {
			t.Fatal(w.N, w.Err)
		}
		for end := time.Now().Add(20 * time.Second); f.Busy(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is still held back")
			}
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			ticking := c.ticking
			c.mu.Unlock()
			if !ticking {
				break
			} else if time.Now().After(end) {
				t.Fatal("the goroutine does not end")
			}
		}
	}
	if b, err := os.ReadFile(o.Name()); string(b) != "oldoldold" {
		t.Errorf("%q %v", b, err)
	}
	c.Close(time.Second)
}

// TestClose: what hangs is lost in the end, and said so.
func TestClose(t *testing.T) {
	said := ""
	b, c := newBack(t, 2, Config{Log: func(s string) { said += s }})
	b.files[0].hangs = true
	for i, n := range []int{100, 50} {
		if w := (&Task{Data: make([]byte, n), Owner: b.files[i]}); !c.File(uint64(i)).Write(w) {
			t.Fatal("a write waits")
		}
	}
	if lost := c.Close(time.Millisecond); lost != 150 || said == "" {
		t.Errorf("lost %d %q", lost, said)
	}
	if w := (&Task{Data: make([]byte, 1), Owner: b.files[1]}); !c.File(7).Write(w) || !w.Through {
		t.Error("a closed cache takes something")
	}
}

// reluctant is an engine that has to be asked twice.
type reluctant struct {
	*Threads
	mu sync.Mutex
	n  int
}

func (r *reluctant) TrySubmit(op *aio.Op) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	return r.n%2 == 0 && r.Threads.TrySubmit(op)
}

// TestFullEngine: an engine that has no room is waited for elsewhere.
func TestFullEngine(t *testing.T) {
	o, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	e := &reluctant{Threads: NewThreads(2, nil)}
	c, err := New(e, Config{Age: clock.Nanos(-1), MaxWrite: chunkSize})
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("reluctant"), 30000)
	f := c.File(1)
	if w := (&Task{Data: want, Owner: osFile{o}}); !f.Write(w) {
		t.Fatal("a write waits")
	}
	if lost := c.Close(20 * time.Second); lost != 0 || e.n < 2 {
		t.Error(lost, e.n)
	}
	if b, err := os.ReadFile(o.Name()); !bytes.Equal(b, want) {
		t.Error(len(b), err)
	}
}
