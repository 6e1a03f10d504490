package main

// helpText is the output of --help.
func helpText() []byte {
	b := append([]byte(nil), "usage: passthrough [option ...] SRC MNT\n\n"+
		"Serves the directory SRC on the directory MNT. Options may also follow.\n\n"...)
	for i := range longs {
		l := &longs[i]
		at := len(b)
		if l.short != "" {
			b = append(b, "  -"+l.short+", --"...)
		} else {
			b = append(b, "      --"...)
		}
		b = append(b, l.name...)
		if l.arg != "" {
			b = append(b, "="+l.arg...)
		}
		for b = append(b, ' '); len(b)-at < 34; {
			b = append(b, ' ')
		}
		b = append(append(b, l.help...), '\n')
	}
	b = append(b, "  -o NAME[=VALUE],...             each of the above (allow_other, cache=never, ...), and:\n"...)
	var words []string
	for i := range mountFlags {
		words = append(words, mountFlags[i].name)
	}
	b = wrap(b, append(words, "(as mount(8); default nosuid nodev)"))
	b = wrap(b, append(forOthers[:len(forOthers):len(forOthers)], "comment= user= x-* (no effect here)"))
	return append(b, "\nUnmount with umount MNT or fusermount3 -u MNT, or end it with SIGTERM.\n"+
		"SIGUSR1 prints what is in service. Exit status: 0, 1 on failure, 2 on wrong usage.\n"...)
}

// wrap appends words on lines of 78 columns.
func wrap(b []byte, words []string) []byte {
	col := 0
	for _, w := range words {
		if col == 0 || col+1+len(w) > 78 {
			if col > 0 {
				b = append(b, '\n')
			}
			b = append(b, "         "...)
			col = 9
		}
		b = append(append(b, ' '), w...)
		col += 1 + len(w)
	}
	return append(b, '\n')
}
