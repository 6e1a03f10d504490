package aio

import (
	"github.com/fusewire/fusewire/sg/unix"

	"github.com/fusewire/fusewire/sg"
)

// Kind is what an Op does.
type Kind uint8

// The kinds.
const (
	Read      Kind = iota // FD at Off into Vec
	Write                 // Vec to FD at Off
	Fsync                 // FD, after every earlier change of its Key
	Fdatasync             // the same, data and size only
	Fallocate             // FD, Mode, Off, Len
	CopyRange             // Len bytes of FD2 at Off2 to FD at Off
	kinds
)

// Op is one operation. It is the engine's from Submit until Done is called, which
// may set it up anew and submit it again. The zero value reads nothing.
//
// A descriptor opened with O_APPEND needs RWF_APPEND in Flags, too, lest order be
// that of offsets that do not apply. Files that Vec has ranges of are not looked
// after.
//
// N is how much was done and Err why it was not all; both may be set, where a
// system call would return N and keep the error to itself. A short N without Err
// is the end of the file.
type Op struct {
	Kind  Kind
	Waits bool   // would wait for the device even with RWF_NOWAIT (FD has O_DIRECT, O_SYNC): not tried at once
	Flags int    // RWF_* of a read or write
	Mode  uint32 // of Fallocate
	FD    int
	FD2   int    // CopyRange: the source
	Off   int64  // never negative
	Off2  int64  // CopyRange: in the source
	Len   int64  // Fallocate, CopyRange
	Vec   sg.Vec // Read, Write: memory; not changed

	Key  uint64 // the file, as far as order and merging are concerned
	Key2 uint64 // CopyRange: the source's
	Dev  uint64 // the file system, as far as what RWF_NOWAIT can do is concerned

	Done func(*Op) // called exactly once a Submit; must not wait for other ops of the engine
	Priv any       // the submitter's

	N   int
	Err unix.Errno

	// The scheduler's, under its lock.
	state     state
	cancelled bool
	blockers  int32
	bytes     int64
	begin     int64
	holds     [2]hold
	prev      *Op // in one of: ready, the file's held, a chain
	next      *Op
	lower     *Op // in the file's sorted list
	upper     *Op
	chain     *Op // the neighbour above that it is about to be merged with
	unit      *Op // the merged op it is part of
	parts     *Op // of a merged op, chained by next
	sched     sched
	ticket    *ticket // while waiting

	slot uint64 // the back end's
}

// sched is the Scheduler. An interface, so that a program which has ops but makes
// no Scheduler does not contain one.
type sched interface{ carriedOut(op *Op) }

type state uint8

const (
	idle    state = iota // not the scheduler's
	waiting              // for admission
	blocked              // by earlier ops
	held                 // for a neighbour
	ready                // for the back end to have room
	running              // with the back end
)

// size is how many bytes the op is about.
func (op *Op) size() int64 {
	switch op.Kind {
	case Read, Write:
		return int64(op.Vec.Len())
	case CopyRange:
		return op.Len
	}
	return 0
}

// valid reports whether the op's numbers make sense.
func (op *Op) valid() bool {
	n := op.Len
	switch op.Kind {
	case Read, Write:
		n = int64(op.Vec.Len())
	case Fsync, Fdatasync:
		return true
	}
	return op.Kind < kinds && n >= 0 && op.Off >= 0 && op.Off2 >= 0 && op.Off+n >= 0 && op.Off2+n >= 0
}

// complete is the op's end, for an op that the scheduler has let go of.
func (op *Op) complete() {
	if op.Done != nil {
		op.Done(op)
	}
}

// ops is a list of ops by prev and next.
type ops struct{ first, last *Op }

func (l *ops) push(op *Op) {
	op.prev, op.next = l.last, nil
	if l.last != nil {
		l.last.next = op
	} else {
		l.first = op
	}
	l.last = op
}

func (l *ops) pushFront(op *Op) {
	op.prev, op.next = nil, l.first
	if l.first != nil {
		l.first.prev = op
	} else {
		l.last = op
	}
	l.first = op
}

func (l *ops) remove(op *Op) {
	if op.prev != nil {
		op.prev.next = op.next
	} else {
		l.first = op.next
	}
	if op.next != nil {
		op.next.prev = op.prev
	} else {
		l.last = op.prev
	}
	op.prev, op.next = nil, nil
}

func (l *ops) pop() *Op {
	op := l.first
	if op != nil {
		l.remove(op)
	}
	return op
}
