package main

// helpText is the output of --help.
func helpText() []byte {
	b := add(nil, "usage: passthrough [option ...] SRC MNT\n\n"+
		"Serves the directory SRC on the directory MNT. Options may also follow.\n\n")
	for i := range longs {
		l := &longs[i]
		short, eq := "      --", ""
		if l.short != "" {
			short = "  -" + l.short + ", --"
		}
		if l.arg != "" {
			eq = "="
		}
		at := len(b)
		b = add(b, short, l.name, eq, l.arg, " ")
		b = add(b, "                                  "[min(len(b)-at, 34):], l.help, "\n")
	}
	b = add(b, "  -o NAME[=VALUE],...             each of the above (allow_other, cache=never, ...), and:\n")
	var words []string
	for i := range mountFlags {
		words = append(words, mountFlags[i].name)
	}
	b = wrap(b, append(words, "(as mount(8); default nosuid nodev)"))
	b = wrap(b, append(forOthers[:len(forOthers):len(forOthers)], "comment= user= x-* (no effect here)"))
	return add(b, "\nUnmount with umount MNT or fusermount3 -u MNT, or end it with SIGTERM.\n"+
		"SIGUSR1 prints what is in service. Exit status: 0, 1 on failure, 2 on wrong usage.\n")
}

// add appends strings. It stays a call: in line each would be 80 bytes of a program.
//
//go:noinline
func add(b []byte, list ...string) []byte {
	for _, s := range list {
		b = append(b, s...)
	}
	return b
}

// wrap appends words on lines of 78 columns.
func wrap(b []byte, words []string) []byte {
	b, col := add(b, "         "), 9
	for _, w := range words {
		before := " "
		if col+1+len(w) > 78 {
			before, col = "\n          ", 9
		}
		b = add(b, before, w)
		col += 1 + len(w)
	}
	return add(b, "\n")
}
