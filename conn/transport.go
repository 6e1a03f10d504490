package conn

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Transport is how requests come and answers go.
type Transport uint8

// The transports. INIT, FORGET and INTERRUPT come on the device in any case.
// Whatever stands in the way of the rings, the mount is served on the device
// and [Options.Log] is told why.
const (
	// TransportDev is read(2) and writev(2) on /dev/fuse: the default.
	TransportDev Transport = iota
	// TransportURing is FUSE over io_uring (Linux 6.14, module parameter
	// fuse.enable_uring), on any kernel that offers it. Each CPU's requests are
	// served by one thread, which a handler that blocks holds up, see
	// [Request.Elsewhere].
	TransportURing
	// TransportAuto is TransportURing on kernels whose rings are sound: 6.18.39
	// and later of 6.18, 7.1.4 and later.
	TransportAuto
)

// Ringer is a Device whose connection takes io_uring commands. qid is the queue
// that a descriptor is asked for, or one more than the last for what concerns
// none; below 0 there are none to be had. The descriptors stay the Device's.
type Ringer interface{ RingFD(qid int) int }

// RingFD returns the device's descriptor; -1 if it is a socket.
func (d *FuseDevice) RingFD(int) int {
	if d.sock {
		return -1
	}
	return d.fd
}

// soundRings reports whether a kernel of this release has the fixes without which
// rings hang or crash it: in 6.18.39 and 7.1.4.
func soundRings(release string) bool {
	var v [3]int
	for i := range v {
		end := 0
		for end < len(release) && release[end]-'0' <= 9 {
			end++
		}
		v[i], _ = number(release[:end])
		if release = release[end:]; release == "" || release[0] != '.' {
			break
		}
		release = release[1:]
	}
	switch n := v[0]*1000 + v[1]; {
	case n >= 7002:
		return true
	case n == 7001:
		return v[2] >= 4
	default:
		return n == 6018 && v[2] >= 39
	}
}

// kernelRelease is what uname(2) says.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// possibleCPUs counts the CPUs of a list such as 0-3,8: as many queues the kernel
// wants, whatever their numbers (fs/fuse/dev_uring.c: fuse_uring_create).
func possibleCPUs(list string) int {
	n := 0
	for more := true; more; {
		var part string
		part, list, more = cut(trim(list), ',')
		a, b, isRange := cut(trim(part), '-')
		from, ok := number(a)
		to := from
		if isRange {
			var ok2 bool
			to, ok2 = number(b)
			ok = ok && ok2
		}
		if !ok || to < from {
			return 0
		}
		n += to - from + 1
	}
	return n
}

// readPossibleCPUs returns how many there are, 0 if the system does not tell.
func readPossibleCPUs() int {
	fd, err := openat("/sys/devices/system/cpu/possible", unix.O_RDONLY)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var b [256]byte
	n, err := unix.Read(fd, b[:])
	if err != nil || n <= 0 {
		return 0
	}
	return possibleCPUs(string(b[:n]))
}

// ringsWanted reports whether the options and the kernel are for rings; why is
// for the log if they are not, "" if nobody asked.
func (o *Options) ringsWanted(offered bool) (ok bool, why string) {
	switch {
	case o.Transport == TransportDev || o.Mask&protocol.InitOverIOUring != 0:
		return false, ""
	case !offered:
		return false, "the kernel does not offer it (older than 6.14, or fuse.enable_uring is N)"
	case o.Transport == TransportAuto && !soundRings(kernelRelease()):
		return false, "Linux " + kernelRelease() + " lacks fixes (6.18.39 and 7.1.4 have them)"
	}
	return true, ""
}
