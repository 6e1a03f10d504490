package main

import "github.com/fusewire/fusewire/sg/unix"

// longs are the options with a name, as --NAME VALUE, --NAME=VALUE or, with
// underscores allowed for hyphens, -o NAME=VALUE. apply does what they say.
var longs = [...]struct{ name, short, arg, help string }{
	{"help", "h", "", "print this and exit"},
	{"version", "V", "", "print the version and exit"},
	{"foreground", "f", "", "stay in the foreground"},
	{"debug", "d", "", "print a line for each request and reply; implies -f"},
	{"log-file", "", "FILE", "where messages go in the background (default: nowhere)"},
	{"readonly", "", "", "mount read-only and refuse every change (-o ro)"},
	{"allow-other", "", "", "let other users in"},
	{"default-permissions", "", "", "have the kernel check permissions (default)"},
	{"no-default-permissions", "", "", "leave that to SRC: fewer requests; not with --allow-other"},
	{"auto-unmount", "", "", "have fusermount3 unmount if this program dies (needs allow_other)"},
	{"fsname", "", "NAME", "the source that mount(8) shows (default: SRC)"},
	{"subtype", "", "NAME", "the type shown, as fuse.NAME (default: passthrough)"},
	{"cache", "", "MODE", "never, metadata, auto (default) or always"},
	{"entry-timeout", "", "SECONDS", "how long names are cached (default: by cache mode)"},
	{"attr-timeout", "", "SECONDS", "how long attributes are cached (default: by cache mode)"},
	{"negative-timeout", "", "SECONDS", "how long the absence of a name is cached (default: by cache mode)"},
	{"writeback", "", "", "let the kernel hold written data back; nobody else may change SRC"},
	{"writeback-cache", "", "", "the same"},
	{"max-ratio", "", "PERCENT", "dirty memory this mount may have of all (root; else 1)"},
	{"strict-limit", "", "0|1", "... even while nobody else has any (root; else 1)"},
	{"read-ahead-kb", "", "KIB", "how far the kernel reads ahead (root; else 128)"},
	{"wb-cache", "", "MODE", "hold written data back: off (default), on, lazy (not at close)"},
	{"wb-cache-size", "", "BYTES", "memory for it (default: 64M)"},
	{"wb-cache-age", "", "SECONDS", "how long at most (default: 5)"},
	{"direct-io", "", "", "do not use the page cache"},
	{"nopassthrough", "", "", "do not let the kernel read and write SRC's files itself"},
	{"parallel-direct-writes", "", "MODE", "auto (where no page cache is used), always (O_DIRECT) or never"},
	{"local-locks", "", "", "keep locks to this mount: SRC sees none; fewer requests"},
	{"xattr", "", "MODE", "passthrough (default), noattr (EOPNOTSUPP) or nosys (ENOSYS)"},
	{"num-threads", "", "N", "most threads that serve (default: 10)"},
	{"single-thread", "s", "", "one thread (--num-threads=1)"},
	{"clone-fd", "", "", "a device descriptor for each thread"},
	{"transport", "", "MODE", "dev (default), uring (io_uring), or auto (sound ones)"},
	{"io-uring", "", "", "the same as --transport=uring"},
	{"io-uring-q-depth", "", "N", "requests that each CPU's ring holds (default: 8)"},
	{"zero-copy", "", "MODE", "off (default), auto or on: data stay in the kernel (7.3)"},
	{"max-read", "", "BYTES", "largest read request (default: no limit)"},
	{"max-write", "", "BYTES", "largest write request (default: 1M, to 4M by fs.fuse limit)"},
	{"max-background", "", "N", "asynchronous requests at once (default: 256)"},
	{"congestion-threshold", "", "N", "of those, when the kernel holds off (default: three quarters)"},
	{"rlimit-nofile", "", "N", "limit of open files (default: as high as allowed)"},
}

// mountFlags are the options of mount(8) that are bits of mount(2).
var mountFlags = [...]struct {
	name       string
	set, clear uintptr
}{
	{"ro", unix.MS_RDONLY, 0},
	{"rw", 0, unix.MS_RDONLY},
	{"nosuid", unix.MS_NOSUID, 0},
	{"suid", 0, unix.MS_NOSUID},
	{"nodev", unix.MS_NODEV, 0},
	{"dev", 0, unix.MS_NODEV},
	{"noexec", unix.MS_NOEXEC, 0},
	{"exec", 0, unix.MS_NOEXEC},
	{"sync", unix.MS_SYNCHRONOUS, 0},
	{"async", 0, unix.MS_SYNCHRONOUS},
	{"dirsync", unix.MS_DIRSYNC, 0},
	{"noatime", unix.MS_NOATIME, 0},
	{"atime", 0, unix.MS_NOATIME},
	{"nodiratime", unix.MS_NODIRATIME, 0},
	{"diratime", 0, unix.MS_NODIRATIME},
	{"relatime", unix.MS_RELATIME, 0},
	{"norelatime", 0, unix.MS_RELATIME},
	{"strictatime", unix.MS_STRICTATIME, 0},
	{"nostrictatime", 0, unix.MS_STRICTATIME},
	{"lazytime", unix.MS_LAZYTIME, 0},
	{"nolazytime", 0, unix.MS_LAZYTIME},
	{"nosymfollow", unix.MS_NOSYMFOLLOW, 0},
	{"symfollow", 0, unix.MS_NOSYMFOLLOW},
	{"silent", unix.MS_SILENT, 0},
	{"loud", 0, unix.MS_SILENT},
}

// forOthers are words of /etc/fstab that mount(8), systemd and the like act
// upon, and that they may hand on.
var forOthers = [...]string{
	"defaults", "auto", "noauto", "user", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup",
	"_netdev", "nofail", "nomand",
}
