//go:build mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || ppc || sparc64 || sparc

package protocol

// arch/{mips,powerpc,sparc}/include/uapi/asm/ioctl.h: three bits of direction
// above 13 of size, and no direction is a bit as well.
const (
	iocNone     = 1
	iocRead     = 2
	iocWrite    = 4
	iocDirShift = 29
)
