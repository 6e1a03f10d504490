//go:build !386 && !arm && !mips && !mipsle

package passfs

import "github.com/fusewire/fusewire/sg/unix"

// sysUtimensat is the call that takes 64-bit seconds.
const sysUtimensat = unix.SYS_UTIMENSAT
