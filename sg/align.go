package sg

import "github.com/fusewire/fusewire/sg/unix"

// Align splits the n bytes from offset off on at the boundaries of blocks: head
// ends at the first boundary, body is whole blocks, tail is less than one. A
// range that reaches no boundary is all head; one of whole blocks, all body.
// The sum is n, or everything is 0 if n, off or block make no sense.
//
//	          off                           off+n
//	───────┼───┬───┼───────┼───────┼───────┼──┬────┼──
//	           │head│ body                 │tail│      each ┼ a multiple of block
func Align(off int64, n, block int) (head, body, tail int) {
	if n <= 0 || off < 0 || block <= 0 {
		return 0, 0, 0
	}
	if r := int(off % int64(block)); r != 0 {
		head = min(n, block-r)
	}
	tail = (n - head) % block
	return head, n - head - tail, tail
}

// SplitAligned appends to head, body and tail, which must be three others, what
// [Align] says of v transferred at offset off. It fails with EINVAL if off or
// block makes no sense.
func (v *Vec) SplitAligned(off int64, block int, head, body, tail *Vec) error {
	if block <= 0 || !validRange(off, v.n) || head == v || body == v || tail == v {
		return unix.EINVAL
	}
	h, b, t := Align(off, v.n, block)
	if !head.fits(h) || !body.fits(b) || !tail.fits(t) {
		return ErrTooLong
	}
	_ = v.Slice(head, 0, h) // all three were just checked
	_ = v.Slice(body, h, b)
	_ = v.Slice(tail, h+b, t)
	return nil
}

// Aligned says whether every segment starts and ends on a multiple of block in
// memory, or in its file, as direct I/O wants it.
func (v *Vec) Aligned(block int) bool {
	if block <= 0 {
		return false
	}
	for _, s := range v.Segs() {
		start := s.Off % int64(block)
		if s.Mem != nil {
			start = int64(address(s.Mem) % uintptr(block))
		}
		if start != 0 || s.Len%block != 0 {
			return false
		}
	}
	return true
}

// validRange says whether the kernel can count n bytes from off on.
func validRange(off int64, n int) bool { return off >= 0 && n >= 0 && off+int64(n) >= off }
