package conformance

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// opening is every type of file under every set of flags.
func opening() (all []test) {
	bits := []int{unix.O_CREAT, unix.O_EXCL, unix.O_TRUNC, unix.O_APPEND, unix.O_NOFOLLOW, unix.O_DIRECTORY}
	for _, u := range []string{"root", "owner", "other"} {
		for _, k := range kinds {
			for acc := range 4 {
				for set := range 1 << len(bits) {
					if u == "other" && set&0b11000 != 0 || acc == 3 && (u != "root" || set&0b1000 != 0) {
						continue // nothing new: who may open does not hang on these
					}
					flags := acc
					for i, b := range bits {
						if set&(1<<i) != 0 {
							flags |= b
						}
					}
					all = append(all, openTest(u, k, flags))
				}
				for _, more := range []int{unix.O_PATH, unix.O_PATH | unix.O_NOFOLLOW, unix.O_PATH | unix.O_DIRECTORY, unix.O_TMPFILE, unix.O_TMPFILE | unix.O_EXCL, unix.O_NOATIME, unix.O_SYNC, unix.O_DSYNC | unix.O_APPEND, unix.O_DIRECT, unix.O_DIRECT | unix.O_CREAT} {
					all = append(all, openTest(u, k, acc|more))
				}
			}
		}
	}
	return all
}

func openTest(u, kind string, flags int) test {
	return test{
		name: fmt.Sprintf("open/%s/%s/%s", u, kind, flagNames(flags)),
		fix:  func(f *fixture) { f.make(kind, "n", 0o664) },
		act: func(r *run) {
			a := r.by(u)
			fd := a.open("n", flags, 0o640)
			if fd < 0 || flags&(unix.O_PATH|unix.O_DIRECT) != 0 || kind == "chr" || kind == "fifo" {
				return
			}
			a.pread(fd, 8, 0)
			a.write(fd, "new")
			a.pwrite(fd, "p", 1)
			a.seek(fd, 0, unix.SEEK_END)
			a.ftruncate(fd, 2)
		},
	}
}

// renaming is every type over every type, and who may.
func renaming() (all []test) {
	flagSets := []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE, unix.RENAME_WHITEOUT, 8}
	for _, from := range kinds {
		for _, to := range kinds {
			for _, fl := range flagSets {
				for _, across := range []string{"m", "d/m"} {
					all = append(all, test{
						name: fmt.Sprintf("rename/root/%s-%s-%d-%s", from, to, fl, strings.ReplaceAll(across, "/", "-")),
						fix: func(f *fixture) {
							f.mkdir("d", 0o777)
							f.make(from, "n", 0o755)
							f.make(to, across, 0o755)
						},
						act: func(r *run) { r.by("root").rename("n", across, fl) },
					})
				}
			}
		}
	}
	for _, u := range everyone {
		for _, fl := range flagSets[:3] {
			for _, from := range []string{"file", "dir"} {
				for _, to := range []string{"none", from} {
					for _, m := range []uint32{0o777, 0o755, 0o1777, 0o3775, 0o666} {
						for _, mine := range []int{0, 1001, 1003} {
							all = append(all, test{
								name: fmt.Sprintf("rename/%s/%s-%s-%d-in-%04o-of-%d", u, from, to, fl, m, mine),
								fix: func(f *fixture) {
									f.mkdir("d", 0o777)
									f.mkdir("e", 0o777)
									f.make(from, "d/n", 0o755)
									f.make(to, "e/m", 0o755)
									f.own("d/n", 0o755, mine, mine)
									f.own("d", m, 1001, 1001)
									f.own("e", m, 1002, 1001)
								},
								act: func(r *run) {
									r.by(u).rename("d/n", "e/m", fl)
									r.by(u).rename("d/n", "d/m", fl)
								},
							})
						}
					}
				}
			}
		}
	}
	for _, p := range [][2]string{{"d", "d/x"}, {"d", "d/e/x"}, {"d", "d"}, {"d/e", "d"}, {"d", "."}, {".", "x"}, {"d/..", "x"}, {"d", "d/."}, {"f", "g"}, {"g", "f"}, {"f", "f"}, {"f/", "x"}, {"d/", "x"}, {"d", "x/"}, {"f", "x/"}, {"f", ""}, {"", "x"}, {"f", "f/x"}, {"f/x", "x"}, {"none/x", "x"}, {"f", "none/x"}, {"f", "/dev/shm/x"}, {"f", long(255)}, {"f", long(256)}, {long(256), "x"}} {
		for _, fl := range flagSets[:3] {
			all = append(all, test{
				name: fmt.Sprintf("rename/odd/%s-%s-%d", strings.ReplaceAll(short(p[0]), "/", "%"), strings.ReplaceAll(short(p[1]), "/", "%"), fl),
				fix: func(f *fixture) {
					f.mkdir("d", 0o755)
					f.mkdir("d/e", 0o755)
					f.file("f", 0o644, "f")
					f.link("f", "g")
				},
				act: func(r *run) { r.by("root").rename(p[0], p[1], fl) },
			})
		}
	}
	return all
}

