package conn

import (
	"strconv"
	"strings"

	"github.com/fusewire/fusewire/sg/unix"
)

// DefaultMountFlags is what a mount gets when MountOptions is nil: neither
// set-id bits nor device nodes of a file system served from user space count.
const DefaultMountFlags = unix.MS_NOSUID | unix.MS_NODEV

// MountOptions says how the kernel shall treat the file system. None of them
// reaches a mount made by the caller and given as /dev/fd/N.
type MountOptions struct {
	FSName  string // first column of /proc/mounts; "" is Subtype, or "fuse"
	Subtype string // the type becomes "fuse.SUBTYPE"; "" is plain "fuse"

	AllowOther         bool   // other users may enter; unprivileged mounters need user_allow_other in /etc/fuse.conf
	DefaultPermissions bool   // the kernel checks mode bits and ACLs before it asks
	AutoUnmount        bool   // unmounted by fusermount3 when this process dies, however; always mounts through it
	MaxRead            uint32 // bytes; the largest READ, 0 is no limit (the kernel's least is 4096)

	Flags uintptr  // MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, ... exactly these
	Extra []string // further options, handed on as they are ("context=...")
}

// way is how a mount came about.
type way uint8

const (
	wayGiven      way = iota // descriptor given as /dev/fd/N
	wayMount                 // mount(2)
	wayFusermount            // fusermount3 or fusermount
)

// Mount is one mount made (or taken over, /dev/fd/N) by NewMount. Its methods
// may be used from any goroutine, but none from a thread that serves it.
type Mount struct {
	_    [0]func() // not comparable: no code for it
	fd   int
	dir  string // as the kernel knows it: absolute, no symlinks
	how  way
	id   int    // mount id, -1 unknown
	dev  uint64 // st_dev, 0 unknown
	uniq uint64 // mount id that is never reused (since 6.8), 0 unknown
	tool string // path of the fusermount that made it
	sock int    // its socket, held open for AutoUnmount, else -1
	pid  int    // that process, to be waited for, else 0
}

// NewMount mounts a FUSE file system on dir, a directory or a regular file, and
// returns with a descriptor on which INIT is waiting. Ways, in this order:
//
//   - dir is "/dev/fd/N": descriptor N is an open /dev/fuse which the caller has
//     mounted or will mount, or a socket that speaks its protocol.
//   - mount(2): root, or CAP_SYS_ADMIN in the user namespace that owns the mount
//     namespace.
//   - fusermount3, then fusermount, the set-uid helpers, where the first was not
//     permitted or o.AutoUnmount needs them.
//
// The error is an *Error; where several ways failed its Detail names each with
// its reason. dir is never entered, only looked at before it is covered. Nothing
// here waits for an answer to a request, so it needs no reader yet.
func NewMount(dir string, o *MountOptions) (*Mount, error) {
	if o == nil {
		o = &MountOptions{Flags: DefaultMountFlags}
	}
	if n, ok := strings.CutPrefix(dir, "/dev/fd/"); ok {
		return givenMount(dir, n)
	}
	path, mode, err := mountpoint(dir)
	if err != nil {
		return nil, err
	}
	before, err := readMountinfo()
	if err != nil {
		return nil, err
	}
	m := &Mount{fd: -1, dir: path, id: -1, sock: -1}
	tried := "" // each way and what came of it
	first := unix.Errno(0)
	if o.AutoUnmount {
		tried = "mount(2): not tried, only fusermount3 can do auto_unmount"
	} else {
		what, err := m.byMount(mode, o)
		if err == nil {
			return m.identify(before)
		}
		first, _ = err.(unix.Errno)
		if !helperMayDo(err) {
			return nil, &Error{Op: "mount", Path: dir, Err: err, Detail: what}
		}
		tried = what + ": " + err.Error()
	}
	for _, name := range [...]string{"fusermount3", "fusermount"} {
		e := m.byFusermount(name, o)
		if e == nil {
			return m.identify(before)
		}
		if n, ok := e.Err.(unix.Errno); ok && first == 0 {
			first = n
		}
		tried += "; " + name + ": " + e.Detail
	}
	if first == 0 {
		first = unix.EPERM
	}
	return nil, &Error{Op: "mount", Path: dir, Err: first, Detail: tried}
}

