package unix_test

import (
	"reflect"
	"runtime"
	"testing"
	"unsafe"

	our "github.com/fusewire/fusewire/sg/unix"
	"golang.org/x/sys/unix"
)

// TestTypes compares the sizes of the structs and the offsets of their fields.
func TestTypes(t *testing.T) {
	for _, pair := range [][2]any{
		{our.Iovec{}, unix.Iovec{}},
		{our.Stat_t{}, unix.Stat_t{}},
		{our.Statfs_t{}, unix.Statfs_t{}},
		{our.Flock_t{}, unix.Flock_t{}},
		{our.Rlimit{}, unix.Rlimit{}},
		{our.Timespec{}, unix.Timespec{}},
		{our.Cmsghdr{}, unix.Cmsghdr{}},
		{our.Statx_t{}, unix.Statx_t{}},
		{our.StatxTimestamp{}, unix.StatxTimestamp{}},
		{our.Msghdr{}, unix.Msghdr{}},
		{our.PollFd{}, unix.PollFd{}},
		{our.CapUserHeader{}, unix.CapUserHeader{}},
		{our.CapUserData{}, unix.CapUserData{}},
		{our.Utsname{}, unix.Utsname{}},
	} {
		got, want := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1])
		if got.Size() != want.Size() {
			t.Errorf("%v: %d bytes, want %d", got, got.Size(), want.Size())
		}
		for i := range want.NumField() {
			w := want.Field(i)
			if !w.IsExported() {
				continue
			}
			g, ok := got.FieldByName(w.Name)
			if !ok {
				t.Errorf("%v: no %s", got, w.Name)
			} else if g.Offset != w.Offset || g.Type.Size() != w.Type.Size() {
				t.Errorf("%v.%s: %d bytes at %d, want %d at %d", got, w.Name, g.Type.Size(), g.Offset, w.Type.Size(), w.Offset)
			}
		}
	}
	if reflect.TypeFor[our.Errno]() != reflect.TypeFor[unix.Errno]() || reflect.TypeFor[our.Signal]() != reflect.TypeFor[unix.Signal]() {
		t.Error("Errno or Signal is another type")
	}
}

// TestDevices: device numbers are taken apart and put together as there.
func TestDevices(t *testing.T) {
	for _, dev := range []uint64{0, 1, 0x0801, 0xfff00000_00000000, 0x123_45678_9abcd, 1<<64 - 1, 0xfffff_ffffff_fffff} {
		if our.Major(dev) != unix.Major(dev) || our.Minor(dev) != unix.Minor(dev) {
			t.Errorf("%#x: %#x %#x", dev, our.Major(dev), our.Minor(dev))
		}
		if a, b := our.Major(dev), our.Minor(dev); our.Mkdev(a, b) != unix.Mkdev(a, b) {
			t.Errorf("%#x %#x: %#x", a, b, our.Mkdev(a, b))
		}
	}
}

