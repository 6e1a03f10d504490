package conntest

import (
	"time"
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// device is /dev/fuse in memory: a conn.Device. Replies are checked while the
// server writes them, so it gets the errors that a real kernel gives.
type device struct{ k *Kernel }

// minRead is fs/fuse/dev.c's least read buffer.
func (k *Kernel) minRead() int { return max(8192, 80+k.maxWrite) }

// ReadRequest waits for a request.
func (d *device) ReadRequest(b []byte) (int, error) {
	k := d.k
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entered++
	k.cond.Broadcast()
	for {
		if k.dead {
			if k.aborted && k.abortError() {
				return 0, unix.ECONNABORTED
			}
			return 0, unix.ENODEV
		}
		if len(b) < k.minRead() {
			k.report(nil, 0, "read buffer too small", "EINVAL to the server")
			return 0, unix.EINVAL
		}
		if m := k.next(len(b)); m != nil {
			k.taken++
			k.cond.Broadcast()
			return copy(b, m), nil
		}
		k.cond.Wait()
	}
}

func (d *device) write(iov []unix.Iovec) (int, error) {
	var b []byte
	for i := range iov {
		if n := int(iov[i].Len); n > 0 {
			b = append(b, unsafe.Slice(iov[i].Base, n)...)
		}
	}
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	if e := d.k.write(b); e != 0 {
		return 0, e
	}
	return len(b), nil
}

// WriteReply hands one reply to the kernel.
func (d *device) WriteReply(iov []unix.Iovec) (int, error) { return d.write(iov) }

// WriteNotify hands one notification to the kernel, which may take its time.
func (d *device) WriteNotify(iov []unix.Iovec) (int, error) { return d.write(iov) }

// WaitRequest waits up to ms milliseconds for a request.
func (d *device) WaitRequest(ms int) bool {
	k := d.k
	k.mu.Lock()
	defer k.mu.Unlock()
	late := false
	if ms >= 0 {
		t := time.AfterFunc(time.Duration(ms)*time.Millisecond, func() {
			k.mu.Lock()
			late = true
			k.cond.Broadcast()
			k.mu.Unlock()
		})
		defer t.Stop()
	}
	for !late && !k.dead && !k.ready() {
		k.cond.Wait()
	}
	return k.dead || k.ready()
}

// Wake makes readers look again.
func (d *device) Wake() { d.k.Abort() }

// Close is the last close of the device: it aborts the connection.
func (d *device) Close() error { d.k.Abort(); return nil }
