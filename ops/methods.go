package ops

// handlers are a file system's methods, nil where it has none.
type handlers struct {
	_           [0]func() // not comparable: a comparison of all this is 7 KB of a program
	lookup      Lookuper
	getattr     Getattrer
	setattr     Setattrer
	readlink    Readlinker
	symlink     Symlinker
	mknod       Mknoder
	mkdir       Mkdirer
	unlink      Unlinker
	rmdir       Rmdirer
	rename      Renamer
	link        Linker
	open        Opener
	read        Reader
	write       Writer
	statfs      Statfser
	release     Releaser
	fsync       Fsyncer
	setxattr    Setxattrer
	getxattr    Getxattrer
	listxattr   Listxattrer
	removexattr Removexattrer
	flush       Flusher
	opendir     Opendirer
	readdir     Readdirer
	releasedir  Releasedirer
	fsyncdir    Fsyncdirer
	getlk       Getlker
	setlk       Setlker
	setlkw      Setlkwer
	access      Accesser
	create      Creater
	bmap        Bmaper
	destroy     Destroyer
	ioctl       Ioctler
	poll        Poller
	fallocate   Fallocater
	readdirplus Readdirpluser
	lseek       Lseeker
	copyRange   CopyFileRanger
	setupmap    Setupmapper
	removemap   Removemapper
	syncfs      Syncfser
	tmpfile     Tmpfiler
	statx       Statxer
}

// find returns the handlers that fs has.
func find(fs any) (h handlers) {
	h.lookup, _ = fs.(Lookuper)
	h.getattr, _ = fs.(Getattrer)
	h.setattr, _ = fs.(Setattrer)
	h.readlink, _ = fs.(Readlinker)
	h.symlink, _ = fs.(Symlinker)
	h.mknod, _ = fs.(Mknoder)
	h.mkdir, _ = fs.(Mkdirer)
	h.unlink, _ = fs.(Unlinker)
	h.rmdir, _ = fs.(Rmdirer)
	h.rename, _ = fs.(Renamer)
	h.link, _ = fs.(Linker)
	h.open, _ = fs.(Opener)
	h.read, _ = fs.(Reader)
	h.write, _ = fs.(Writer)
	h.statfs, _ = fs.(Statfser)
	h.release, _ = fs.(Releaser)
	h.fsync, _ = fs.(Fsyncer)
	h.setxattr, _ = fs.(Setxattrer)
	h.getxattr, _ = fs.(Getxattrer)
	h.listxattr, _ = fs.(Listxattrer)
	h.removexattr, _ = fs.(Removexattrer)
	h.flush, _ = fs.(Flusher)
	h.opendir, _ = fs.(Opendirer)
	h.readdir, _ = fs.(Readdirer)
	h.releasedir, _ = fs.(Releasedirer)
	h.fsyncdir, _ = fs.(Fsyncdirer)
	h.getlk, _ = fs.(Getlker)
	h.setlk, _ = fs.(Setlker)
	h.setlkw, _ = fs.(Setlkwer)
	h.access, _ = fs.(Accesser)
	h.create, _ = fs.(Creater)
	h.bmap, _ = fs.(Bmaper)
	h.destroy, _ = fs.(Destroyer)
	h.ioctl, _ = fs.(Ioctler)
	h.poll, _ = fs.(Poller)
	h.fallocate, _ = fs.(Fallocater)
	h.readdirplus, _ = fs.(Readdirpluser)
	h.lseek, _ = fs.(Lseeker)
	h.copyRange, _ = fs.(CopyFileRanger)
	h.setupmap, _ = fs.(Setupmapper)
	h.removemap, _ = fs.(Removemapper)
	h.syncfs, _ = fs.(Syncfser)
	h.tmpfile, _ = fs.(Tmpfiler)
	h.statx, _ = fs.(Statxer)
	return h
}
