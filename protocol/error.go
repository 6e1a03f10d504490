package protocol

import (
	"strconv"
	"syscall"
)

// Error is the one error of this package: bytes that do not form the message
// they should. It unwraps to EINVAL.
type Error struct {
	What string // the part that is wrong: "in_header", "argument", "name", "data", ...
	Op   Opcode // the message's opcode, 0 if unknown
	Need int    // bytes, or the alignment or value, that were needed
	Off  int    // offset of the part in the message
	Have int    // what was there instead
}

// Error formats e as `protocol: LOOKUP: name: need 1 at offset 40, have 0`.
func (e *Error) Error() string {
	b := add(make([]byte, 0, 80), "protocol: ")
	if e.Op != 0 {
		b = add(e.Op.AppendText(b), ": ")
	}
	b = add(add(b, e.What), ": need ")
	b = add(strconv.AppendInt(b, int64(e.Need), 10), " at offset ")
	b = add(strconv.AppendInt(b, int64(e.Off), 10), ", have ")
	return string(strconv.AppendInt(b, int64(e.Have), 10))
}

// Unwrap returns EINVAL, what the kernel answers to a message it cannot parse.
func (e *Error) Unwrap() error { return syscall.EINVAL }
