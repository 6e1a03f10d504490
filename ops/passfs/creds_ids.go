//go:build !(386 || arm)

package passfs

import "golang.org/x/sys/unix"

const (
	sysSetfsuid  = unix.SYS_SETFSUID
	sysSetfsgid  = unix.SYS_SETFSGID
	sysSetgroups = unix.SYS_SETGROUPS
)
