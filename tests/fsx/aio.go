package main

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/aio/uring"
)

// The kernel's structures, include/uapi/linux/aio_abi.h. Buffers are mapped memory,
// which does not move; the structures live until the calls with their addresses have
// returned (runtime.KeepAlive), and the kernel has copied an iocb when io_submit(2)
// returns.

type iocb struct {
	data   uint64
	_, _   uint32 // key and flags, in the other order on big-endian machines
	opcode uint16
	_      int16 // priority
	fd     uint32
	buf    uint64
	n      uint64
	off    int64
	_      uint64
	_, _   uint32
}

type ioEvent struct {
	data uint64
	_    uint64
	res  int64
	_    int64
}

const (
	iocbRead  = 0
	iocbWrite = 1
	iocbFsync = 2
)

// pieces is the most parts that a transfer is done in at once.
const pieces = 4

// kaio is a libaio context, without the library.
type kaio struct{ ctx uintptr }

func (a *kaio) setup() unix.Errno {
	if a.ctx != 0 {
		return 0
	}
	_, _, e := unix.Syscall(unix.SYS_IO_SETUP, pieces, uintptr(unsafe.Pointer(&a.ctx)), 0)
	return e
}

// rw transfers the parts of b at once and returns what each came to.
func (a *kaio) rw(opcode uint16, fd int, parts [][]byte, off int64) ([]int64, unix.Errno) {
	if e := a.setup(); e != 0 {
		return nil, e
	}
	var cbs [pieces]iocb
	var ptrs [pieces]*iocb
	for i, p := range parts {
		cbs[i] = iocb{data: uint64(i), opcode: opcode, fd: uint32(fd), off: off}
		if len(p) > 0 {
			cbs[i].buf, cbs[i].n = uint64(uring.Address(p)), uint64(len(p))
		}
		ptrs[i] = &cbs[i]
		off += int64(len(p))
	}
	for done := 0; done < len(parts); {
		n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, a.ctx, uintptr(len(parts)-done), uintptr(unsafe.Pointer(&ptrs[done])))
		if e != 0 && (done == 0 || e != unix.EAGAIN && e != unix.EINTR) {
			return nil, e // the others, if any, end with the process
		}
		done += int(n)
	}
	runtime.KeepAlive(&cbs)
	res := make([]int64, len(parts))
	for got := 0; got < len(parts); {
		var ev [pieces]ioEvent
		want := len(parts) - got
		n, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, a.ctx, uintptr(want), uintptr(want), uintptr(unsafe.Pointer(&ev)), 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return nil, e
		}
		for _, v := range ev[:n] {
			res[v.data] = v.res
		}
		got += int(n)
	}
	return res, 0
}

// ring is an io_uring.
type ring struct{ r *uring.Ring }

// rw is the same by io_uring.
func (g *ring) rw(opcode uint8, fd int, parts [][]byte, off int64) ([]int64, unix.Errno) {
	if g.r == nil {
		r, err := uring.Setup(pieces, uring.Options{})
		if err != nil {
			return nil, err.(*uring.Error).Err
		}
		g.r = r
	}
	for i, p := range parts {
		s := g.r.SQE()
		if opcode == uring.OpFsync {
			s.Fsync(fd, 0, uint64(i))
		} else {
			s.Rw(opcode, fd, uring.Address(p), len(p), off, uint64(i))
		}
		off += int64(len(p))
	}
	res := make([]int64, len(parts))
	for got := 0; got < len(parts); {
		if _, e := g.r.Enter(1); e != 0 && e != unix.EINTR {
			return nil, e
		}
		for c, ok := g.r.Next(); ok; c, ok = g.r.Next() {
			res[c.UserData] = int64(c.Res)
			got++
		}
	}
	return res, 0
}