func long(n int) string { return strings.Repeat("n", n) }

// linking and removing: types, users, and whose directory it is.
func linkingAndRemoving() (all []test) {
	acts := []struct {
		name string
		f    func(a actor, n string)
	}{
		{"link", func(a actor, n string) { a.link(n, "l", 0) }},
		{"link-follow", func(a actor, n string) { a.link(n, "l", unix.AT_SYMLINK_FOLLOW) }},
		{"link-empty", func(a actor, n string) { a.link("", "l", unix.AT_EMPTY_PATH) }},
		{"link-over", func(a actor, n string) { a.link(n, n, 0) }},
		{"unlink", func(a actor, n string) { a.unlink(n) }},
		{"rmdir", func(a actor, n string) { a.rmdir(n) }},
		{"unlink-open", func(a actor, n string) {
			fd := a.open(n, unix.O_RDWR, 0)
			a.unlink(n)
			if fd >= 0 && a.write(fd, "more") {
				a.pread(fd, 16, 0)
				a.call(func() error { return unix.Fchmod(fd, 0o600) }, "fchmod")
				a.value(func() (string, error) {
					var st unix.Stat_t
					err := unix.Fstat(fd, &st)
					return fmt.Sprintf("%o n=%d s=%d", st.Mode, st.Nlink, st.Size), err
				}, "fstat")
			}
		}},
		{"rmdir-open", func(a actor, n string) {
			fd := a.open(n, unix.O_RDONLY|unix.O_DIRECTORY, 0)
			a.rmdir(n)
			a.call(func() error { return unix.Mkdirat(fd, "x", 0o755) }, "mkdirat")
			a.call(func() error { return unix.Fchmod(fd, 0o700) }, "fchmod")
		}},
		{"readlink", func(a actor, n string) { a.readlink(n, 64); a.readlink(n, 3) }},
		{"stat", func(a actor, n string) {
			a.stat(n, 0)
			a.stat(n, unix.AT_SYMLINK_NOFOLLOW)
			a.stat(n+"/", 0)
		}},
	}
	for _, u := range everyone {
		for _, act := range acts {
			for _, k := range kinds {
				all = append(all, test{
					name: fmt.Sprintf("%s/%s/%s", act.name, u, k),
					fix:  func(f *fixture) { f.make(k, "n", 0o644) },
					act:  func(r *run) { act.f(r.by(u), "n") },
				})
			}
			for _, pm := range parentModes {
				for _, whose := range []int{0, 1001, 1003} {
					for _, k := range []string{"file", "dir", "dangling"} {
						all = append(all, test{
							name: fmt.Sprintf("%s/%s/%s-of-%d-in-%04o", act.name, u, k, whose, pm),
							fix: func(f *fixture) {
								f.mkdir("d", 0o700)
								f.make(k, "d/n", 0o644)
								f.own("d/n", 0o644, whose, 1001)
								f.own("d", pm, 1001, 1001)
							},
							act: func(r *run) { act.f(r.by(u), "d/n") },
						})
					}
				}
			}
		}
	}
	return all
}

