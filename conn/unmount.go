package conn

import (
	"strconv"

	"github.com/fusewire/fusewire/sg/unix"
)

// Unmount takes the mount down. EBUSY: files are open on it, a process stands in
// it, or another mount lies over it; it then stays as it was. nil too if somebody
// else unmounted it before. A mount that was moved is found where it is now, and
// one that took its place is left alone. The server must still be answering:
// the kernel writes out what is dirty first.
func (m *Mount) Unmount() error { return m.unmount("unmount", 0) }

// Detach takes the mount out of the tree at once and lets those who use it
// finish (umount -l). The connection ends when the last of them is done.
func (m *Mount) Detach() error { return m.unmount("detach", unix.MNT_DETACH) }

func (m *Mount) unmount(op string, flags int) error {
	at, err := m.locate(op)
	if err != nil || at == "" {
		return err
	}
	for {
		err = unix.Unmount(at, flags|unix.UMOUNT_NOFOLLOW)
		if err != unix.EINTR {
			break
		}
	}
	if err == nil {
		return nil
	}
	if err != unix.EPERM || m.how == wayGiven {
		return &Error{Op: op, Path: at, Err: err}
	}
	tool := m.tool
	if tool == "" {
		tool = lookTool("fusermount3")
	}
	if tool == "" {
		return &Error{Op: op, Path: at, Err: err, Detail: "umount(2) is not permitted, and there is no fusermount3"}
	}
	argv := []string{"fusermount3", "-u", "--", at}
	if flags&unix.MNT_DETACH != 0 {
		argv = []string{"fusermount3", "-u", "-z", "--", at}
	}
	c, err := startTool(tool, argv, -1)
	if err != nil {
		return &Error{Op: op, Path: at, Err: err, Detail: "starting " + tool}
	}
	said, status := c.finish()
	if status == 0 {
		return nil
	}
	if still, err := m.locate(op); err == nil && still == "" {
		return nil // it went away meanwhile, or SIGCHLD is ignored
	}
	// the helper reports in words; the one failure that callers act on is this
	return &Error{Op: op, Path: at, Err: unix.EBUSY, Detail: tool + ": " + exitText(said, status)}
}

// locate returns the path under which our mount, and no other, can be unmounted:
// "" if it is gone.
func (m *Mount) locate(op string) (string, error) {
	if m.id < 0 {
		return "", &Error{Op: op, Path: m.dir, Err: unix.EPERM, Detail: "mounted by the caller, who unmounts it"}
	}
	list, err := readMountinfo()
	if err != nil {
		return "", err
	}
	l := mountByID(list, m.id)
	if l == nil || l.dev != m.dev {
		return "", nil // an id is reused once its mount is gone, st_dev may tell
	}
	for i := range list {
		if list[i].parent == m.id && list[i].point == l.point && list[i].id != m.id {
			return "", &Error{Op: op, Path: l.point, Err: unix.EBUSY, Detail: "another file system is mounted over it"}
		}
	}
	// what the path leads to may still be another, where something covers a
	// directory on the way. O_PATH does not ask the file system, nor does fdinfo.
	fd, err := openat(l.point, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", &Error{Op: op, Path: l.point, Err: err}
	}
	id, uniq := fdinfo(fd, "mnt_id"), uniqueID(fd)
	unix.Close(fd)
	if id >= 0 && id != m.id {
		return "", &Error{Op: op, Path: l.point, Err: unix.EBUSY, Detail: "hidden under another mount"}
	}
	if uniq != m.uniq && m.uniq != 0 && uniq != 0 {
		return "", nil // both numbers went to the next FUSE mount, as they do when that comes at once
	}
	return l.point, nil
}

// uniqueID returns the mount id of fd that is never reused, 0 before 6.8. No file
// system is asked.
func uniqueID(fd int) uint64 {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		return 0
	}
	return st.Mnt_id
}

// Abort ends the connection: requests in flight end with ECONNABORTED and the
// mount answers ENOTCONN until it is unmounted. It acts on our own connection
// only, through fusectl (/sys/fs/fuse/connections/N/abort), or by umount -f where
// that is not mounted, which also unmounts what is not busy. Once detached there is
// only fusectl; where it fails, closing every descriptor of the device (ending the
// process) aborts.
func (m *Mount) Abort() error {
	if m.dev == 0 {
		return &Error{Op: "abort", Path: m.dir, Err: unix.EPERM, Detail: "mounted by the caller: close the device instead"}
	}
	name := "/sys/fs/fuse/connections/" + strconv.Itoa(int(unix.Minor(m.dev))) + "/abort"
	// The number is ours as long as the connection lives. It may be another's as
	// soon as it does not, which the device tells (fs/fuse/dev.c: fuse_dev_poll).
	if m.fd < 0 {
		return &Error{Op: "abort", Path: m.dir, Err: unix.EBADF, Detail: "closed"}
	}
	p := [1]unix.PollFd{{Fd: int32(m.fd)}}
	if n, _ := unix.Poll(p[:], 0); n > 0 && p[0].Revents&unix.POLLERR != 0 {
		return ErrUnmounted
	}
	fd, err := openat(name, unix.O_WRONLY)
	if err == nil {
		_, err = unix.Write(fd, []byte("1"))
		unix.Close(fd)
		if err == nil {
			return nil
		}
	}
	at, err2 := m.locate("abort")
	if err2 != nil {
		return err2
	}
	if at == "" {
		return &Error{Op: "abort", Path: m.dir, Err: err, Detail: "unmounted, and " + name + " does not work"}
	}
	if err2 := unix.Unmount(at, unix.MNT_FORCE|unix.UMOUNT_NOFOLLOW); err2 == nil || err2 == unix.EBUSY {
		return nil // aborted first, whether or not it could be unmounted then
	} else {
		return &Error{Op: "abort", Path: at, Err: err2, Detail: name + ": " + err.Error() + "; umount -f"}
	}
}
