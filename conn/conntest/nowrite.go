package conntest

// flight is one WRITE of the page cache, queued or with the server.
type flight struct {
	first, n int64 // pages
	data     []byte
	f        *File // whose fh it has
	sent     bool
}

// writing reports whether a page from first to last is under write-back.
func (i *inode) writing(first, last int64) bool {
	for _, w := range i.flights {
		if w.first <= last && first < w.first+w.n {
			return true
		}
	}
	return false
}

// sent is how many WRITEs of the page cache are with the server (writectr).
func (i *inode) sent() int {
	n := 0
	for _, w := range i.flights {
		if w.sent {
			n++
		}
	}
	return n
}

// setNowrite is fuse_set_nowrite: no WRITE of the page cache is under way when it
// returns, and none is sent before releaseNowrite. cl holds i.lock.
func (k *Kernel) setNowrite(cl *Client, i *inode) {
	i.nowrite++
	k.wait(cl, func() bool { return i.sent() == 0 })
}

// releaseNowrite is fuse_release_nowrite: what was queued meanwhile is sent.
func (k *Kernel) releaseNowrite(i *inode) {
	if i.nowrite--; i.nowrite == 0 {
		for _, w := range append([]*flight(nil), i.flights...) {
			if !w.sent {
				k.sendFlight(i, w)
			}
		}
	}
	k.cond.Broadcast()
}
