package uring

import (
	"unsafe"

	"github.com/fusewire/fusewire/sg/unix"
)

// This file and call.go are the package's only ones with unsafe expressions
// (ring.go and register.go hold pointers, and pass them on). Soundness: the
// three mappings are memory of the kernel's, which the collector neither moves
// nor frees, mapped from Setup to Close; offsets into them are the kernel's own,
// and indexes are masked by the queue's size, so that every view lies inside.
// Words are 4-byte, entries 16-byte aligned: mappings begin at a page, and the
// kernel keeps the rest. A Ring is not used after Close, but for Close.

// The kernel's layout, or no build: an array of negative length otherwise.
type (
	_ [unsafe.Sizeof(SQE{}) - 64]byte
	_ [64 - unsafe.Sizeof(SQE{})]byte
	_ [unsafe.Sizeof(SQE128{}) - 128]byte
	_ [128 - unsafe.Sizeof(SQE128{})]byte
	_ [unsafe.Sizeof(CQE{}) - 16]byte
	_ [16 - unsafe.Sizeof(CQE{})]byte
	_ [unsafe.Sizeof(params{}) - 120]byte
	_ [120 - unsafe.Sizeof(params{})]byte
	_ [unsafe.Sizeof(eventsArg{}) - 24]byte
	_ [24 - unsafe.Sizeof(eventsArg{})]byte
	_ [unsafe.Sizeof(timespec{}) - 16]byte
	_ [16 - unsafe.Sizeof(timespec{})]byte
	_ [unsafe.Sizeof(rsrcRegister{}) - 32]byte
	_ [32 - unsafe.Sizeof(rsrcRegister{})]byte
	_ [unsafe.Sizeof(rsrcUpdate{}) - 16]byte
	_ [16 - unsafe.Sizeof(rsrcUpdate{})]byte
	_ [unsafe.Sizeof(rsrcUpdate2{}) - 32]byte
	_ [32 - unsafe.Sizeof(rsrcUpdate2{})]byte
	_ [unsafe.Sizeof(probeHead{}) - 16]byte
	_ [16 - unsafe.Sizeof(probeHead{})]byte
	_ [unsafe.Sizeof(probeOp{}) - 8]byte
	_ [8 - unsafe.Sizeof(probeOp{})]byte
	_ [unsafe.Offsetof(SQE{}.UserData) - 32]byte
	_ [32 - unsafe.Offsetof(SQE{}.UserData)]byte
	_ [unsafe.Offsetof(SQE{}.SpliceFD) - 44]byte
	_ [44 - unsafe.Offsetof(SQE{}.SpliceFD)]byte
	_ [unsafe.Offsetof(SQE{}.Addr3) - 48]byte
	_ [48 - unsafe.Offsetof(SQE{}.Addr3)]byte
	_ [unsafe.Offsetof(params{}.sq) - 40]byte
	_ [40 - unsafe.Offsetof(params{}.sq)]byte
)

type mapping struct {
	p unsafe.Pointer
	n uintptr
}

func (r *Ring) mmap(i int, off int64, n uintptr) (unsafe.Pointer, unix.Errno) {
	p, err := unix.MmapPtr(r.fd, off, nil, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, errno(err)
	}
	r.maps[i] = mapping{p, n}
	return p, 0
}

func (r *Ring) unmap() {
	for i, m := range r.maps {
		if m.p != nil {
			_ = unix.MunmapPtr(m.p, m.n)
			r.maps[i] = mapping{}
		}
	}
}

// attach maps the queues and points r into them.
func (r *Ring) attach(p *params) unix.Errno {
	sqSize := uintptr(p.sq.flags) + 4
	if p.flags&SetupNoSQArray == 0 {
		sqSize = uintptr(p.sq.array) + uintptr(p.sqEntries)*4
	}
	r.sqeShift = 6
	if p.flags&SetupSQE128 != 0 {
		r.sqeShift = 7
	}
	cqSize := uintptr(p.cq.cqes) + uintptr(p.cqEntries)*unsafe.Sizeof(CQE{})
	single := p.features&FeatSingleMmap != 0
	if single {
		sqSize = max(sqSize, cqSize)
	}
	sq, errno := r.mmap(0, offSQRing, sqSize)
	if errno != 0 {
		return errno
	}
	cq := sq
	if !single {
		if cq, errno = r.mmap(1, offCQRing, cqSize); errno != 0 {
			return errno
		}
	}
	if r.sqes, errno = r.mmap(2, offSQEs, uintptr(p.sqEntries)<<r.sqeShift); errno != 0 {
		return errno
	}
	r.sqHead, r.sqTail = word(sq, p.sq.head), word(sq, p.sq.tail)
	r.sqFlags, r.sqDropped = word(sq, p.sq.flags), word(sq, p.sq.dropped)
	r.sqEntries, r.sqMask = p.sqEntries, p.sqEntries-1
	r.cqHead, r.cqTail, r.cqOverflow = word(cq, p.cq.head), word(cq, p.cq.tail), word(cq, p.cq.overflow)
	r.cqEntries, r.cqMask = p.cqEntries, p.cqEntries-1
	r.cqes = unsafe.Add(cq, p.cq.cqes)
	if p.flags&SetupNoSQArray == 0 {
		// Entries are submitted in the order they are taken, so the indirection
		// is the identity, once and for all.
		for i := range p.sqEntries {
			*word(sq, p.sq.array+4*i) = i
		}
	}
	return 0
}

func word(base unsafe.Pointer, off uint32) *uint32 { return (*uint32)(unsafe.Add(base, off)) }

func (r *Ring) sqe(i uint32) *SQE { return (*SQE)(unsafe.Add(r.sqes, uintptr(i)<<r.sqeShift)) }

func (r *Ring) wide(i uint32) *SQE128 {
	return (*SQE128)(unsafe.Add(r.sqes, uintptr(i)<<r.sqeShift))
}

func (r *Ring) cqe(i uint32) *CQE { return (*CQE)(unsafe.Add(r.cqes, uintptr(i)*unsafe.Sizeof(CQE{}))) }

// SetCmdOp sets cmd_op of a command, the four bytes at 8, which are the first
// half of Off in either byte order.
func (s *SQE) SetCmdOp(op uint32) {
	s.Off = 0
	*(*uint32)(unsafe.Pointer(&s.Off)) = op
}

// Cmd returns the area of a command, at 48.
func (s *SQE128) Cmd() *[CmdSize]byte { return (*[CmdSize]byte)(unsafe.Pointer(&s.Addr3)) }

// Address returns b's address for an SQE. See the package's comment for what may
// be pointed to.
func Address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// IovecAddress returns the address of the first of v for an SQE.
func IovecAddress(v []unix.Iovec) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(v))) }
