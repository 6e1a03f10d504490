package conn

import "github.com/fusewire/fusewire/sg/unix"

// A file system that serves a directory must not find its own mount inside it:
// the first who walks there makes the server wait for itself. Two looks are
// needed. Before mounting, the mountpoint must not lie in the directory, by
// whatever path or bind mount. After mounting, no copy of the mount must have
// been propagated into it (mount_namespaces(7): peers of a shared mount).

// CheckSource returns an *Error (ELOOP) if the directory open as src contains
// dir, on which a mount is about to be made, under this or another name. Being
// that directory is no harm: src keeps leading below the mount. dir may be
// "/dev/fd/N".
func CheckSource(src int, dir string) error {
	fd, err := openat(dir, unix.O_PATH)
	if err != nil {
		return &Error{Op: "mount", Path: dir, Err: err, Detail: "the mountpoint"}
	}
	defer unix.Close(fd)
	from, err := realpath(src)
	if err != nil {
		return &Error{Op: "mount", Path: dir, Err: err, Detail: "cannot resolve the source through /proc/self/fd"}
	}
	to, err := realpath(fd)
	if err != nil {
		return nil // a descriptor of something that has no path, /dev/fd/N of a socket
	}
	list, err := readMountinfo()
	if err != nil {
		return err
	}
	if contains(list, from, fdinfo(src, "mnt_id"), to, fdinfo(fd, "mnt_id")) {
		return &Error{Op: "mount", Path: dir, Err: unix.ELOOP, Detail: "the source " + from + " contains the mountpoint"}
	}
	return nil
}

// contains compares places inside file systems, (st_dev, path from its root),
// so that bind mounts of the same tree compare equal. What is mounted inside the
// source counts as part of it.
func contains(list []mountInfo, src string, srcMnt int, dir string, dirMnt int) bool {
	if dir != src && within(dir, src) {
		return true
	}
	d := mountByID(list, dirMnt)
	if d == nil || !within(dir, d.point) {
		return false // no mnt_id before 3.15: the paths must do
	}
	place := join(d.root, dir, d.point)
	for i := range list {
		l := &list[i]
		if l.dev != d.dev {
			continue
		}
		switch {
		case l.id == srcMnt && within(src, l.point):
			if top := join(l.root, src, l.point); place != top && within(place, top) {
				return true
			}
		case within(l.point, src) && l.id != srcMnt:
			if l.point != src && within(place, l.root) {
				return true
			}
		}
	}
	return false
}

// Within returns an *Error (ELOOP) if the mount, or a copy of it that the kernel
// propagated through shared mounts, lies inside the directory open as src. To
// be asked before serving; the mount must then be taken down again.
func (m *Mount) Within(src int) error {
	if m.dev == 0 {
		return nil
	}
	from, err := realpath(src)
	if err != nil {
		return &Error{Op: "mount", Path: m.dir, Err: err, Detail: "cannot resolve the source through /proc/self/fd"}
	}
	list, err := readMountinfo()
	if err != nil {
		return err
	}
	for i := range list {
		l := &list[i]
		if l.dev == m.dev && l.point != from && within(l.point, from) {
			return &Error{Op: "mount", Path: m.dir, Err: unix.ELOOP, Detail: "the source " + from + " contains the mountpoint, which shows up at " + l.point}
		}
	}
	return nil
}
