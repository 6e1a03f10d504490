package main

import (
	"strconv"

	"github.com/fusewire/fusewire/sg/unix"
)

// What the kernel lets root set for a mount, in /sys/class/bdi/MAJOR:MINOR: how much
// may be dirty, and how far is read ahead. A FUSE mount begins with one percent of the
// memory that may be dirty, strictly (fs/fuse/inode.c: fuse_bdi_init).
var bdiFiles = [...]string{"max_ratio", "strict_limit", "read_ahead_kb"}

// setBDI does so. It must come after INIT, which lowers read-ahead
// (process_init_reply), and looks at no file of the mount.
func (s *server) setBDI() {
	_, dev := s.m.ID()
	dir := "/sys/class/bdi/" + strconv.Itoa(int(unix.Major(dev))) + ":" + strconv.Itoa(int(unix.Minor(dev))) + "/"
	for i, v := range s.o.bdi {
		if v == "" {
			continue
		}
		name := dir + bdiFiles[i]
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Write(fd, []byte(v))
			unix.Close(fd)
		}
		if err != nil {
			say("cannot set " + name + ": " + err.Error() + "; going on without")
		}
	}
}
