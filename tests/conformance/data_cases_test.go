package conformance

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// data is what can be done with an open file, by how it was opened.
func data() (all []test) {
	how := []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR | unix.O_APPEND, unix.O_PATH}
	acts := []struct {
		name string
		f    func(a actor, fd int)
	}{
		{"read", func(a actor, fd int) { a.pread(fd, 4, 0); a.pread(fd, 4, 3); a.pread(fd, 4, 4); a.pread(fd, 4, 1<<40) }},
		{"read-negative", func(a actor, fd int) { a.pread(fd, 4, -1); a.pread(fd, 4, math.MaxInt64) }},
		{"write", func(a actor, fd int) { a.write(fd, "abcdefgh"); a.pwrite(fd, "ZZ", 2) }},
		{"write-hole", func(a actor, fd int) { a.pwrite(fd, "end", 200); a.seek(fd, 0, unix.SEEK_END) }},
		{"write-far", func(a actor, fd int) {
			a.pwrite(fd, "x", 1<<44)
			a.pwrite(fd, "x", math.MaxInt64-1)
			a.pwrite(fd, "x", -1)
		}},
		{"write-none", func(a actor, fd int) { a.write(fd, "") }},
		{"append-twice", func(a actor, fd int) { a.write(fd, "1"); a.write(fd, "2"); a.pread(fd, 16, 0) }},
		{"ftruncate", func(a actor, fd int) { a.ftruncate(fd, 2); a.ftruncate(fd, 6); a.ftruncate(fd, 6); a.pread(fd, 16, 0) }},
		{"ftruncate-odd", func(a actor, fd int) { a.ftruncate(fd, -1); a.ftruncate(fd, 1<<44); a.ftruncate(fd, math.MaxInt64) }},
		{"seek", func(a actor, fd int) {
			for whence := range 6 {
				for _, off := range []int64{0, 2, 4, -1, math.MaxInt64} {
					a.seek(fd, off, whence)
				}
			}
		}},
		{"fsync", func(a actor, fd int) {
			a.call(func() error { return unix.Fsync(fd) }, "fsync")
			a.call(func() error { return unix.Fdatasync(fd) }, "fdatasync")
		}},
		{"copy", func(a actor, fd int) {
			a.copyRange(a.open("m", unix.O_RDONLY, 0), fd, 10)
			a.copyRange(fd, a.open("m", unix.O_RDWR, 0), 2)
			a.copyRange(fd, fd, 1)
		}},
		{"mmap", func(a actor, fd int) { a.mmapWrite(fd) }},
		{"fstat", func(a actor, fd int) {
			a.value(func() (string, error) {
				var st unix.Stat_t
				err := unix.Fstat(fd, &st)
				return fmt.Sprintf("%06o %d:%d n=%d s=%d blk=%d", st.Mode, st.Uid, st.Gid, st.Nlink, st.Size, st.Blksize), err
			}, "fstat")
		}},
		{"fchmod", func(a actor, fd int) { a.fchmod(fd, 0o711); a.fchown(fd, -1, 2001) }},
		{"futimens", func(a actor, fd int) {
			a.call(func() error { return unix.Futimes(fd, []unix.Timeval{{Sec: 1}, {Sec: 2}}) }, "futimes")
		}},
		{"setfl", func(a actor, fd int) {
			a.call(func() error {
				_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_APPEND)
				return err
			}, "setfl-append")
			a.write(fd, "appended")
			a.pread(fd, 16, 0)
		}},
	}
	for _, u := range rootAndI {
		for _, k := range []string{"file", "dir", "fifo", "chr"} {
			for _, fl := range how {
				for _, act := range acts {
					all = append(all, test{
						name: fmt.Sprintf("data/%s/%s/%s/%s", act.name, u, k, flagNames(fl)),
						fix: func(f *fixture) {
							f.make(k, "n", 0o644)
							f.file("m", 0o666, "0123456789")
						},
						act: func(r *run) {
							a := r.by(u)
							act.f(a, a.open("n", fl, 0))
						},
					})
				}
				if u == "owner" && (k == "file" || fl == unix.O_RDWR || fl == unix.O_RDONLY) {
					all = append(all, allocating(u, k, fl)...)
				}
			}
		}
	}
	for _, u := range everyone {
		for _, k := range kinds {
			for _, size := range []int64{0, 1, 4, 100, -1, math.MaxInt64, 1 << 44} {
				all = append(all, test{
					name: fmt.Sprintf("truncate/%s/%s-%d", u, k, size),
					fix:  func(f *fixture) { f.make(k, "n", 0o644) },
					act:  func(r *run) { r.by(u).truncate("n", size) },
				})
			}
		}
	}
	return all
}

// allocating is fallocate in every mode.
func allocating(u, kind string, flags int) (all []test) {
	modes := []struct {
		name string
		mode uint32
	}{
		{"plain", 0},
		{"keep", unix.FALLOC_FL_KEEP_SIZE},
		{"punch", unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE},
		{"punch-alone", unix.FALLOC_FL_PUNCH_HOLE},
		{"zero", unix.FALLOC_FL_ZERO_RANGE},
		{"zero-keep", unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE},
		{"collapse", unix.FALLOC_FL_COLLAPSE_RANGE},
		{"insert", unix.FALLOC_FL_INSERT_RANGE},
		{"unshare", unix.FALLOC_FL_UNSHARE_RANGE},
		{"unknown", 1 << 20},
	}
	ranges := [][2]int64{{0, 4}, {2, 100}, {0, 0}, {-1, 5}, {5, -1}, {math.MaxInt64, 1}, {1 << 44, 1}, {4096, 4096}}
	for _, m := range modes {
		for _, rg := range ranges {
			if m.mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) == 0 && rg[0] > 1<<40 && m.mode != 0 {
				continue
			}
			all = append(all, test{
				name: fmt.Sprintf("fallocate/%s/%s/%s/%s/%d-%d", m.name, u, kind, flagNames(flags), rg[0], rg[1]),
				fix:  func(f *fixture) { f.make(kind, "n", 0o644) },
				act: func(r *run) {
					a := r.by(u)
					fd := a.open("n", flags, 0)
					a.fallocate(fd, m.mode, rg[0], rg[1])
					a.seek(fd, 0, unix.SEEK_END)
				},
			})
		}
	}
	return all
}
