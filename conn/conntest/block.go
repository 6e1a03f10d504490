package conntest

import (
	"slices"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// blockSize is that of a block device's mount: option blksize.
const blockSize = 512

// Bmap is FIBMAP: where block of the file is on the device; 0: nowhere, or
// there is no device (Options.Block).
func (f *File) Bmap(block uint64) (uint64, error) {
	k := f.c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := f.begin(false); e != 0 {
		return 0, e
	}
	if !k.o.Block || k.no[protocol.OpBmap] { // fs/fuse/file.c: fuse_bmap
		return 0, nil
	}
	in := protocol.BmapIn{Block: block, Blocksize: blockSize}
	b, e := k.call(f.c, &body{op: protocol.OpBmap, nodeid: f.ino.nodeid, arg: protocol.BytesOf(&in)})
	if e == unix.ENOSYS {
		k.no[protocol.OpBmap] = true
	}
	if e != 0 {
		return 0, nil
	}
	return view[protocol.BmapOut](b).Block, nil
}

// Sync is syncfs(2): all that is dirty is written back. Only mounts of a block
// device (and virtiofs) pass it on, as SYNCFS.
func (c *Client) Sync() error {
	k := c.k
	k.mu.Lock()
	defer k.mu.Unlock()
	var first unix.Errno
	for _, id := range k.ids() {
		if i := k.inodes[id]; i != nil && i.reg() && k.ownsSize(i) {
			i.refs++
			if e := k.writeBack(c, i); e != 0 && first == 0 {
				first = e
			}
			k.iput(i)
		}
	}
	if !k.o.Block || k.o.Minor < 34 || k.no[protocol.OpSyncfs] {
		return errno(first)
	}
	in := protocol.SyncfsIn{}
	_, e := k.call(c, &body{op: protocol.OpSyncfs, nodeid: protocol.RootID, arg: protocol.BytesOf(&in)})
	if e == unix.ENOSYS {
		k.no[protocol.OpSyncfs] = true
		e = 0
	}
	if first == 0 {
		first = e
	}
	return errno(first)
}

// ids are the nodeids in order, so that runs repeat.
func (k *Kernel) ids() []uint64 {
	ids := make([]uint64, 0, len(k.inodes))
	for id := range k.inodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// destroy is fs/fuse/inode.c: fuse_send_destroy.
func (k *Kernel) destroy() {
	if k.o.Block && !k.dead && !k.refused {
		_, _ = k.call(&Client{k: k}, &body{op: protocol.OpDestroy, force: true, nobody: true})
	}
}