// helperMayDo reports whether a set-uid helper could succeed where mount(2), or
// opening the device, failed with err.
func helperMayDo(err error) bool {
	switch err {
	case unix.EPERM, unix.EACCES, unix.ENOENT, unix.ENXIO, unix.ENODEV:
		return true
	}
	return false
}

// givenMount takes over descriptor n.
func givenMount(dir, n string) (*Mount, error) {
	fd, ok := number(n)
	if !ok {
		return nil, &Error{Op: "mount", Path: dir, Err: unix.EINVAL, Detail: "not a descriptor number"}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &Error{Op: "mount", Path: dir, Err: err, Detail: "no such descriptor was passed"}
	}
	// 10:229 is FUSE_MINOR of the misc devices, fixed since 2.6
	dev := st.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Major(uint64(st.Rdev)) == 10 && unix.Minor(uint64(st.Rdev)) == 229
	if !dev && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, &Error{Op: "mount", Path: dir, Err: unix.EINVAL, Detail: "the descriptor is neither /dev/fuse nor a socket"}
	}
	unix.CloseOnExec(fd)
	m := &Mount{fd: fd, dir: dir, how: wayGiven, id: -1, sock: -1}
	if minor := fdinfo(fd, "fuse_connection"); dev && minor > 0 {
		if list, err := readMountinfo(); err == nil {
			m.dev = unix.Mkdev(0, uint32(minor))
			for i := range list {
				if list[i].dev == m.dev {
					m.id, m.dir = list[i].id, list[i].point
					break
				}
			}
		}
	}
	return m, nil
}

// mountpoint resolves dir and returns its type bits, which FUSE wants as rootmode.
func mountpoint(dir string) (path string, mode uint32, err error) {
	fd, err := openat(dir, unix.O_PATH)
	if err != nil {
		return "", 0, &Error{Op: "mount", Path: dir, Err: err, Detail: "the mountpoint"}
	}
	defer unix.Close(fd)
	// STATX_TYPE without a sync never asks a FUSE file system that is mounted here
	// already, be it dead, hung, or one of this process that nobody serves yet.
	var st unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	if err != nil {
		return "", 0, &Error{Op: "mount", Path: dir, Err: err, Detail: "the mountpoint"}
	}
	mode = uint32(st.Mode) & unix.S_IFMT
	if mode != unix.S_IFDIR && mode != unix.S_IFREG {
		return "", 0, &Error{Op: "mount", Path: dir, Err: unix.ENOTDIR, Detail: "the mountpoint is neither a directory nor a regular file"}
	}
	path, err = realpath(fd)
	if err != nil {
		return "", 0, &Error{Op: "mount", Path: dir, Err: err, Detail: "cannot resolve the mountpoint through /proc/self/fd"}
	}
	if path == "/proc" { // what is read there while nobody serves would wait for ever
		return "", 0, &Error{Op: "mount", Path: dir, Err: unix.EINVAL, Detail: "the server itself needs what is there"}
	}
	return path, mode, nil
}

// byMount opens the device and mounts it. what names the step that failed. The
// device must be opened in the user namespace that mounts (fs/fuse/inode.c:
// fuse_fill_super), which one process does by itself.
func (m *Mount) byMount(mode uint32, o *MountOptions) (what string, err error) {
	fd, err := openat("/dev/fuse", unix.O_RDWR)
	if err != nil {
		if err == unix.ENOENT || err == unix.ENXIO || err == unix.ENODEV {
			return "open /dev/fuse (no FUSE in this kernel or container: modprobe fuse, or pass the device in)", err
		}
		return "open /dev/fuse", err
	}
	fstype, source := "fuse", "fuse"
	if o.Subtype != "" {
		fstype, source = "fuse."+o.Subtype, o.Subtype
	}
	if o.FSName != "" {
		source = o.FSName
	}
	for {
		err = unix.Mount(source, m.dir, fstype, o.Flags, mountData(fd, mode, o))
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return "mount(2)", err
	}
	m.fd, m.how = fd, wayMount
	return "", nil
}

