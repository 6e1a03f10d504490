package conn

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/fusewire/fusewire/sg/unix"
)

// fusermount3 mounts for those who may not: set-uid root, it opens /dev/fuse as
// the user, mounts it and sends the descriptor back over the socket whose number
// is in _FUSE_COMMFD, one byte with SCM_RIGHTS. With auto_unmount it stays and
// unmounts when the other end of that socket is closed.
const commFD = 3

// safePath is searched first, then $PATH (NixOS keeps set-uid programs elsewhere).
// The program gets no more of our environment than this.
const safePath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

// lookTool returns the path of a program, "" if it is nowhere.
func lookTool(name string) string {
	env, _ := syscall.Getenv("PATH")
	for path := safePath + ":" + env; path != ""; {
		var dir string
		dir, path, _ = cut(path, ':')
		if strings.HasPrefix(dir, "/") && executable(dir+"/"+name) {
			return dir + "/" + name
		}
	}
	return ""
}

// executable is what execve(2) would at least want of a file. (unix.Access
// emulates flags that older kernels lack, 5 KB of a program.)
func executable(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0
}

// byFusermount mounts with the named helper. The error's Detail says why not.
func (m *Mount) byFusermount(name string, o *MountOptions) *Error {
	tool := lookTool(name)
	if tool == "" {
		return &Error{Err: unix.ENOENT, Detail: "not installed (apt install fuse3, or run as root)"}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return &Error{Err: err, Detail: "socketpair: " + err.Error()}
	}
	c, err := startTool(tool, []string{name, "-o", toolOptions(o), "--", m.dir}, pair[0])
	unix.Close(pair[0])
	if err != nil {
		unix.Close(pair[1])
		return &Error{Err: err, Detail: "starting " + tool + ": " + err.Error()}
	}
	fd, err := receiveFD(pair[1])
	if fd < 0 {
		unix.Close(pair[1])
		said, status := c.finish()
		if said == "" && err != nil {
			said = err.Error()
		}
		return &Error{Err: unix.EPERM, Detail: exitText(said, status)}
	}
	m.fd, m.how, m.tool = fd, wayFusermount, tool
	if o.AutoUnmount {
		// it keeps our end of its stderr open for its life: do not read to the end
		unix.Close(c.stderr)
		m.sock, m.pid = pair[1], c.pid
		return nil
	}
	unix.Close(pair[1])
	c.finish()
	return nil
}

// toolOptions is the -o string, in which a comma or backslash of a name is escaped.
func toolOptions(o *MountOptions) string {
	// it sets nosuid and nodev by itself and lets only root clear them
	suid, dev := "", ""
	if unix.Getuid() == 0 {
		suid, dev = ",suid", ",dev"
	}
	auto := uintptr(0)
	if o.AutoUnmount {
		auto = 1
	}
	b := make([]byte, 0, 128)
	for _, f := range [...]struct {
		on         uintptr
		set, clear string
	}{
		{o.Flags & unix.MS_RDONLY, ",ro", ",rw"},
		{o.Flags & unix.MS_NOSUID, ",nosuid", suid},
		{o.Flags & unix.MS_NODEV, ",nodev", dev},
		{o.Flags & unix.MS_NOEXEC, ",noexec", ""},
		{o.Flags & unix.MS_SYNCHRONOUS, ",sync", ""},
		{o.Flags & unix.MS_DIRSYNC, ",dirsync", ""},
		{o.Flags & unix.MS_NOATIME, ",noatime", ""},
		{o.Flags & unix.MS_NODIRATIME, ",nodiratime", ""},
		{o.Flags & unix.MS_RELATIME, ",relatime", ""},
		{o.Flags & unix.MS_STRICTATIME, ",strictatime", ""},
		{o.Flags & unix.MS_LAZYTIME, ",lazytime", ""},
		{o.Flags & unix.MS_NOSYMFOLLOW, ",nosymfollow", ""},
		{auto, ",auto_unmount", ""},
	} {
		if f.on != 0 {
			b = append(b, f.set...)
		} else {
			b = append(b, f.clear...)
		}
	}
	if o.FSName != "" {
		b = appendEscaped(append(b, ",fsname="...), o.FSName)
	}
	if o.Subtype != "" {
		b = appendEscaped(append(b, ",subtype="...), o.Subtype)
	}
	return string(appendCommon(b, o)[1:])
}

func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == ',' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

// child is a helper program that runs.
type child struct{ pid, stderr int }

// startTool runs a helper with a clean environment, stdin and stdout on
// /dev/null, its stderr kept for the error message, and sock as descriptor 3
// unless that is -1.
func startTool(tool string, argv []string, sock int) (child, error) {
	null, err := openat("/dev/null", unix.O_RDWR)
	if err != nil {
		return child{}, err
	}
	defer unix.Close(null)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return child{}, err
	}
	defer unix.Close(p[1])
	env, files := []string{"PATH=" + safePath, "LC_ALL=C"}, []int{null, null, p[1]}
	if sock >= 0 {
		env, files = append(env, "_FUSE_COMMFD="+strconv.Itoa(commFD)), append(files, sock)
	}
	pid, err := unix.Spawn(tool, argv, env, files, false)
	if err != nil {
		unix.Close(p[0])
		return child{}, err
	}
	return child{pid: pid, stderr: p[0]}, nil
}

// finish returns what the helper wrote to stderr, as one line, and its status.
func (c child) finish() (said string, status int) {
	var b [1024]byte
	have := 0
	for have < len(b) {
		n, err := unix.Read(c.stderr, b[have:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			break
		}
		have += n
	}
	unix.Close(c.stderr)
	for s := trim(string(b[:have])); s != ""; {
		var line string
		line, s, _ = cut(s, '\n')
		if said != "" {
			said += ", "
		}
		said += line
	}
	return said, wait(c.pid)
}

// wait reaps a child and returns its exit status, 128+signal if it was killed.
// A caller that ignores SIGCHLD leaves nothing to reap: -1.
func wait(pid int) int {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return -1
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// exitText is why a helper failed.
func exitText(said string, status int) string {
	if said == "" {
		return "exit status " + strconv.Itoa(status)
	}
	return "exit status " + strconv.Itoa(status) + " (" + said + ")"
}
