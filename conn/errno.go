package conn

import "github.com/fusewire/fusewire/sg/unix"

// Errno returns the unix.Errno that err is or wraps, 0 without one: what
// errors.As finds, without the reflection behind it, which costs 30 KB of a
// program.
func Errno(err error) (e unix.Errno) {
	for err != nil {
		if e, ok := err.(unix.Errno); ok {
			return e
		}
		if a, ok := err.(interface{ As(any) bool }); ok && a.As(&e) {
			return e
		}
		switch w := err.(type) {
		case interface{ Unwrap() error }:
			err = w.Unwrap()
		case interface{ Unwrap() []error }:
			for _, err := range w.Unwrap() {
				if e := Errno(err); e != 0 {
					return e
				}
			}
			return 0
		default:
			return 0
		}
	}
	return 0
}
