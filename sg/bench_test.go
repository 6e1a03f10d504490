package sg

import (
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkVecBuild makes a vector anew for each request, cuts it at block
// boundaries, and describes it to the kernel.
func BenchmarkVecBuild(b *testing.B) {
	mem := make([]byte, 1<<20)
	for _, segs := range []int{1, 2, 16, 256} {
		b.Run(strconv.Itoa(segs), func(b *testing.B) {
			var v, head, body, tail Vec
			var iov [256]syscall.Iovec
			size := len(mem) / segs
			b.ReportAllocs()
			for b.Loop() {
				v.Reset()
				head.Reset()
				body.Reset()
				tail.Reset()
				for i := range segs {
					_ = v.AppendMem(mem[i*size : (i+1)*size])
				}
				_ = v.SplitAligned(0, 4096, &head, &body, &tail)
				body.Iovecs(iov[:], 0)
			}
		})
	}
}

// BenchmarkVecTransfer compares a vector with the plain call for the same bytes.
func BenchmarkVecTransfer(b *testing.B) {
	mem := make([]byte, 1<<20)
	fd := tempFile(b, mem)
	for _, size := range []int{4096, 1 << 20} {
		b.Run("pwrite/"+strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if n, err := unix.Pwrite(fd, mem[:size], 0); n != size {
					b.Fatal(err)
				}
			}
		})
		for _, segs := range []int{1, 16, 256} {
			b.Run("Pwritev/"+strconv.Itoa(size)+"/"+strconv.Itoa(segs), func(b *testing.B) {
				var v Vec
				for i := range segs {
					_ = v.AppendMem(mem[size/segs*i : size/segs*(i+1)])
				}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if n, err := Pwritev(fd, &v, 0, 0); n != size {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkVecRange copies a file range in the kernel and through a bounce.
func BenchmarkVecRange(b *testing.B) {
	const size = 1 << 20
	src, dst := tempFile(b, make([]byte, size)), tempFile(b, nil)
	for _, c := range []struct {
		name  string
		flags int
	}{{"kernel", 0}, {"bounce", unix.RWF_HIPRI}} {
		b.Run(c.name, func(b *testing.B) {
			v := Vec{Bounce: make([]byte, 256<<10)}
			_ = v.AppendFile(src, 0, size)
			b.SetBytes(size)
			for b.Loop() {
				if n, err := Pwritev(dst, &v, 0, c.flags); n != size {
					b.Fatal(err)
				}
			}
		})
	}
}
