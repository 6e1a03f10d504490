package passfs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// needPwritev2 skips a test of RWF_APPEND under qemu's user mode, which does not
// know pwritev2(2); kernels have it since 4.6.
func needPwritev2(t testing.TB) {
	t.Helper()
	if _, _, e := unix.Syscall6(unix.SYS_PWRITEV2, ^uintptr(0), 0, 0, 0, 0, 0); e == unix.ENOSYS {
		t.Skip("pwritev2(2) is missing")
	}
}

// needFsxattr skips a test of FS_IOC_FSGETXATTR where fd says that not the file
// system but the system does not know it: under qemu's user mode.
func needFsxattr(t testing.TB, fd int) {
	t.Helper()
	var b ioctlBuf
	if ioctlFD(fd, getFsx, &b) == unix.ENOSYS {
		t.Skip("ioctl(FS_IOC_FSGETXATTR) is missing")
	}
}
