package conntest

import (
	"time"

	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/sg/unix"
)

// start sends b, with the ids of cl if there is one, and does not wait: end gets
// the reply, or the error, whenever it comes (fs/fuse/dev.c:
// fuse_simple_background). At most max_background of such requests are with the
// server at once; the others follow as these are answered (flush_bg_queue).
// Under Run the schedule chooses when end is called.
func (k *Kernel) start(cl *Client, b *body, end func(data []byte, e unix.Errno)) {
	switch {
	case k.dead:
		end(nil, k.deadErr(b.op))
		return
	case k.no[b.op]:
		end(nil, unix.ENOSYS)
		return
	}
	r := k.make(cl, b)
	r.cl, r.end = nil, end
	if k.background >= k.maxBackground() {
		k.waiting = append(k.waiting, r)
		return
	}
	k.startNow(r)
}

func (k *Kernel) startNow(r *request) {
	k.background++
	r.counted = true
	k.submit(r)
	r.timer = time.AfterFunc(k.o.Deadline, func() { k.overdue(r) })
}

func (k *Kernel) maxBackground() int {
	if n := int(k.init.MaxBackground); n != 0 && k.params.Minor >= 13 {
		return n
	}
	return protocol.DefaultMaxBackground
}

// complete lets who waits for r see the answer.
func (k *Kernel) complete(r *request) {
	r.held, r.done = false, true
	if end := r.end; end != nil {
		r.end = nil
		if r.timer != nil {
			r.timer.Stop()
		}
		if r.counted {
			k.background--
		}
		for !k.dead && len(k.waiting) > 0 && k.background < k.maxBackground() {
			next := k.waiting[0]
			k.waiting = k.waiting[1:]
			k.startNow(next)
		}
		end(r.data, r.err)
	}
	k.cond.Broadcast()
}

// hold keeps f from being released while a request with its fh is out
// (fuse_file_get); unhold gives it back.
func (f *File) hold() { f.holds++ }

func (k *Kernel) unhold(f *File) {
	if f.holds--; f.holds == 0 && f.late {
		f.late = false
		k.releaseNow(f)
	}
}
