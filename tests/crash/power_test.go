package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/tests/harness"
)

// volatile is a back end that may lose power: besides carrying ops out it keeps what
// is durable of each file, which is what was written before an fsync(2) began that has
// succeeded, and nothing else. Ops take different times.
type volatile struct {
	forgets bool // the durable part, at an fsync: as a server would that does not pass it on

	mu     sync.Mutex
	rng    *rand.Rand
	files  map[uint64]*store // by inode number
	writes int
	syncs  int
}

type store struct {
	durable []byte
	pending []piece // completed, in order
}

type piece struct {
	off  int64
	data []byte
}

func (s *store) apply(l []piece) {
	for _, p := range l {
		if end := p.off + int64(len(p.data)); end > int64(len(s.durable)) {
			s.durable = append(s.durable, make([]byte, end-int64(len(s.durable)))...)
		}
		copy(s.durable[p.off:], p.data)
	}
}

func newVolatile(rng *rand.Rand) *volatile {
	return &volatile{rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), files: map[uint64]*store{}}
}

// Start is aio.Backend's.
func (v *volatile) Start(op *aio.Op) bool {
	v.mu.Lock()
	wait := time.Duration(v.rng.IntN(300)) * time.Microsecond
	v.mu.Unlock()
	go func() {
		time.Sleep(wait)
		v.carryOut(op)
		op.Finish()
	}()
	return false
}

func (v *volatile) carryOut(op *aio.Op) {
	var st unix.Stat_t
	if err := unix.Fstat(op.FD, &st); err != nil {
		op.N, op.Err = 0, unix.EBADF
		return
	}
	v.mu.Lock()
	s := v.files[st.Ino]
	if s == nil {
		s = &store{}
		v.files[st.Ino] = s
	}
	before := len(s.pending)
	v.mu.Unlock()
	aio.Do(op)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case op.Kind == aio.Write:
		v.writes++
		p := piece{off: op.Off}
		for _, seg := range op.Vec.Segs() {
			p.data = append(p.data, seg.Mem...)
		}
		p.data = p.data[:op.N]
		if op.Flags&(unix.RWF_SYNC|unix.RWF_DSYNC) != 0 && op.Err == 0 {
			s.apply([]piece{p})
		} else {
			s.pending = append(s.pending, p)
		}
	case (op.Kind == aio.Fsync || op.Kind == aio.Fdatasync) && op.Err == 0:
		v.syncs++
		if !v.forgets {
			s.apply(s.pending[:before])
			s.pending = s.pending[before:]
		}
	}
}

// Depth is aio.Backend's.
func (v *volatile) Depth() int { return 16 }

// Cancel is aio.Backend's. The op takes its time all the same.
func (v *volatile) Cancel(*aio.Op) {}

// Close is aio.Backend's.
func (v *volatile) Close() error { return nil }

// left is what a power cut now would leave of a file.
func (v *volatile) left(path string) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == unix.ENOENT {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.files[st.Ino]
	if s == nil {
		return nil, nil
	}
	return bytes.Clone(s.durable), nil
}

// TestPowerCut: at random points, what was acknowledged is in what the back end was
// asked to make durable; and if it is not asked to, that is noticed.
func TestPowerCut(t *testing.T) {
	for _, writeback := range []bool{false, true} {
		for _, forgets := range []bool{false, true} {
			t.Run(fmt.Sprintf("writeback=%v/forgets=%v", writeback, forgets), func(t *testing.T) {
				rng := dice(t)
				src, v := harness.Tmpfs(t), newVolatile(rng)
				v.forgets = forgets
				c := start(t, served(t, src, writeback, 0, v), rng)
				c.line()
				c.says("good")
				points, bad := 100*long(), 0
				for range points {
					before := c.acked()
					time.Sleep(time.Duration(rng.IntN(5000)) * time.Microsecond)
					for end := time.Now().Add(20 * time.Second); c.acked() == before && time.Now().Before(end); {
						time.Sleep(time.Millisecond)
					}
					if err := c.check(func(name string) ([]byte, error) { return v.left(src + "/" + name) }); err != nil {
						if bad++; !forgets {
							t.Error(err)
						}
					}
					if bad > 3 {
						break
					}
				}
				c.line()
				if s := c.says("down:"); s != "<nil>" {
					t.Error("the writer:", s)
				}
				t.Logf("%d points, %d acknowledged, %d writes, %d fsyncs", points, c.acked(), v.writes, v.syncs)
				if forgets && bad == 0 {
					t.Error("a back end that forgets was not noticed")
				}
			})
		}
	}
}
