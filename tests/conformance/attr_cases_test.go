package conformance

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// modesBefore and modesAfter are the modes chmod and chown meet.
var (
	modesBefore = []uint32{0o755, 0o6755, 0o2745, 0o7777}
	modesAfter  = []uint32{0, 0o644, 0o1755, 0o2755, 0o2644, 0o4755, 0o7777}
)

// foreign are the groups a file belongs to besides its owner's own.
var foreign = []int{1001, 2001, 3001}

func changingMode() (all []test) {
	for _, u := range everyone {
		for _, k := range []string{"file", "dir", "fifo", "link"} {
			for _, to := range modesAfter {
				for _, from := range []uint32{0o644, 0o6755} {
					for _, g := range foreign {
						all = append(all, test{
							name: fmt.Sprintf("chmod/%s/%s-%04o-%04o-group-%d", u, k, from, to, g),
							fix: func(f *fixture) {
								f.make(k, "n", from)
								if k != "link" {
									f.own("n", from, 1001, g)
								} else {
									f.own("n.file", from, 1001, g)
								}
							},
							act: func(r *run) { r.by(u).chmod("n", to) },
						})
					}
				}
			}
		}
		for _, k := range kinds {
			all = append(all, test{
				name: fmt.Sprintf("chmod/%s/kind-%s", u, k),
				fix:  func(f *fixture) { f.make(k, "n", 0o600) },
				act:  func(r *run) { r.by(u).chmod("n", 0o711) },
			}, test{
				name: fmt.Sprintf("chmod/%s/fd-%s", u, k),
				fix:  func(f *fixture) { f.make(k, "n", 0o644) },
				act: func(r *run) {
					a := r.by(u)
					if fd := a.open("n", unix.O_RDONLY, 0); fd >= 0 {
						a.fchmod(fd, 0o700)
					}
					if fd := a.open("n", unix.O_PATH, 0); fd >= 0 {
						a.fchmod(fd, 0o600)
					}
				},
			})
		}
		for _, pm := range parentModes {
			all = append(all, test{
				name: fmt.Sprintf("chmod/%s/in-%04o", u, pm),
				fix: func(f *fixture) {
					f.mkdir("d", 0o700)
					f.file("d/n", 0o644, "")
					f.own("d", pm, 1001, 1001)
				},
				act: func(r *run) { r.by(u).chmod("d/n", 0o751) },
			})
		}
	}
	return all
}

func changingOwner() (all []test) {
	ids := []struct{ uid, gid int }{
		{-1, -1}, {1001, -1}, {-1, 1001}, {1001, 1001}, {-1, 2001}, {1001, 2001}, {-1, 3001}, {1002, -1}, {1002, 1001}, {0, 0}, {-1, 0}, {-1, 1002},
		{70000, 70001},
	}
	for _, u := range everyone {
		for _, id := range ids {
			for _, k := range []string{"file", "dir", "link", "dangling", "fifo"} {
				modes := modesBefore
				if k == "link" || k == "dangling" {
					modes = []uint32{0o6755}
				}
				for _, m := range modes {
					all = append(all, test{
						name: fmt.Sprintf("chown/%s/%s-%04o-%d-%d", u, k, m, id.uid, id.gid),
						fix:  func(f *fixture) { f.make(k, "n", m) },
						act:  func(r *run) { r.by(u).chown("n", id.uid, id.gid) },
					}, test{
						name: fmt.Sprintf("lchown/%s/%s-%04o-%d-%d", u, k, m, id.uid, id.gid),
						fix:  func(f *fixture) { f.make(k, "n", m) },
						act:  func(r *run) { r.by(u).lchown("n", id.uid, id.gid) },
					})
				}
			}
			all = append(all, test{
				name: fmt.Sprintf("fchown/%s/%d-%d", u, id.uid, id.gid),
				fix:  func(f *fixture) { f.make("file", "n", 0o6755) },
				act: func(r *run) {
					a := r.by(u)
					if fd := a.open("n", unix.O_RDONLY, 0); fd >= 0 {
						a.fchown(fd, id.uid, id.gid)
					}
				},
			})
		}
		for _, k := range kinds {
			all = append(all, test{
				name: fmt.Sprintf("chown/%s/kind-%s", u, k),
				fix:  func(f *fixture) { f.make(k, "n", 0o6711) },
				act: func(r *run) {
					r.by(u).lchown("n", -1, 2001)
					r.by(u).chown("n", 1001, 1001)
				},
			})
		}
	}
	return all
}

