package wb

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenFlags(t *testing.T) {
	for in, want := range map[int]int{
		unix.O_RDONLY: unix.O_RDONLY,
		unix.O_WRONLY: unix.O_RDWR,
		unix.O_RDWR:   unix.O_RDWR,
		unix.O_WRONLY | unix.O_APPEND | unix.O_DIRECT | unix.O_TRUNC: unix.O_RDWR | unix.O_TRUNC,
		unix.O_RDONLY | unix.O_NOATIME | unix.O_CLOEXEC:              unix.O_RDONLY | unix.O_NOATIME | unix.O_CLOEXEC,
	} {
		if got := OpenFlags(in); got != want {
			t.Errorf("%#x: %#x, want %#x", in, got, want)
		}
	}
}

func TestMustBypass(t *testing.T) {
	for in, want := range map[int]bool{
		unix.O_RDONLY: false, unix.O_RDWR: false, unix.O_WRONLY: true, unix.O_RDWR | unix.O_APPEND: true,
	} {
		if MustBypass(in) != want {
			t.Errorf("%#x: %v", in, !want)
		}
	}
}

func TestFlags(t *testing.T) {
	const all = unix.O_SYNC | unix.O_APPEND | unix.O_WRONLY
	for _, c := range []struct {
		file                     uint32
		cached, direct, appendFD bool
		want                     int
	}{
		{0, false, false, false, 0},
		{all, false, false, false, unix.RWF_SYNC},
		{all, false, true, false, unix.RWF_SYNC | unix.RWF_APPEND},
		{unix.O_DSYNC, false, true, false, unix.RWF_DSYNC},
		{all, true, false, false, 0},
		{all, true, true, false, 0},
		{all, true, false, true, unix.RWF_NOAPPEND},
	} {
		if got := Flags(c.file, c.cached, c.direct, c.appendFD); got != c.want {
			t.Errorf("%+v: %#x", c, got)
		}
	}
}
