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
	return wrapWords(b)
}

// wrapWords appends the words that -o knows besides, and the notes at the end.
func wrapWords(b []byte) []byte {
	col := 0
	put := func(w string) {
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
	for i := range mountFlags {
		put(mountFlags[i].name)
	}
	put("(as mount(8); default nosuid nodev)")
	b = append(b, '\n')
	col = 0
	for _, w := range forOthers {
		put(w)
	}
	put("comment= user= x-* (no effect here)")
	return append(b, "\n\nUnmount with umount MNT or fusermount3 -u MNT, or end it with SIGTERM.\n"+
		"SIGUSR1 prints what is in service. Exit status: 0, 1 on failure, 2 on wrong usage.\n"...)
}
