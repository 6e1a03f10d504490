package conntest

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// Seek is lseek(2), whence of unix.SEEK_*: only SEEK_DATA and SEEK_HOLE make an
// LSEEK.
func (f *File) Seek(off int64, whence int) (int64, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return 0, e
	}
	if f.open&(protocol.FopenNonseekable|protocol.FopenStream) != 0 {
		return 0, unix.ESPIPE
	}
	at, e := k.seek(f, off, whence)
	if e == 0 && at < 0 {
		e = unix.EINVAL
	}
	if e != 0 {
		return 0, e
	}
	f.pos = at
	return at, nil
}

// seek is fs/fuse/file.c: fuse_file_llseek.
func (k *Kernel) seek(f *File, off int64, whence int) (int64, unix.Errno) {
	i := f.ino
	switch whence {
	case unix.SEEK_SET:
		return off, 0
	case unix.SEEK_CUR:
		return f.pos + off, 0
	case unix.SEEK_END:
		k.lock(f.c, &i.lock)
		defer k.unlock(&i.lock)
		e := k.update(f.c, i, f, unix.STATX_SIZE)
		return int64(i.attr.Size) + off, e
	case unix.SEEK_DATA, unix.SEEK_HOLE:
	default:
		return 0, unix.EINVAL
	}
	k.lock(f.c, &i.lock)
	defer k.unlock(&i.lock)
	if k.o.Minor >= 24 && !k.no[protocol.OpLseek] {
		in := protocol.LseekIn{Fh: f.fh, Offset: uint64(off), Whence: uint32(whence)}
		b, e := k.call(f.c, &body{op: protocol.OpLseek, nodeid: i.nodeid, arg: protocol.BytesOf(&in)})
		if e == 0 {
			at := view[protocol.LseekOut](b).Offset
			if at > 1<<63-1 { // vfs_setpos
				k.report(&request{op: protocol.OpLseek, nodeid: i.nodeid}, 0, "an offset above 1<<63-1", "EINVAL to the caller")
				return 0, unix.EINVAL
			}
			return int64(at), 0
		}
		if e != unix.ENOSYS {
			return 0, e
		}
		k.no[protocol.OpLseek] = true
	}
	// generic_file_llseek: all of the file is data, a hole is at its end.
	if e := k.update(f.c, i, f, unix.STATX_SIZE); e != 0 {
		return 0, e
	}
	if size := int64(i.attr.Size); off < 0 || off >= size {
		return 0, unix.ENXIO
	} else if whence == unix.SEEK_HOLE {
		return size, 0
	}
	return off, 0
}
