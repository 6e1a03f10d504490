// Package passfs serves a directory of the host through FUSE: the passthrough
// file system. It is a set of handlers for package ops; mounting and the
// command line are somebody else's.
//
//	kernel: LOOKUP(parent nodeid, "x")
//	   │
//	   ▼          ops.Nodes                 budget of O_PATH descriptors
//	  nodeid ───► inode ──state──► fd ◄──── CLOCK ring, evicts the unused
//	               │  │
//	   identity ───┘  └── how to come back: file handle (open_by_handle_at),
//	   (mount, dev,       an open file's descriptor, or (parent inode, name)
//	   ino, birth)
//
// An inode is a reference that can be re-opened, not a descriptor held for
// ever. Nothing is resolved through a symbolic link, ".." or a magic link of
// the source: every step is one checked component, opened with
// O_PATH|O_NOFOLLOW relative to a descriptor. Mounts inside the source are
// crossed and served.
//
// Creating requests run with the caller's fsuid, fsgid, group and umask, set
// on the serving OS thread (creds.go). All other requests run as the server
// and rely on the kernel's own permission check: mount with
// default_permissions (InitPosixACL implies it).
//
//	src, _ := unix.Open("/srv", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
//	fs, err := passfs.New(src, nil)
//	c := conn.New(dev, &conn.Options{Want: fs.Want()})
//	err = c.Serve(ops.New(fs))
package passfs
