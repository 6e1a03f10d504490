package ops

import (
	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/sg/unix"
)

// Later is returned by a handler that will call Request.Finish itself, once,
// from any goroutine.
var Later error = later{}

// Detached is Later from a handler that has called Request.Detach and leaves the
// answer to Request.Complete, after which the request is another one: perhaps
// before the handler has returned.
var Detached error = detachedError{}

// Elsewhere is returned by a handler that was told to by [Request.Elsewhere].
var Elsewhere error = elsewhere{}

type elsewhere struct{ later }

type later struct{}

func (later) Error() string { return "ops: to be finished later" }

type detachedError struct{ later }

// Errno returns what the kernel is told of err: the unix.Errno in its chain,
// else EIO. It is never 0 and never above 511, which the kernel refuses
// (fs/fuse/dev.c: fuse_dev_do_write).
func Errno(err error) unix.Errno {
	e := conn.Errno(err)
	if e == 0 || e >= 512 {
		return unix.EIO
	}
	return e
}