// mountData is the option string of mount(2) (fs/fuse/inode.c: fuse_fs_parameters).
func mountData(fd int, mode uint32, o *MountOptions) string {
	b := append(make([]byte, 0, 128), "fd="...)
	b = strconv.AppendInt(b, int64(fd), 10)
	b = strconv.AppendUint(append(b, ",rootmode="...), uint64(mode), 8)
	b = strconv.AppendInt(append(b, ",user_id="...), int64(unix.Getuid()), 10)
	b = strconv.AppendInt(append(b, ",group_id="...), int64(unix.Getgid()), 10)
	return string(appendCommon(b, o))
}

// appendCommon appends the options that the kernel and fusermount3 share.
func appendCommon(b []byte, o *MountOptions) []byte {
	if o.DefaultPermissions {
		b = append(b, ",default_permissions"...)
	}
	if o.AllowOther {
		b = append(b, ",allow_other"...)
	}
	if o.MaxRead != 0 {
		b = strconv.AppendUint(append(b, ",max_read="...), uint64(o.MaxRead), 10)
	}
	for _, s := range o.Extra {
		b = append(append(b, ','), s...)
	}
	return b
}

// identify finds out which mount is ours. The kernel names the connection behind
// the descriptor since 6.17; before, ours is the FUSE mount on dir that was not
// there when we began. A mount that cannot be found is aborted, by closing the
// only descriptor: it answers ENOTCONN and hangs nobody until it is unmounted.
func (m *Mount) identify(before []mountInfo) (*Mount, error) {
	list, err := readMountinfo()
	if err == nil {
		m.pick(before, list, fdinfo(m.fd, "fuse_connection"))
		if m.id >= 0 {
			if fd, err := openat(m.dir, unix.O_PATH|unix.O_NOFOLLOW); err == nil {
				if fdinfo(fd, "mnt_id") == m.id {
					m.uniq = uniqueID(fd)
				}
				unix.Close(fd)
			}
			return m, nil
		}
		err = &Error{Op: "mount", Path: m.dir, Err: unix.ENOENT, Detail: "mounted, but not to be found in /proc/self/mountinfo"}
	}
	m.Close()
	return nil, err
}

// pick sets id and dev by what was mounted before and is mounted after, and the
// connection's number (-1 unknown), which is the minor of its st_dev.
func (m *Mount) pick(before, after []mountInfo, minor int) {
	for i := range after {
		l := &after[i]
		if !l.fuse() || l.point != m.dir {
			continue
		}
		if minor > 0 {
			if l.dev != unix.Mkdev(0, uint32(minor)) {
				continue
			}
		} else if mountByID(before, l.id) != nil {
			continue
		}
		m.id, m.dev = l.id, l.dev
	}
}

// FD returns the device. It belongs to m and is closed by Close.
func (m *Mount) FD() int { return m.fd }

// Dir returns the mountpoint: absolute and without symlinks, or "/dev/fd/N" as
// given when it is not known where that is mounted.
func (m *Mount) Dir() string { return m.dir }

// Given reports whether the mount was made by the caller (/dev/fd/N).
func (m *Mount) Given() bool { return m.how == wayGiven }

// ID returns what tells this mount from every other: the id in
// /proc/self/mountinfo (-1 when unknown) and st_dev of its files (0 when unknown).
// st_dev's minor number is the connection's name in /sys/fs/fuse/connections.
func (m *Mount) ID() (id int, dev uint64) { return m.id, m.dev }

// Close closes the device, which aborts the connection unless it is unmounted or
// a clone is still open, and lets fusermount3 do its AutoUnmount. It does not
// wake a reader that is blocked on the device.
func (m *Mount) Close() error {
	if m.fd < 0 {
		return nil
	}
	err := unix.Close(m.fd)
	m.fd = -1
	if m.sock >= 0 {
		unix.Close(m.sock)
		m.sock = -1
		wait(m.pid)
	}
	if err != nil {
		return &Error{Op: "close", Path: m.dir, Err: err}
	}
	return nil
}
