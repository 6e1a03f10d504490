//go:build !mips && !mipsle && !mips64 && !mips64le && !ppc64 && !ppc64le && !ppc && !sparc64 && !sparc

package protocol

// include/uapi/asm-generic/ioctl.h: two bits of direction above 14 of size.
const (
	iocNone     = 0
	iocWrite    = 1
	iocRead     = 2
	iocDirShift = 30
)
