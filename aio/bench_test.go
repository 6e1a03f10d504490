package aio

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkRead4K reads what is in the page cache, one at a time: by the system call
// alone, tried at once, and through each back end.
func BenchmarkRead4K(b *testing.B) {
	fd := open(b, b.TempDir(), 0, make([]byte, 1<<20))
	buf := make([]byte, 4096)
	b.Run("pread", func(b *testing.B) {
		for i := range b.N {
			_, _ = unix.Pread(fd, buf, int64(i%256)*4096)
		}
	})
	b.Run("Do", func(b *testing.B) {
		op := &Op{FD: fd}
		_ = op.Vec.AppendMem(buf)
		for i := range b.N {
			op.Off = int64(i%256) * 4096
			Do(op)
		}
	})
	engines(b, func(name string, s *Scheduler) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ended := make(chan struct{}, 1)
			op := &Op{FD: fd, Done: func(*Op) { ended <- struct{}{} }}
			_ = op.Vec.AppendMem(buf)
			for i := range b.N {
				op.Off = int64(i%256) * 4096
				s.Submit(op)
				<-ended
			}
		})
	})
}

// BenchmarkTry is what the engine adds to a system call, without one: descriptor
// -1 is refused at once. On several threads, each with a file of its own, and all
// with one.
func BenchmarkTry(b *testing.B) {
	var key atomic.Uint64
	for name, same := range map[string]bool{"own": false, "shared": true} {
		b.Run(name, func(b *testing.B) {
			s := New(Inline{}, Config{Try: true})
			b.RunParallel(func(pb *testing.PB) {
				op := rw(Read, key.Add(1), 0, 1, func(*Op) {})
				if same {
					op.Key = 0
				}
				op.FD = -1
				for pb.Next() {
					s.Submit(op)
				}
			})
			if st := s.Stats(); st.Submitted != 0 {
				b.Error("queued")
			}
			s.Close()
		})
	}
	b.Run("Do", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			op := rw(Read, 0, 0, 1, nil)
			op.FD = -1
			for pb.Next() {
				Do(op)
			}
		})
	})
}

// BenchmarkQueue is what queueing adds: a back end that does nothing, at once.
func BenchmarkQueue(b *testing.B) {
	s := New(Inline{}, Config{})
	op := &Op{Kind: Read, FD: -1, Done: func(*Op) {}}
	b.ReportAllocs()
	for range b.N {
		s.Submit(op)
	}
	s.Close()
}
