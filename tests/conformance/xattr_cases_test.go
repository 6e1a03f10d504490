package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// entry is one line of an ACL.
type entry struct {
	tag, perm uint16
	id        uint32
}

// Tags of ACL entries, and the id of those that have none.
const (
	userObj  = 1
	userTag  = 2
	groupObj = 4
	groupTag = 8
	maskTag  = 16
	otherTag = 32
	noID     = 0xffffffff
)

// acl encodes an ACL as the attribute holds it.
func acl(entries ...entry) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// acls by name. "named" lets 1003 read and write, and group 2001 execute.
var acls = []struct {
	name  string
	value []byte
}{
	{"minimal", acl(entry{userObj, 6, noID}, entry{groupObj, 4, noID}, entry{otherTag, 0, noID})},
	{"named", acl(entry{userObj, 7, noID}, entry{userTag, 6, 1003}, entry{groupObj, 4, noID}, entry{groupTag, 1, 2001}, entry{maskTag, 7, noID}, entry{otherTag, 0, noID})},
	{"masked", acl(entry{userObj, 7, noID}, entry{userTag, 7, 1003}, entry{groupObj, 7, noID}, entry{maskTag, 4, noID}, entry{otherTag, 0, noID})},
	{"nomask", acl(entry{userObj, 7, noID}, entry{userTag, 7, 1003}, entry{groupObj, 7, noID}, entry{otherTag, 0, noID})},
	{"unordered", acl(entry{otherTag, 0, noID}, entry{userObj, 7, noID}, entry{groupObj, 7, noID})},
	{"empty", acl()},
	{"truncated", []byte{2, 0, 0, 0, 1}},
	{"version1", append([]byte{1, 0, 0, 0}, acl(entry{userObj, 6, noID}, entry{groupObj, 4, noID}, entry{otherTag, 0, noID})[4:]...)},
}

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// extended is extended attributes and ACLs.
func extended() (all []test) {
	attrs := []string{"user.a", "user.new", "user.", "user", "", "trusted.a", "security.a", "security.capability", "system.a", "nonsense.a", "user." + long(250), "user." + long(251)}
	for _, u := range everyone {
		for _, k := range []string{"file", "dir", "fifo", "link", "dangling", "chr", "sock"} {
			for _, at := range attrs {
				for fl := range 3 {
					all = append(all, test{
						name: fmt.Sprintf("setxattr/%s/%s/%s-%d", u, k, short(at), fl),
						fix:  withAttrs(k),
						act: func(r *run) {
							a := r.by(u)
							v := []byte("new value")
							if at == "security.capability" {
								v = fileCap
							}
							a.setxattr("n", at, v, fl)
							a.getxattr("n", at, 100)
						},
					})
				}
				all = append(all, test{
					name: fmt.Sprintf("getxattr/%s/%s/%s", u, k, short(at)),
					fix:  withAttrs(k),
					act: func(r *run) {
						a := r.by(u)
						for _, size := range []int{0, 1, 5, 100, 1 << 16, 1 << 17} {
							a.getxattr("n", at, size)
						}
						for _, size := range []int{0, 1, 20, 1000} {
							a.listxattr("n", size)
						}
						a.removexattr("n", at)
						a.removexattr("n", at)
					},
				})
			}
		}
		all = append(all, accessControl(u)...)
	}
	for _, size := range []int{0, 1, 1000, 3000, 5000, 65536, 65537} {
		all = append(all, test{
			name: fmt.Sprintf("setxattr/size-%d", size),
			fix:  withAttrs("file"),
			act: func(r *run) {
				r.by("owner").setxattr("n", "user.big", bytes.Repeat([]byte("x"), size), 0)
				r.by("owner").getxattr("n", "user.big", 1<<16)
			},
		})
	}
	return all
}

// withAttrs makes n with attributes where its kind may have them.
func withAttrs(kind string) func(f *fixture) {
	return func(f *fixture) {
		f.make(kind, "n", 0o644)
		f.xattr("n", "trusted.a", []byte("trust"))
		if kind == "file" || kind == "dir" {
			f.xattr("n", "user.a", []byte("value"))
			f.xattr("n", "user.empty", nil)
		}
	}
}

// accessControl is setting ACLs, being let in by them, and inheriting them.
func accessControl(u string) (all []test) {
	for _, k := range []string{"file", "dir", "link", "fifo"} {
		for _, ac := range acls {
			for _, which := range []string{accessACL, defaultACL} {
				for _, g := range []int{1001, 3001} {
					all = append(all, test{
						name: fmt.Sprintf("acl/set/%s/%s/%s-%s-group-%d", u, k, ac.name, which[17:], g),
						fix: func(f *fixture) {
							f.make(k, "n", 0o755)
							f.own("n", 0o6755, 1001, g)
						},
						act: func(r *run) {
							a := r.by(u)
							a.setxattr("n", which, ac.value, 0)
							a.getxattr("n", which, 200)
							a.chmod("n", 0o2750)
							a.removexattr("n", which)
						},
					})
				}
			}
		}
	}
	for _, ac := range acls[:3] {
		for _, use := range uses {
			all = append(all, test{
				name: fmt.Sprintf("acl/use/%s/%s-%s", u, ac.name, use.name),
				fix: func(f *fixture) {
					f.file("n", 0o600, "text")
					f.xattr("n", accessACL, ac.value)
				},
				act: func(r *run) { use.f(r.by(u), "n") },
			})
		}
		for _, mk := range makers {
			for _, mode := range []uint32{0o666, 0o7711} {
				for _, dm := range []uint32{0o777, 0o2777} {
					all = append(all, test{
						name: fmt.Sprintf("acl/inherit/%s/%s-%s-%04o-in-%04o", u, ac.name, mk.name, mode, dm),
						fix: func(f *fixture) {
							f.mkdir("d", dm)
							f.xattr("d", defaultACL, ac.value)
						},
						act: func(r *run) {
							a := r.by(u)
							a.umask(0o027)
							mk.f(a, "d/n", mode)
						},
					})
				}
			}
		}
		all = append(all, test{
			name: fmt.Sprintf("acl/directory/%s/%s", u, ac.name),
			fix: func(f *fixture) {
				f.mkdir("d", 0o700)
				f.file("d/n", 0o666, "text")
				f.xattr("d", accessACL, ac.value)
			},
			act: func(r *run) {
				a := r.by(u)
				a.open("d/n", unix.O_RDONLY, 0)
				a.mkdir("d/x", 0o755)
				a.unlink("d/n")
			},
		})
	}
	return all
}
