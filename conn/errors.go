package conn

import "github.com/fusewire/fusewire/sg/unix"

// Error is the one error of this package: what was tried, on what, and the
// errno it ended with. errors.Is works with a unix.Errno and with
// [ErrUnmounted] and [ErrAborted].
type Error struct {
	_ [0]func() // not comparable: no code for it

	Op     string // what was attempted: "mount", "init", "serve", "notify", ...
	Path   string // the mountpoint or device concerned; may be empty
	Err    error  // a unix.Errno wherever the kernel gave one; may be nil
	Detail string // the rest of the story in words; may be empty
}

// Error returns "op path: detail: errno", without the parts that are empty.
func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrUnmounted says that the file system is no longer mounted, so that
	// nothing can be sent to the kernel any more. It unwraps to ENODEV.
	ErrUnmounted error = &Error{Op: "connection", Err: unix.ENODEV, Detail: "unmounted"}

	// ErrAborted says that the connection was aborted (umount -f, fusectl, or
	// the loss of the device) rather than unmounted. It unwraps to ECONNABORTED.
	ErrAborted error = &Error{Op: "connection", Err: unix.ECONNABORTED, Detail: "aborted"}
)
