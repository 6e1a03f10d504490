package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
)

// HANDLE_KILLPRIV_V2: writing to a file (and truncating, allocating, giving
// it away) takes its set-user-id and set-group-id bits, unless the writer has
// CAP_FSETID. With that flag the kernel leaves it to us and says in each
// request whether the caller has it not (FUSE_WRITE_KILL_SUIDGID and kin).
// The source's file system does the same to us, by the capabilities of the
// serving thread: so the thread puts CAP_FSETID aside while it serves such a
// caller. Going by chmod instead would leave a moment in between.
//
// Capabilities are a thread's own and CAP_FSETID stays permitted, so this is
// one capset(2) when the kind of caller changes, none as long as it stays the
// same. A set-group-id bit without group execution (once: mandatory locking)
// stays if the writer is in the file's group, so the thread also takes the
// caller's group for its only supplementary one, which makes it forget that of
// an earlier caller's creation. What differs from the source: the caller's own
// supplementary groups are not in such a request, and the bit goes though the
// file's group is one of them. File capabilities (security.capability) need
// nothing: any write drops them, whoever writes.

// capSelf is the pid of capget(2) and capset(2) that means the calling thread.
const capSelf = 0

// hasCap reports whether the calling thread has capability c in effect.
func hasCap(c int) bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: capSelf}
	var d [2]unix.CapUserData
	return unix.Capget(&h, &d[0]) == nil && d[0].Effective&(1<<c) != 0
}

// fsetid makes the serving thread have CAP_FSETID or not. Where the server
// does not have it anyway nothing happens: the source's rules are right then.
func (fs *FS) fsetid(r *ops.Request, have bool) {
	if !fs.hasFsetid {
		return
	}
	t := fs.thread(r)
	if !have && fs.switching && !t.setGroup(r.Gid(), r.Gid() != ^uint32(0)) {
		r.Thread().Retire()
		fs.log("a thread could not change its groups and is given up")
		return
	}
	if t.noFsetid == have {
		if !changeCap(&t.caps, unix.CAP_FSETID, have) {
			r.Thread().Retire()
			fs.log("a thread could not change its capabilities and is given up")
			return
		}
		t.noFsetid = !have
	}
}

// setCap has the calling thread use capability c, or not.
func setCap(c int, have bool) bool { return changeCap(new([2]unix.CapUserData), c, have) }

// changeCap is setCap with what the thread's capabilities were when it last was
// what it is, if they are known (something is permitted).
func changeCap(d *[2]unix.CapUserData, c int, have bool) bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: capSelf}
	if d[0].Permitted == 0 && unix.Capget(&h, &d[0]) != nil {
		return false
	}
	d[0].Effective &^= 1 << c
	if have {
		d[0].Effective |= 1 << c
	}
	return unix.Capset(&h, &d[0]) == nil
}
