package passfs

import (
	"github.com/fusewire/fusewire/sg/unix"
)

// nameMax is NAME_MAX of Linux.
const nameMax = 255

// checkName admits what can be one component of a path and nothing else. The
// kernel sends no others; a hostile or buggy peer on the device might.
func checkName(name []byte) error {
	switch {
	case len(name) == 0:
		return unix.ENOENT
	case len(name) > nameMax:
		return unix.ENAMETOOLONG
	case name[0] == '.' && (len(name) == 1 || len(name) == 2 && name[1] == '.'):
		return unix.EINVAL
	}
	for _, c := range name {
		if c == '/' || c == 0 {
			return unix.EINVAL
		}
	}
	return nil
}
