package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
)

// convertible is no errno, but becomes one when asked.
type convertible struct{}

func (convertible) Error() string { return "convertible" }
func (convertible) As(p any) bool {
	e, ok := p.(*unix.Errno)
	if ok {
		*e = unix.EXDEV
	}
	return ok
}

// TestErrno compares Errno with errors.As.
func TestErrno(t *testing.T) {
	plain := errors.New("plain")
	path := &fs.PathError{Op: "open", Path: "/", Err: unix.ENOENT}
	for _, err := range []error{
		nil, plain, unix.EPERM, path, convertible{},
		fmt.Errorf("w: %w", path),
		fmt.Errorf("w: %w", convertible{}),
		fmt.Errorf("two: %w, %w", plain, fmt.Errorf("w: %w", unix.EIO)),
		errors.Join(plain, errors.Join(plain, plain), errors.Join(plain, path), unix.EBUSY),
		errors.Join(plain, plain),
		fmt.Errorf("none: %w", plain),
		&fs.PathError{Op: "open"},
	} {
		var want unix.Errno
		errors.As(err, &want)
		if got := Errno(err); got != want {
			t.Errorf("Errno(%v) = %v, want %v", err, got, want)
		}
	}
}
