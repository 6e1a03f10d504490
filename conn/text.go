package conn

import "strings"

// What is needed of text here. strings.Cut with a string to cut at, TrimSpace,
// and strconv.Atoi with its error would be 40 KB of a program.

// cut returns what is before and behind the first sep.
func cut(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// trim takes spaces and control characters off both ends.
func trim(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// number reads an unsigned decimal number of 31 bits.
func number(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 || n > (1<<31-1-int(c))/10 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, s != ""
}
