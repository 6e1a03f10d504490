package hostile

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// source reads a program. Behind the end everything is zero.
type source struct{ b []byte }

func (s *source) done() bool { return len(s.b) == 0 }

func (s *source) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

// take returns n bytes, fewer at the end.
func (s *source) take(n int) []byte {
	n = min(n, len(s.b))
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

// edges are the numbers at which sizes, offsets and ids go wrong.
var edges = [...]uint64{
	0, 1, 2, 3, 4, 5, 7, 8, 16, 40, 80, 100, 255, 256, 511, 512, 1000, 1023, 1024, 4095, 4096, 4097, 8192,
	65535, 65536, 65537, 1 << 20, 1<<20 + 1, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 4096, 1<<32 - 1, 1 << 32, 1<<32 + 1,
	1 << 40, 1<<62 - 1, 1 << 62, 1<<63 - 65536, 1<<63 - 4096, 1<<63 - 2, 1<<63 - 1, 1 << 63, 1<<63 + 1, 1<<64 - 4096, 1<<64 - 2, 1<<64 - 1,
}

// number is an edge, a small number, or 8 bytes of the program.
func (s *source) number() uint64 {
	switch b := s.byte(); {
	case b < 0x80:
		return edges[int(b)%len(edges)]
	case b < 0xf0:
		return uint64(b - 0x80)
	default:
		var v [8]byte
		copy(v[:], s.take(8))
		return binary.LittleEndian.Uint64(v[:])
	}
}

// pick is one of known, or a number that is made up.
func (s *source) pick(known []uint64) uint64 {
	b := s.byte()
	if b < 0xe0 && len(known) > 0 {
		return known[int(b)%len(known)]
	}
	return s.number()
}

// badNames are names that no kernel sends, and some at the limits.
var badNames = [...][]byte{
	{}, []byte("."), []byte(".."), []byte("/"), []byte("a/b"), []byte("d/.."), []byte("../secret"), []byte("../../etc/passwd"),
	[]byte("/etc/passwd"), []byte("a\x00b"), []byte("\x00"), []byte("..\x00"), []byte("../secret\x00x"), []byte("\xff\xfe"),
	[]byte("a "), []byte("..."), bytes.Repeat([]byte("n"), 255), bytes.Repeat([]byte("n"), 256),
	bytes.Repeat([]byte("n"), 1024), bytes.Repeat([]byte("n"), 4095), bytes.Repeat([]byte("n"), 4096), bytes.Repeat([]byte("../"), 2000),
	[]byte("self"), []byte("fd/3"), []byte("d//f"), []byte("d/./f"),
}

// name is one of good, a bad one, or bytes of the program.
func (s *source) name(good []string) []byte {
	switch b := s.byte(); {
	case b < 0xa0 && len(good) > 0:
		return []byte(good[int(b)%len(good)])
	case b < 0xe0:
		return badNames[int(b)%len(badNames)]
	default:
		return s.take(int(b & 31))
	}
}

var targets = [...]string{
	"../secret", "/etc/passwd", "..", "/proc/self/root", "/proc/self/fd/3", "f", "d", "/", ".", "", "../secretdir/inner", strings.Repeat("t", 4095), strings.Repeat("t", 4096), strings.Repeat("../", 1300),
}

var attrNames = [...]string{
	"user.a", "user.b", "user.", "", "trusted.x", "security.capability", "security.selinux", "system.posix_acl_access",
	"system.posix_acl_default", "user." + strings.Repeat("x", 250), "user." + strings.Repeat("x", 300), "a\x00b", "nonsense", strings.Repeat("y", 4096), "user.overlay.x", "../secret",
}
