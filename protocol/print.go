package protocol

import (
	"strconv"
	"unicode/utf8"
)

// field is one field of a description, split up.
type field struct {
	name  string
	typ   byte
	key   byte // behind f, F and {
	count int  // of a reserved field
}

// nextField takes the first field off a description.
func nextField(d string) (f field, rest string) {
	i := 0
	for d[i] != ':' {
		i++
	}
	f.name, f.typ = d[:i], d[i+1]
	f.count = 0
	for i += 2; i < len(d) && d[i] != ' '; i++ {
		f.key = d[i]
		f.count = f.count*10 + int(d[i]-'0')
	}
	if f.key == 0 {
		f.count = 1
	}
	return f, d[min(i+1, len(d)):]
}

// width returns the bytes of one element.
func (f *field) width() int {
	switch f.typ {
	case 'U', 'X', 'I', 'N', 'F', 'P':
		return 8
	case 'w', 'q', 'h':
		return 2
	case 'b':
		return 1
	case '{':
		return int(structSize[nested(f.key)])
	}
	return 4
}

// appendFields appends the struct of kind k at the start of b as
// "(name=value name=value)". It ends with the last field that b holds whole.
func appendFields(dst []byte, k kind, b []byte) []byte {
	dst = append(dst, '(')
	first := true
	for d := describe[k]; d != ""; {
		var f field
		f, d = nextField(d)
		w := f.width()
		n := w
		if f.reserved() {
			n *= f.count
		}
		if len(b) < n {
			break
		}
		if !f.reserved() || !zero(b[:n]) {
			if !first {
				dst = append(dst, ' ')
			}
			first = false
			dst = append(add(dst, f.name), '=')
			dst = f.appendValue(dst, b[:n])
		}
		b = b[n:]
	}
	return append(dst, ')')
}

// reserved reports whether f is a field without a meaning.
func (f *field) reserved() bool {
	return f.typ == 'P' || f.typ == 'p' || f.typ == 'h' || f.typ == 'b'
}

func (f *field) appendValue(dst, b []byte) []byte {
	var v uint64
	switch f.width() {
	case 8:
		v = load64(b)
	case 4:
		v = uint64(load32(b))
	case 2:
		v = uint64(load16(b))
	}
	switch f.typ {
	case 'U', 'u', 'w':
		return strconv.AppendUint(dst, v, 10)
	case 'X', 'x':
		return appendHex(dst, v)
	case 'I':
		return strconv.AppendInt(dst, int64(v), 10)
	case 'i':
		return strconv.AppendInt(dst, int64(int32(v)), 10)
	case 'N':
		return appendUnique(dst, v)
	case 'o', 'q':
		return appendOctal(dst, v)
	case 'f', 'F':
		return flagKeys(f.key).AppendText(dst, v)
	case '{':
		return appendFields(dst, nested(f.key), b)
	}
	// A reserved field, in its bytes.
	const digits = "0123456789abcdef"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// appendOctal appends v with a leading zero, like C.
func appendOctal(dst []byte, v uint64) []byte {
	if v != 0 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, v, 8)
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// The helpers below stay calls: inlined some fifty times, they would be 10 KB of
// a program that prints.

// appendUnique appends an id, with "|RESEND" for the bit that marks a request
// sent again.
//
//go:noinline
func appendUnique(dst []byte, u uint64) []byte {
	if u&UniqueResend != 0 {
		return add(strconv.AppendUint(dst, u&^UniqueResend, 10), "|RESEND")
	}
	return strconv.AppendUint(dst, u, 10)
}

// appendInt appends " name=v".
//
//go:noinline
func appendInt(dst []byte, name string, v int) []byte {
	return strconv.AppendInt(appendName(dst, name), int64(v), 10)
}

// appendUint appends " name=v".
//
//go:noinline
func appendUint(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), v, 10)
}

// appendString appends ` name="v"`.
//
//go:noinline
func appendString(dst []byte, name string, v []byte) []byte {
	return appendQuoted(appendName(dst, name), v)
}

// appendName appends " name=".
//
//go:noinline
func appendName(dst []byte, name string) []byte {
	return append(add(append(dst, ' '), name), '=')
}

// appendQuoted appends b between double quotes. Printable characters stand for
// themselves, a quote and a backslash have a backslash before them, and all
// other bytes, also those of characters that do not show or turn the line
// around, are \x and two digits. (strconv.AppendQuote takes a string, so would
// allocate, and its tables of characters cost 10 KB.)
func appendQuoted(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for len(b) > 0 {
		c := b[0]
		n := 1
		show := c >= ' ' && c < 0x7f
		if c >= utf8.RuneSelf {
			var r rune
			r, n = utf8.DecodeRune(b)
			show = r != utf8.RuneError && shows(r)
		}
		for _, c := range b[:n] {
			switch {
			case !show:
				dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			default:
				dst = append(dst, c)
			}
		}
		b = b[n:]
	}
	return append(dst, '"')
}

// shows reports whether r, which is not ASCII, may be printed: not the C1
// controls, the characters of no width, line and paragraph separators, changes of
// direction, the byte order mark, and private use.
func shows(r rune) bool {
	switch {
	case r <= 0xa0, r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xffff, r >= 0xe000 && r <= 0xf8ff, r >= 0xe0000:
		return false
	}
	return true
}