// paths are names that are wrong, long, or lead nowhere, given to every call.
func paths() (all []test) {
	calls := []struct {
		name string
		f    func(a actor, n string)
	}{
		{"open", func(a actor, n string) { a.open(n, unix.O_RDONLY, 0) }},
		{"creat", func(a actor, n string) { a.open(n, unix.O_CREAT|unix.O_WRONLY, 0o644) }},
		{"excl", func(a actor, n string) { a.open(n, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644) }},
		{"mkdir", func(a actor, n string) { a.mkdir(n, 0o755) }},
		{"mkfifo", func(a actor, n string) { a.mknod(n, unix.S_IFIFO|0o644, 0) }},
		{"symlink", func(a actor, n string) { a.symlink("t", n) }},
		{"symlink-to", func(a actor, n string) { a.symlink(n, "new"); a.readlink("new", 8192) }},
		{"link", func(a actor, n string) { a.link("f", n, 0) }},
		{"link-from", func(a actor, n string) { a.link(n, "new", 0) }},
		{"rename", func(a actor, n string) { a.rename("f", n, 0) }},
		{"rename-from", func(a actor, n string) { a.rename(n, "new", 0) }},
		{"unlink", func(a actor, n string) { a.unlink(n) }},
		{"rmdir", func(a actor, n string) { a.rmdir(n) }},
		{"chmod", func(a actor, n string) { a.chmod(n, 0o700) }},
		{"chown", func(a actor, n string) { a.chown(n, 1001, 1001) }},
		{"lchown", func(a actor, n string) { a.lchown(n, 1001, 2001) }},
		{"truncate", func(a actor, n string) { a.truncate(n, 1) }},
		{"utimens", func(a actor, n string) { a.utimens(n, spec(1), spec(2), 0) }},
		{"readlink", func(a actor, n string) { a.readlink(n, 100) }},
		{"access", func(a actor, n string) { a.access(n, unix.F_OK) }},
		{"stat", func(a actor, n string) { a.stat(n, 0) }},
		{"getxattr", func(a actor, n string) { a.getxattr(n, "user.a", 10) }},
	}
	deep := strings.Repeat("./", 2045) // 4090 bytes
	// Neither "/" nor "..": some of the calls would change what is not the case's own.
	names := []string{
		"", ".", "f/", "d/", "none/", "f/x", "none/x", "d/.", "d/..", "d/../f", "d/./f", "f/.", "f/..",
		long(255), long(256), "d/" + long(255), "d/" + long(256), long(256) + "/x",
		deep + "nnnn", deep + "nnnnn", deep + "nnnnnn", strings.Repeat("d/../", 818) + "f",
		"loop", "loop/x", "one/f", "self/f", "chain39", "chain40", "chain41", "chain39/", "link", "link/", "dlink", "dlink/", "dlink/x", "dangling", "dangling/", "deaddir/x",
		"caf\xc3\xa9", "\xff\xfe", "new\nline", "a b", "\x01", "...", "-x", ":", "*", strings.Repeat("\xc3\xa9", 127) + "x", strings.Repeat("\xc3\xa9", 128),
	}
	for _, c := range calls {
		for i, n := range names {
			for _, u := range rootAndI {
				all = append(all, test{
					name: fmt.Sprintf("path/%s/%s/%02d-%q", c.name, u, i, strings.ReplaceAll(short(n), "/", "%")),
					fix: func(f *fixture) {
						f.file("f", 0o644, "file")
						f.mkdir("d", 0o755)
						f.make("loop", "loop", 0)
						f.symlink("two", "one")
						f.symlink("one", "two")
						f.symlink(".", "self")
						f.symlink("f", "link")
						f.symlink("d", "dlink")
						f.symlink("none", "dangling")
						f.symlink("none", "deaddir")
						f.symlink("f", "chain0")
						for j := 1; j <= 41 && strings.HasPrefix(n, "chain"); j++ {
							f.symlink(fmt.Sprintf("chain%d", j-1), fmt.Sprintf("chain%d", j))
						}
					},
					act: func(r *run) { c.f(r.by(u), n) },
				})
			}
		}
	}
	return all
}
