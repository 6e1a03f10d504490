package unix

import (
	"math/bits"
	"syscall"
)

// Types of package syscall.
type (
	Errno      = syscall.Errno
	Signal     = syscall.Signal
	Iovec      = syscall.Iovec
	Stat_t     = syscall.Stat_t
	Statfs_t   = syscall.Statfs_t
	Flock_t    = syscall.Flock_t
	Rlimit     = syscall.Rlimit
	Timespec   = syscall.Timespec
	Cmsghdr    = syscall.Cmsghdr
	WaitStatus = syscall.WaitStatus
	Sockaddr   = syscall.Sockaddr
)

// PathMax is the longest path a system call takes, its NUL included.
const PathMax = 4096

// Statx_t is struct statx (include/uapi/linux/stat.h).
type Statx_t struct {
	Mask                      uint32
	Blksize                   uint32
	Attributes                uint64
	Nlink                     uint32
	Uid                       uint32
	Gid                       uint32
	Mode                      uint16
	_                         uint16
	Ino                       uint64
	Size                      uint64
	Blocks                    uint64
	Attributes_mask           uint64
	Atime                     StatxTimestamp
	Btime                     StatxTimestamp
	Ctime                     StatxTimestamp
	Mtime                     StatxTimestamp
	Rdev_major                uint32
	Rdev_minor                uint32
	Dev_major                 uint32
	Dev_minor                 uint32
	Mnt_id                    uint64
	Dio_mem_align             uint32
	Dio_offset_align          uint32
	Subvol                    uint64
	Atomic_write_unit_min     uint32
	Atomic_write_unit_max     uint32
	Atomic_write_segments_max uint32
	Dio_read_offset_align     uint32
	Atomic_write_unit_max_opt uint32
	_                         uint32
	_                         [8]uint64
}

// StatxTimestamp is struct statx_timestamp.
type StatxTimestamp struct {
	Sec  int64
	Nsec uint32
	_    int32
}

// Msghdr is struct user_msghdr (include/linux/socket.h).
type Msghdr struct {
	Name       *byte
	Namelen    uint32
	Iov        *Iovec
	Iovlen     uintptr
	Control    *byte
	Controllen uintptr
	Flags      int32
}

// SetIovlen sets Iovlen.
func (m *Msghdr) SetIovlen(n int) { m.Iovlen = uintptr(n) }

// SetControllen sets Controllen.
func (m *Msghdr) SetControllen(n int) { m.Controllen = uintptr(n) }

// PollFd is struct pollfd.
type PollFd struct {
	Fd      int32
	Events  int16
	Revents int16
}

// CapUserHeader and CapUserData are the structs of capget(2). Version 3 takes two
// of the latter.
type CapUserHeader struct {
	Version uint32
	Pid     int32
}

// CapUserData: see CapUserHeader.
type CapUserData struct {
	Effective   uint32
	Permitted   uint32
	Inheritable uint32
}

// Major returns the major number of a device number as glibc and stat(2) have it.
func Major(dev uint64) uint32 { return uint32(dev>>8&0xfff | dev>>32&0xfffff000) }

// Minor returns the minor number.
func Minor(dev uint64) uint32 { return uint32(dev&0xff | dev>>12&0xffffff00) }

// Mkdev is the inverse of Major and Minor.
func Mkdev(major, minor uint32) uint64 {
	a, b := uint64(major), uint64(minor)
	return a&0xfff<<8 | a&0xfffff000<<32 | b&0xff | b&0xffffff00<<12
}

// Utsname is struct new_utsname.
type Utsname struct {
	Sysname, Nodename, Release, Version, Machine, Domainname [65]byte
}

// CPUSet is a set of CPUs, of the first 1024, as sched_setaffinity(2) takes it.
type CPUSet [1024 / word]uintptr

// word is the number of bits of one.
const word = 32 << (^uintptr(0) >> 63)

// Set adds a CPU.
func (s *CPUSet) Set(cpu int) {
	if i := uint(cpu) / word; i < uint(len(s)) {
		s[i] |= 1 << (uint(cpu) % word)
	}
}

// Clear removes a CPU.
func (s *CPUSet) Clear(cpu int) {
	if i := uint(cpu) / word; i < uint(len(s)) {
		s[i] &^= 1 << (uint(cpu) % word)
	}
}

// Zero removes all.
func (s *CPUSet) Zero() { *s = CPUSet{} }

// IsSet reports whether a CPU is in the set.
func (s *CPUSet) IsSet(cpu int) bool {
	i := uint(cpu) / word
	return i < uint(len(s)) && s[i]>>(uint(cpu)%word)&1 != 0
}

// Count returns how many there are.
func (s *CPUSet) Count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount(uint(w))
	}
	return n
}
