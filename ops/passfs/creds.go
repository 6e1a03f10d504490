package passfs

import (
	"syscall"

	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/ops"
)

// A file belongs to who made it, so MKNOD, MKDIR, SYMLINK, CREATE and TMPFILE
// run with the caller's ids. Linux keeps credentials and umask per thread;
// the C library and package syscall hide that by changing all threads, the
// bare system calls used here change the serving thread alone, which is
// locked to its goroutine.
//
// The owner would be right with a chown afterwards as well. Being the caller
// also gets right what depends on who creates: the group in setgid
// directories, quotas, default ACLs, capabilities (a file-system uid other
// than 0 takes CAP_CHOWN, CAP_MKNOD, CAP_FSETID and the CAP_DAC_ pair out of
// the effective set; going back to 0 brings back what is permitted, see
// capabilities(7)), and there is no moment in which the file is somebody
// else's.
//
// Umask: with DONT_MASK the kernel leaves it to us, because a directory's
// default ACL takes the umask's place. Only the source's file system knows
// about the ACL, so the umask has to be ours while it creates. The umask
// belongs to the fs_struct that all threads of a process share; each serving
// thread leaves that with unshare(CLONE_FS) at its first creation, and then
// umask(2) is its own. Where unshare is forbidden (seccomp), mode &^ umask
// is used, which differs under a default ACL.

// thread is what is known about a serving OS thread, in conn.Thread.Local.
type thread struct {
	own    bool   // has its own umask
	shared bool   // could not get one
	umask  uint32 // the one set, if own

	groups   bool // set at least once; then:
	hasGroup bool
	group    uint32

	noFsetid bool                // CAP_FSETID is out of the effective set (attr.go)
	caps     [2]unix.CapUserData // as the server, if known
}

// noUmask as an argument of assume: no umask is involved.
const noUmask = ^uint32(0)

func (fs *FS) thread(r *ops.Request) *thread {
	th := r.Thread()
	if t, ok := th.Local.(*thread); ok {
		return t
	}
	t := &thread{umask: noUmask}
	th.Local = t
	return t
}

// creds is the state of having become the caller; drop ends it.
type creds struct {
	fs       *FS
	r        *ops.Request
	t        *thread
	uid, gid bool
}

// assume makes the serving thread the caller of r, with umask, until drop,
// which must be called on the same thread also when assume has failed. mode
// is the mode to create with, changed only where umask(2) could not be used.
func (fs *FS) assume(r *ops.Request, umask uint32, mode *uint32) (creds, error) {
	c := creds{fs: fs, r: r, t: fs.thread(r)}
	if umask != noUmask {
		umask &= 0o777
		if !c.t.setUmask(umask) {
			*mode &^= umask
		}
	}
	if !fs.switching {
		return c, nil
	}
	uid, gid := r.Uid(), r.Gid()
	if uid == ^uint32(0) || gid == ^uint32(0) {
		return c, unix.EOVERFLOW // an id the mount's user namespace has no number for
	}
	if uid == fs.euid {
		if mode == nil || *mode&unix.S_ISGID != 0 {
			fs.fsetid(r, true) // or the bit might not survive the creation
		}
		if gid == fs.egid {
			return c, nil
		}
	}
	group, has := r.SuppGroup()
	if !c.t.setGroup(group, has) {
		return c, unix.EPERM
	}
	if gid != fs.egid {
		c.gid = true
		if !setFS(sysSetfsgid, gid) {
			return c, unix.EPERM
		}
	}
	if uid != fs.euid {
		c.uid = true
		if !setFS(sysSetfsuid, uid) {
			return c, unix.EPERM
		}
	}
	return c, nil
}

// drop makes the thread the server again. A thread that cannot go back must
// not serve anybody else.
func (c *creds) drop() {
	ok := true
	if c.uid {
		ok = setFS(sysSetfsuid, c.fs.euid)
		if c.fs.euid == 0 {
			c.t.noFsetid = false // raised again with the others
		}
	}
	if c.gid {
		ok = setFS(sysSetfsgid, c.fs.egid) && ok
	}
	c.uid, c.gid = false, false
	if !ok {
		c.r.Thread().Retire()
		c.fs.log("a thread could not take back its ids and is given up")
	}
}

// override lets the thread, as the caller, into directories whatever their
// mode, or not any more; drop ends it too. For a creation the source refuses
// with EACCES: the kernel above has allowed it, which may have been for one of
// the caller's groups that we are not told (an ACL names it; no
// CREATE_SUPP_GROUP before 6.3).
func (c *creds) override(on bool) bool {
	return c.uid && c.fs.euid == 0 && setCap(unix.CAP_DAC_OVERRIDE, on)
}

// setFS sets the thread's fsuid or fsgid. The call reports no errors, so it
// is asked again: an id nobody can have changes nothing and returns the
// present one.
func setFS(nr uintptr, id uint32) bool {
	syscall.RawSyscall(nr, uintptr(id), 0, 0)
	now, _, _ := syscall.RawSyscall(nr, uintptr(^uint32(0)), 0, 0)
	return uint32(now) == id
}

// setGroup makes group the thread's only supplementary group, or leaves it
// none. It reports whether that is so; no call is made when it already is. A
// user namespace may deny setgroups(2) for good (user_namespaces(7)): then the
// thread has the groups the server was started with, and nobody else's.
func (t *thread) setGroup(group uint32, some bool) bool {
	if t.groups && t.hasGroup == some && (!some || t.group == group) {
		return true
	}
	e := setgroups1(sysSetgroups, group, some)
	t.groups = e == 0
	t.hasGroup, t.group = some, group
	return e == 0 || e == unix.EPERM
}

// setUmask sets the thread's own umask; false if it has none of its own.
func (t *thread) setUmask(m uint32) bool {
	if !t.own {
		if t.shared {
			return false
		}
		if _, _, e := syscall.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_FS, 0, 0); e != 0 {
			t.shared = true
			return false
		}
		t.own = true
	}
	if t.umask != m {
		syscall.RawSyscall(unix.SYS_UMASK, uintptr(m), 0, 0)
		t.umask = m
	}
	return true
}

// canSwitch reports whether the process may become anybody: CAP_SETUID and
// CAP_SETGID in its effective set.
func canSwitch() bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return d[0].Effective&need == need
}
