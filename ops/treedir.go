package ops

import (
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// The part of Tree that lists and changes directories.

// unknownIno is shown for entries that have not been looked up.
const unknownIno = 0xffffffff

// Opendir implements Opendirer.
func (t *Tree) Opendir(r *Request, in *protocol.OpenIn, out *protocol.OpenOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	if _, ok := n.(Dir); !ok {
		return unix.ENOTDIR
	}
	out.Fh, err = t.dirs.Add(&treeDir{}, 1)
	return err
}

// Readdir implements Readdirer. The cookie of an entry is its place in the list.
func (t *Tree) Readdir(r *Request, in *protocol.ReadIn, d *DirBuf) error {
	h := t.dirs.Get(in.Fh)
	if h == nil {
		return unix.EBADF
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Offset == 0 || h.names == nil {
		n, err := t.node(r.Nodeid())
		if err != nil {
			return err
		}
		dir, ok := n.(Dir)
		if !ok { // another node's handle
			return unix.EBADF
		}
		if h.names, err = dir.List(); err != nil {
			return err
		}
	}
	id := r.Nodeid()
	for i := in.Offset; i < uint64(len(h.names))+2; i++ {
		ino, typ, name := uint64(unknownIno), uint32(unix.DT_DIR), ""
		switch i {
		case 0:
			ino, name = id, "."
		case 1:
			name = ".."
		default:
			name, typ = h.names[i-2], unix.DT_UNKNOWN
			t.mu.Lock()
			if known := t.names[treeName{id, name}]; known != 0 {
				ino = known
			}
			t.mu.Unlock()
		}
		if !d.Add(ino, i+1, typ, []byte(name)) {
			break
		}
	}
	return nil
}

// Releasedir implements Releasedirer.
func (t *Tree) Releasedir(r *Request, in *protocol.ReleaseIn) error {
	t.dirs.Forget(in.Fh, 1)
	return nil
}

// CancelOpen implements OpenCanceler.
func (t *Tree) CancelOpen(nodeid, fh uint64, dir bool) {
	if dir {
		t.dirs.Forget(fh, 1)
	}
}

func (t *Tree) make(r *Request, name []byte, typ, mode, umask uint32, out *protocol.EntryOut) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	d, ok := n.(Maker)
	if !ok {
		return unix.EROFS
	}
	mode, err = newMode(typ, mode, umask)
	if err != nil {
		return err
	}
	s, err := plainName(name)
	if err != nil {
		return err
	}
	v, err := d.Make(s, mode)
	if err != nil {
		return err
	}
	t.drop(treeName{r.Nodeid(), s})
	return t.enter(r.Nodeid(), s, v, out)
}

// drop forgets which node had a name; the node stays for who has it open.
func (t *Tree) drop(at treeName) {
	t.mu.Lock()
	delete(t.names, at)
	t.mu.Unlock()
}

// Mkdir implements Mkdirer.
func (t *Tree) Mkdir(r *Request, in *protocol.MkdirIn, name []byte, out *protocol.EntryOut) error {
	return t.make(r, name, unix.S_IFDIR, in.Mode, in.Umask, out)
}

// Mknod implements Mknoder.
func (t *Tree) Mknod(r *Request, in *protocol.MknodIn, name []byte, out *protocol.EntryOut) error {
	return t.make(r, name, 0, in.Mode, in.Umask, out)
}

// Create implements Creater.
func (t *Tree) Create(r *Request, in *protocol.CreateIn, name []byte, e *protocol.EntryOut, o *protocol.OpenOut) error {
	return t.make(r, name, unix.S_IFREG, in.Mode, in.Umask, e)
}

func (t *Tree) remove(r *Request, name []byte) error {
	n, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	d, ok := n.(Remover)
	if !ok {
		return unix.EROFS
	}
	s, err := plainName(name)
	if err != nil {
		return err
	}
	if err := d.Remove(s); err != nil {
		return err
	}
	t.drop(treeName{r.Nodeid(), s})
	return nil
}

// Unlink implements Unlinker.
func (t *Tree) Unlink(r *Request, name []byte) error { return t.remove(r, name) }

// Rmdir implements Rmdirer.
func (t *Tree) Rmdir(r *Request, name []byte) error { return t.remove(r, name) }

// Rename implements Renamer; flags must be 0.
func (t *Tree) Rename(r *Request, newdir uint64, oldname, newname []byte, flags uint32) error {
	if flags != 0 {
		return unix.EINVAL
	}
	from, err := t.node(r.Nodeid())
	if err != nil {
		return err
	}
	to, err := t.node(newdir)
	if err != nil {
		return err
	}
	d, ok := from.(Mover)
	if !ok {
		return unix.EROFS
	}
	a, err := plainName(oldname)
	if err != nil {
		return err
	}
	b, err := plainName(newname)
	if err != nil {
		return err
	}
	was, is := treeName{r.Nodeid(), a}, treeName{newdir, b}
	if was == is {
		return nil
	}
	if err := d.Move(was.name, to, is.name); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.names[was]
	delete(t.names, was)
	delete(t.names, is)
	if n := t.nodes.Get(id); n != nil {
		n.at = is
		t.names[is] = id
	}
	return nil
}
