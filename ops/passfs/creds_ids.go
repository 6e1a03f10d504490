//go:build !(386 || arm)

package passfs

import "github.com/fusewire/fusewire/sg/unix"

const (
	sysSetfsuid  = unix.SYS_SETFSUID
	sysSetfsgid  = unix.SYS_SETFSGID
	sysSetgroups = unix.SYS_SETGROUPS
)
