package wb

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/aio"
)

// issue is an op with a link to the next one to be submitted.
type issue struct {
	op   aio.Op
	next *issue
}

// work is what is left to do when a file's lock has been released. Methods of File
// that are given one, and those that say so, are called with the lock held.
type work struct {
	first, last *issue // to be submitted
	done, tail  *Task  // that are over, or granted; chained by link
	drop        Owner  // whose data has been written
	press       bool   // there is much in all
	lost        int64  // bytes given up
	err         unix.Errno
}

func (w *work) submit(i *issue) {
	i.next = nil
	if w.last != nil {
		w.last.next = i
	} else {
		w.first = i
	}
	w.last = i
}

func (w *work) finish(t *Task) {
	t.link = nil
	if w.tail != nil {
		w.tail.link = t
	} else {
		w.done = t
	}
	w.tail = t
}

// perform does it.
func (c *Cache) perform(w *work) {
	for i := w.first; i != nil; {
		next := i.next // before i may be over, and another one
		if !c.engine.TrySubmit(&i.op) {
			go c.engine.Submit(&i.op)
		}
		i = next
	}
	for t := w.done; t != nil; {
		next := t.link
		t.Done(t)
		t = next
	}
	if w.lost > 0 {
		c.stats.lost.Add(w.lost)
		c.say(w.lost, w.err)
	}
	if w.drop != nil {
		w.drop.Drop()
	}
	if w.press {
		c.press()
	}
}
