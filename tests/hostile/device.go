package hostile

import (
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// device is a conn.Device over a queue of messages. It keeps the books of what
// was read and answered.
type device struct {
	mu    sync.Mutex
	cond  sync.Cond
	queue [][]byte
	last  bool // no more will come
	woken bool // the server has ended the connection
	late  bool // it took too long
	asked map[uint64]*exchange
	reply func(x *exchange, b []byte) string // what is wrong with it
	fail  func() unix.Errno                  // what writing gives
	wrong []string
}

// exchange is what was read and written under one id.
type exchange struct {
	requests [][]byte
	want     int  // replies
	resent   bool // one or more of them are copies, which are not all answered
	waits    bool // for a lock, maybe until the end
	loose    bool // an INTERRUPT, which may be answered
	tried    int
	taken    int
}

func newDevice() *device {
	d := &device{asked: map[uint64]*exchange{}}
	d.cond.L = &d.mu
	return d
}

// idOf is the id of a message without bit 63.
func idOf(unique uint64) uint64 { return unique &^ protocol.UniqueResend }

// ReadRequest hands out the next message.
func (d *device) ReadRequest(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 || d.woken {
		if d.last || d.woken {
			return 0, unix.ENODEV
		}
		d.cond.Wait()
	}
	m := d.queue[0]
	d.queue = d.queue[1:]
	n := copy(b, m)
	if n < len(m) {
		d.wrong = append(d.wrong, "a read buffer that a message does not fit")
	}
	if n >= headerSize {
		h := protocol.ViewOf[protocol.InHeader](m)
		x := d.asked[idOf(h.Unique)]
		if x == nil {
			x = &exchange{}
			d.asked[idOf(h.Unique)] = x
		}
		x.requests = append(x.requests, m)
		if protocol.HasReply(h.Opcode) && h.Opcode != protocol.OpInterrupt {
			x.want++
		}
		x.resent = x.resent || h.Unique&protocol.UniqueResend != 0
		x.waits = x.waits || h.Opcode == protocol.OpSetlkw
		x.loose = x.loose || h.Opcode == protocol.OpInterrupt
	}
	d.cond.Broadcast()
	return n, nil
}

// WriteReply takes a reply, or fails.
func (d *device) WriteReply(iov []syscall.Iovec) (int, error) {
	var b []byte
	for i := range iov {
		b = append(b, unsafe.Slice(iov[i].Base, int(iov[i].Len))...)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.cond.Broadcast()
	if len(b) < 16 {
		d.wrong = append(d.wrong, "a reply without a header")
		return 0, unix.EINVAL
	}
	h := protocol.ViewOf[protocol.OutHeader](b)
	x := d.asked[idOf(h.Unique)]
	if x == nil {
		d.wrong = append(d.wrong, "a reply to an id that nobody sent: "+text(b))
		return 0, unix.ENOENT
	}
	x.tried++
	if d.fail != nil {
		if e := d.fail(); e != 0 {
			return 0, e
		}
	}
	x.taken++
	if s := d.reply(x, b); s != "" {
		d.wrong = append(d.wrong, s)
	}
	if d.last && len(d.queue) == 0 {
		return 0, unix.ENODEV // unmounted: nobody wants it
	}
	return len(b), nil
}

// WriteNotify takes a notification, or fails.
func (d *device) WriteNotify(iov []syscall.Iovec) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if e := d.fail(); e != 0 {
			return 0, e
		}
	}
	n := 0
	for i := range iov {
		n += int(iov[i].Len)
	}
	return n, nil
}

// WaitRequest does not wait: there is always a request, or soon will be.
func (d *device) WaitRequest(int) bool { return true }

// Wake ends all reading.
func (d *device) Wake() { d.mu.Lock(); d.woken = true; d.cond.Broadcast(); d.mu.Unlock() }

// Close does nothing that Wake did not.
func (d *device) Close() error { d.Wake(); return nil }

// put queues messages and waits until all are answered that do not wait for a
// lock. It reports whether there is anybody left to send to.
func (d *device) put(list [][]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, list...)
	d.cond.Broadcast()
	t := time.AfterFunc(20*time.Second, func() { d.mu.Lock(); d.late = true; d.cond.Broadcast(); d.mu.Unlock() })
	defer t.Stop()
	for !d.woken && !d.late && (len(d.queue) > 0 || d.owing(false) != "") {
		d.cond.Wait()
	}
	if d.late {
		d.wrong = append(d.wrong, "no reply in 20 s: "+d.owing(false))
	}
	return !d.woken && !d.late
}

// owing returns a request that was read and not answered; with locks, it may be
// one that waits for one.
func (d *device) owing(locks bool) string {
	for _, x := range d.asked {
		want := x.want
		if x.resent {
			want = min(want, 1)
		}
		if x.tried < want && (locks || !x.waits) {
			return x.text()
		}
	}
	return ""
}

// settle returns what is wrong with the books at the end.
func (d *device) settle() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.owing(true); s != "" {
		d.wrong = append(d.wrong, "no reply at the end: "+s)
	}
	for _, x := range d.asked {
		if x.taken > x.want && !x.loose {
			d.wrong = append(d.wrong, "too many replies: "+x.text())
		}
		if d.fail == nil && x.tried > x.want && !x.loose {
			d.wrong = append(d.wrong, "a reply was sent again: "+x.text())
		}
	}
	return d.wrong
}

func (x *exchange) text() string {
	var s []byte
	for _, m := range x.requests {
		var r protocol.Request
		_ = r.Decode(m, &protocol.Params{Minor: 46})
		s = append(r.AppendText(s), "; "...)
	}
	return string(s)
}
