package passfs

import (
	"golang.org/x/sys/unix"

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
// same. One thing differs from the source: a set-group-id bit without group
// execution (once: mandatory locking) also goes if the caller is a member of
// the file's group and the server is not. A request does not say which groups
// the caller is in. File capabilities (security.capability) need nothing: any write drops
// them, whoever writes.

// capSelf is the pid of capget(2) and capset(2) that means the calling thread.
const capSelf = 0

// canFsetid reports whether the calling thread has CAP_FSETID in effect.
func canFsetid() bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: capSelf}
	var d [2]unix.CapUserData
	return unix.Capget(&h, &d[0]) == nil && d[0].Effective&(1<<unix.CAP_FSETID) != 0
}

// fsetid makes the serving thread have CAP_FSETID or not. Where the server
// does not have it anyway nothing happens: the source's rules are right then.
func (fs *FS) fsetid(r *ops.Request, have bool) {
	if !fs.hasFsetid {
		return
	}
	if t := fs.thread(r); t.noFsetid == have {
		if !setFsetid(have) {
			r.Thread().Retire()
			fs.log("a thread could not change its capabilities and is given up")
			return
		}
		t.noFsetid = !have
	}
}

func setFsetid(have bool) bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: capSelf}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil {
		return false
	}
	d[0].Effective &^= 1 << unix.CAP_FSETID
	if have {
		d[0].Effective |= 1 << unix.CAP_FSETID
	}
	return unix.Capset(&h, &d[0]) == nil
}
