//go:build 386 || arm

package passfs

import "github.com/fusewire/fusewire/sg/unix"

// The plain calls of these two take 16-bit ids.
const (
	sysSetfsuid  = unix.SYS_SETFSUID32
	sysSetfsgid  = unix.SYS_SETFSGID32
	sysSetgroups = unix.SYS_SETGROUPS32
)