// changingTimes is utimensat with every pair of times.
func changingTimes() (all []test) {
	specs := []unix.Timespec{specNow, specOmit, spec(5), {Sec: -1, Nsec: 999999999}, {Sec: 5000000000, Nsec: 1}, {Sec: 1, Nsec: 1000000000}}
	for _, u := range everyone {
		for i, at := range specs {
			for j, mt := range specs {
				for _, m := range []uint32{0o600, 0o666} {
					all = append(all, test{
						name: fmt.Sprintf("utimens/%s/%04o-%d-%d", u, m, i, j),
						fix:  func(f *fixture) { f.file("n", m, "text") },
						act:  func(r *run) { r.by(u).utimens("n", at, mt, 0) },
					})
				}
			}
		}
		for _, k := range kinds {
			for _, flags := range []int{0, unix.AT_SYMLINK_NOFOLLOW, 0x4000} {
				for i, s := range []unix.Timespec{specNow, specOmit, spec(9)} {
					all = append(all, test{
						name: fmt.Sprintf("utimens/%s/kind-%s-%#x-%d", u, k, flags, i),
						fix:  func(f *fixture) { f.make(k, "n", 0o644) },
						act:  func(r *run) { r.by(u).utimens("n", s, s, flags) },
					})
				}
			}
		}
	}
	return all
}

// clearing is what takes the set-id bits away.
func clearing() (all []test) {
	ways := []struct {
		name string
		f    func(a actor)
	}{
		{"write", func(a actor) { a.write(a.open("n", unix.O_WRONLY, 0), "W") }},
		{"append", func(a actor) { a.write(a.open("n", unix.O_WRONLY|unix.O_APPEND, 0), "W") }},
		{"write-nothing", func(a actor) { a.write(a.open("n", unix.O_WRONLY, 0), "") }},
		{"direct", func(a actor) { a.ftruncate(a.open("n", unix.O_WRONLY|unix.O_DIRECT, 0), 0) }},
		{"truncate", func(a actor) { a.truncate("n", 1) }},
		{"truncate-same", func(a actor) { a.truncate("n", 4) }},
		{"ftruncate", func(a actor) { a.ftruncate(a.open("n", unix.O_RDWR, 0), 9) }},
		{"ftruncate-same", func(a actor) { a.ftruncate(a.open("n", unix.O_RDWR, 0), 4) }},
		{"trunc", func(a actor) { a.open("n", unix.O_WRONLY|unix.O_TRUNC, 0) }},
		{"open", func(a actor) { a.open("n", unix.O_WRONLY, 0) }},
		{"fallocate", func(a actor) { a.fallocate(a.open("n", unix.O_RDWR, 0), 0, 0, 100) }},
		{"punch", func(a actor) {
			a.fallocate(a.open("n", unix.O_RDWR, 0), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 2)
		}},
		{"mmap", func(a actor) { a.mmapWrite(a.open("n", unix.O_RDWR, 0)) }},
		{"copy", func(a actor) { a.copyRange(a.open("m", unix.O_RDONLY, 0), a.open("n", unix.O_RDWR, 0), 3) }},
		{"two-writes", func(a actor) {
			fd := a.open("n", unix.O_WRONLY, 0)
			a.write(fd, "a")
			a.r.by("root").chmod("n", 0o6777)
			a.write(fd, "b")
		}},
	}
	for _, u := range everyone {
		for _, w := range ways {
			for _, m := range []uint32{0o6777, 0o2767, 0o4666, 0o777} {
				for _, g := range []int{1001, 3001} {
					for _, cap := range []bool{false, true} {
						all = append(all, test{
							name: fmt.Sprintf("setid/%s/%s-%04o-group-%d-cap-%v", u, w.name, m, g, cap),
							fix: func(f *fixture) {
								f.file("m", 0o666, "more")
								f.file("n", 0o777, "text")
								f.own("n", m, 1001, g)
								if cap {
									f.xattr("n", "security.capability", fileCap)
								}
							},
							act: func(r *run) {
								w.f(r.by(u))
								r.by("root").stat("n", 0)
							},
						})
					}
				}
			}
		}
	}
	return all
}

// fileCap is a file capability: revision 2, CAP_NET_RAW permitted.
var fileCap = []byte{0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
