package conformance

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// parentModes are the directories in which creating and removing is tried.
var parentModes = []uint32{0o777, 0o755, 0o775, 0o700, 0o500, 0o300, 0o070, 0o007, 0o2777, 0o2775, 0o1777, 0o3777, 0}

// makers create n in one way each.
var makers = []struct {
	name string
	f    func(a actor, n string, mode uint32)
}{
	{"open", func(a actor, n string, m uint32) { a.open(n, unix.O_CREAT|unix.O_RDWR, m) }},
	{"creat-rdonly", func(a actor, n string, m uint32) { a.open(n, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY, m) }},
	{"mkdir", func(a actor, n string, m uint32) { a.mkdir(n, m) }},
	{"mkfifo", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFIFO|m, 0) }},
	{"mksock", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFSOCK|m, 0) }},
	{"mkreg", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFREG|m, 0) }},
	{"mknotype", func(a actor, n string, m uint32) { a.mknod(n, m, 0) }},
	{"mkchr", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFCHR|m, unix.Mkdev(1, 7)) }},
	{"mkblk", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFBLK|m, unix.Mkdev(7, 300)) }},
	{"mkbig", func(a actor, n string, m uint32) { a.mknod(n, unix.S_IFCHR|m, unix.Mkdev(4000, 1000000)) }},
	{"symlink", func(a actor, n string, _ uint32) { a.symlink("target", n) }},
}

// creating: who may make what where, with which mode and owner.
func creating() (all []test) {
	for _, mk := range makers {
		for _, u := range everyone {
			for _, pm := range parentModes {
				all = append(all, test{
					name: fmt.Sprintf("create/%s/%s/in-%04o", mk.name, u, pm),
					fix:  func(f *fixture) { f.mkdir("d", pm) },
					act:  func(r *run) { mk.f(r.by(u), "d/n", 0o666) },
				})
			}
			for _, k := range kinds {
				if k == "none" {
					continue
				}
				all = append(all, test{
					name: fmt.Sprintf("create/%s/%s/over-%s", mk.name, u, k),
					fix:  func(f *fixture) { f.make(k, "n", 0o755) },
					act:  func(r *run) { mk.f(r.by(u), "n", 0o640) },
				})
			}
		}
		for _, u := range []string{"root", "owner", "member"} {
			for _, mode := range []uint32{0, 0o777, 0o7777, 0o2755} {
				for _, mask := range []int{0o022, 0o777} {
					for _, pm := range []uint32{0o777, 0o2777} {
						all = append(all, test{
							name: fmt.Sprintf("create/%s/%s/mode-%04o-umask-%03o-in-%04o", mk.name, u, mode, mask, pm),
							fix:  func(f *fixture) { f.mkdir("d", pm) },
							act: func(r *run) {
								a := r.by(u)
								a.umask(mask)
								mk.f(a, "d/n", mode)
							},
						})
					}
				}
			}
		}
	}
	return all
}

// uses are what a permission bit on the file itself decides.
var uses = []struct {
	name string
	f    func(a actor, n string)
}{
	{"access-r", func(a actor, n string) { a.access(n, unix.R_OK) }},
	{"access-w", func(a actor, n string) { a.access(n, unix.W_OK) }},
	{"access-x", func(a actor, n string) { a.access(n, unix.X_OK) }},
	{"access-f", func(a actor, n string) { a.access(n, unix.F_OK) }},
	{"access-rwx", func(a actor, n string) { a.access(n, 7) }},
	{"access-8", func(a actor, n string) { a.access(n, 8) }},
	{"read", func(a actor, n string) { a.pread(a.open(n, unix.O_RDONLY, 0), 8, 0) }},
	{"write", func(a actor, n string) { a.write(a.open(n, unix.O_WRONLY, 0), "W") }},
	{"rdwr", func(a actor, n string) { a.open(n, unix.O_RDWR, 0) }},
	{"trunc", func(a actor, n string) { a.open(n, unix.O_RDONLY|unix.O_TRUNC, 0) }},
	{"noatime", func(a actor, n string) { a.pread(a.open(n, unix.O_RDONLY|unix.O_NOATIME, 0), 8, 0) }},
	{"truncate", func(a actor, n string) { a.truncate(n, 2) }},
	{"utime-now", func(a actor, n string) { a.utimens(n, specNow, specNow, 0) }},
	{"utime-set", func(a actor, n string) { a.utimens(n, spec(1), spec(2), 0) }},
	{"getxattr", func(a actor, n string) { a.getxattr(n, "user.a", 16) }},
	{"setxattr", func(a actor, n string) { a.setxattr(n, "user.b", []byte("b"), 0) }},
	{"removexattr", func(a actor, n string) { a.removexattr(n, "user.a") }},
	{"listxattr", func(a actor, n string) { a.listxattr(n, 256) }},
	{"exec", func(a actor, n string) { a.exec(n) }},
}

// reaching is a file's use by its mode and by the modes of the directory.
func reaching() (all []test) {
	var modes []uint32
	for _, bits := range []uint32{1, 2, 4, 7} {
		modes = append(modes, bits<<6, bits<<3, bits)
	}
	modes = append(modes, 0, 0o077, 0o707, 0o4711, 0o7777)
	for _, use := range uses {
		for _, u := range everyone {
			for _, k := range []string{"file", "dir"} {
				for _, m := range modes {
					all = append(all, test{
						name: fmt.Sprintf("use/%s/%s/%s-%04o", use.name, u, k, m),
						fix: func(f *fixture) {
							f.make(k, "n", m)
							f.xattr("n", "user.a", []byte("value"))
						},
						act: func(r *run) { use.f(r.by(u), "n") },
					})
				}
			}
			for _, k := range kinds {
				all = append(all, test{
					name: fmt.Sprintf("use/%s/%s/%s", use.name, u, k),
					fix:  func(f *fixture) { f.make(k, "n", 0o666) },
					act:  func(r *run) { use.f(r.by(u), "n") },
				})
			}
			for _, pm := range parentModes {
				all = append(all, test{
					name: fmt.Sprintf("use/%s/%s/in-%04o", use.name, u, pm),
					fix: func(f *fixture) {
						f.mkdir("d", 0o700)
						f.file("d/n", 0o777, "text")
						f.own("d", pm, 1001, 1001)
					},
					act: func(r *run) { use.f(r.by(u), "d/n") },
				})
			}
		}
	}
	return all
}

var (
	specNow  = unix.Timespec{Nsec: unix.UTIME_NOW}
	specOmit = unix.Timespec{Nsec: unix.UTIME_OMIT}
)

func spec(n int64) unix.Timespec {
	return unix.NsecToTimespec(1_200_000_000_000_000_000 + n*1_000_000_123)
}