// TestCalls makes each system call that package syscall lacks, once with success
// and, where there is an argument to get wrong, once without.
func TestCalls(t *testing.T) {
	dir := t.TempDir()
	a, err := our.Open(dir+"/a", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer our.Close(a)
	b, err := our.Open(dir+"/b", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer our.Close(b)
	if n, err := our.Write(a, []byte("0123456789")); n != 10 || err != nil {
		t.Fatal(n, err)
	}

	var st our.Statx_t
	if err := our.Statx(unix.AT_FDCWD, dir+"/a", 0, unix.STATX_SIZE, &st); err != nil || st.Size != 10 {
		t.Error("statx", st.Size, err)
	}
	if err := our.Statx(unix.AT_FDCWD, dir+"/c", 0, unix.STATX_SIZE, &st); err != unix.ENOENT {
		t.Error("statx", err)
	}
	if err := our.Statx(unix.AT_FDCWD, "\x00", 0, 0, &st); err != unix.EINVAL {
		t.Error("statx", err)
	}

	from, to := int64(2), int64(1)
	if n, err := our.CopyFileRange(a, &from, b, &to, 4, 0); n != 4 || err != nil || from != 6 || to != 5 {
		t.Error("copy_file_range", n, err, from, to)
	}
	if n, err := our.CopyFileRange(a, &from, -1, &to, 4, 0); n != -1 || err != unix.EBADF {
		t.Error("copy_file_range", n, err)
	}
	got := make([]byte, 10)
	if n, err := unix.Pread(b, got, 0); err != nil || string(got[:n]) != "\x002345" {
		t.Errorf("copied %q", got[:n])
	}

	var p [2]int
	if err := our.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer our.Close(p[0])
	defer our.Close(p[1])
	poll := []our.PollFd{{Fd: int32(p[0]), Events: unix.POLLIN}}
	if n, err := our.Poll(poll, 1); n != 0 || err != nil {
		t.Error("poll", n, err)
	}
	off := int64(3)
	if n, err := our.Splice(a, &off, p[1], nil, 5, 0); n != 5 || err != nil || off != 8 {
		t.Error("splice", n, err, off)
	}
	if n, err := our.Splice(a, &off, b, nil, 5, 0); n != -1 || err != unix.EINVAL {
		t.Error("splice", n, err)
	}
	if n, err := our.Poll(poll, -1); n != 1 || err != nil || poll[0].Revents != unix.POLLIN {
		t.Error("poll", n, err, poll)
	}
	if n, err := our.Poll(nil, 0); n != 0 || err != nil {
		t.Error("poll", n, err)
	}
	if n, err := our.FcntlInt(uintptr(p[0]), unix.F_GETFD, 0); n != unix.FD_CLOEXEC || err != nil {
		t.Error("fcntl", n, err)
	}
	if n, err := our.FcntlInt(^uintptr(0), unix.F_GETFD, 0); n != -1 || err != unix.EBADF {
		t.Error("fcntl", n, err)
	}

	fd, err := our.Eventfd(7, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer our.Close(fd)
	var count [8]byte
	if n, err := our.Read(fd, count[:]); n != 8 || err != nil || count[0]+count[7] != 7 {
		t.Error("eventfd", n, err, count)
	}
	if err := our.Syncfs(a); err != nil {
		t.Error("syncfs", err)
	}
	if err := our.Syncfs(-1); err != unix.EBADF {
		t.Error("syncfs", err)
	}

	var ts our.Timespec
	if err := our.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil || ts.Nano() <= 0 {
		t.Error("clock_gettime", ts, err)
	}
	if err := our.ClockGettime(-1<<31, &ts); err != unix.EINVAL {
		t.Error("clock_gettime", err)
	}
	var uts, same our.Utsname
	if err := our.Uname(&uts); err != nil || our.ByteSliceToString(uts.Sysname[:]) != "Linux" {
		t.Error("uname", uts, err)
	}
	copy(same.Sysname[:], uts.Sysname[:])
	if s := our.ByteSliceToString(same.Sysname[:5]); s != "Linux" {
		t.Errorf("without a NUL: %q", s)
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	head, caps := our.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]our.CapUserData{}
	if err := our.Capget(&head, &caps[0]); err != nil {
		t.Error("capget", err)
	} else if err := our.Capset(&head, &caps[0]); err != nil {
		t.Error("capset to what is", err)
	}
}

// TestCPUSet pins a thread to the CPUs it may use already, one of them first.
func TestCPUSet(t *testing.T) {
	runtime.LockOSThread() // and ended with the test's goroutine, if that fails
	var all our.CPUSet
	if err := our.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if unsafe.Sizeof(all) != 128 {
		t.Error(unsafe.Sizeof(all))
	}
	var one, now our.CPUSet
	last := 0
	n := 0
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			last = cpu
			n++
		}
	}
	if n == 0 || n != all.Count() {
		t.Fatalf("%d CPUs, %d", n, all.Count())
	}
	one.Set(last)
	one.Set(1024)
	one.Set(-1)
	if one.Count() != 1 || one.IsSet(1024) || one.IsSet(-1) {
		t.Error(one)
	}
	if err := our.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	if err := our.SchedGetaffinity(0, &now); err != nil || now != one {
		t.Error(now, err)
	}
	if err := our.SchedSetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	one.Clear(last)
	if one.Count() != 0 {
		t.Error(one)
	}
	if err := our.SchedSetaffinity(0, &one); err != unix.EINVAL {
		t.Error("to no CPU:", err)
	}
	all.Zero()
	if all != one {
		t.Error(all)
	}
	runtime.UnlockOSThread()
}

// TestMmap maps memory, and a file from beyond its first 4 GiB.
func TestMmap(t *testing.T) {
	fd, err := our.Open(t.TempDir()+"/f", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer our.Close(fd)
	size := uintptr(our.Getpagesize())
	off := int64(5<<30) + int64(size)
	if _, err := unix.Pwrite(fd, []byte("x"), off); err != nil {
		t.Fatal(err)
	}
	p, err := our.MmapPtr(fd, off, nil, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if *(*byte)(p) != 'x' {
		t.Error("another part of the file")
	}
	if err := our.MunmapPtr(p, size); err != nil {
		t.Error(err)
	}
	if p, err := our.MmapPtr(fd, 1, nil, size, unix.PROT_READ, unix.MAP_SHARED); err != unix.EINVAL {
		t.Error("at an odd offset:", p, err)
	}
	if p, err := our.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
		t.Error(err)
	} else {
		*(*byte)(p) = 1
		if err := our.MunmapPtr(p, size); err != nil {
			t.Error(err)
		}
	}
}
