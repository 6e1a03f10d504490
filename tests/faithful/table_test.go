package faithful

import (
	"regexp"
	"slices"

	"github.com/fusewire/fusewire/protocol"
)

// differences are the requests in which Linux and conntest may differ. Everything
// else must agree.
var differences = []struct {
	reason string
	in     func(*mode) bool
	lines  *regexp.Regexp // left out of the comparison, on both sides
}{
	{
		"With the write-back cache times are sent if they have changed, and Linux sees that with the resolution of its tick, " +
			"1 to 10 ms: two writes in one tick change them once. conntest's clock stands still, and each change counts.",
		func(m *mode) bool { return m.want&protocol.InitWritebackCache != 0 },
		regexp.MustCompile(`^SETATTR .* valid=0x4[26]0 `), // CTIME, MTIME, and FH if somebody writes
	},
}

// allowed returns the lines that must agree.
func allowed(m *mode, lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		for i := range differences {
			if d := &differences[i]; d.in(m) && d.lines.MatchString(l) {
				return true
			}
		}
		return false
	})
}
