package main

import "strings"

// strings.Cut and Split, which can cut at more than a byte, and strconv.Atoi,
// for its error, would be 20 KB of program.

// cut returns what is before and behind the first sep.
func cut(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// decimal reads an unsigned number of 31 bits.
func decimal(s string) (n uint64, ok bool) {
	for i := 0; i < len(s); i++ {
		c := uint64(s[i] - '0')
		n = n*10 + c
		if c > 9 || n > 1<<31-1 {
			return 0, false
		}
	}
	return n, s != ""
}
