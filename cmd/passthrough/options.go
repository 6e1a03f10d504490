package main

import (
	"strings"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/sg/clock"
	"github.com/fusewire/fusewire/sg/unix"
	"github.com/fusewire/fusewire/wb"
)

// version is printed by --version.
const version = "0.1"

// options is a command line.
type options struct {
	src, mnt string

	help, version     bool
	foreground, debug bool
	logFile           string
	nofile            uint64 // RLIMIT_NOFILE, 0: as high as allowed

	bdi [len(bdiFiles)]string // "": as it is

	mount   conn.MountOptions
	channel conn.Options
	fs      passfs.Options
	wb      bool
	cache   wb.Config
}

// parse reads a command line without the program's name. The error is for the
// user, and means exit status 2.
func parse(args []string) (*options, error) {
	o := &options{fs: passfs.DefaultOptions()}
	o.mount.Flags = conn.DefaultMountFlags
	o.mount.DefaultPermissions = true
	o.mount.Subtype = "passthrough"
	var names []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		var err error
		switch {
		case a == "--":
			names = append(names, args[i+1:]...)
			i = len(args)
		case strings.HasPrefix(a, "--"):
			name, val, has := cut(a[2:], '=')
			arg, known := takes(name)
			switch {
			case !known:
				err = usage("unknown option --" + name)
			case arg == "" && has:
				err = usage("--" + name + " takes no value")
			case arg != "" && !has && i+1 == len(args):
				err = usage("--" + name + " needs a value (" + arg + ")")
			case arg != "" && !has:
				i++
				val = args[i]
				fallthrough
			default:
				err = o.apply(name, val, "--"+name)
			}
		case len(a) > 1 && a[0] == '-':
			i, err = o.shorts(args, i)
		default:
			names = append(names, a)
		}
		if err != nil {
			return nil, err
		}
		if o.help || o.version {
			return o, nil
		}
	}
	switch {
	case len(names) == 0:
		return nil, usage("SRC and MNT are missing")
	case len(names) == 1:
		return nil, usage("MNT is missing")
	case len(names) > 2:
		return nil, usage("too many arguments: " + names[2])
	}
	o.src, o.mnt = names[0], names[1]
	if o.mount.FSName == "" {
		o.mount.FSName = o.src
	}
	o.fs.ReadOnly = o.mount.Flags&unix.MS_RDONLY != 0
	if o.channel.CongestionThreshold != 0 && o.channel.MaxBackground != 0 && o.channel.CongestionThreshold > o.channel.MaxBackground {
		return nil, usage("--congestion-threshold is above --max-background")
	}
	if o.fs.Writeback && (o.fs.DirectIO || o.fs.Cache == passfs.CacheNever || o.fs.Cache == passfs.CacheMetadata) {
		return nil, usage("--writeback needs the page cache: not with --direct-io, --cache=never or --cache=metadata")
	}
	if !o.wb && (o.cache.Bytes != 0 || o.cache.Age != nil) {
		return nil, usage("--wb-cache-size and --wb-cache-age need --wb-cache")
	}
	if o.fs.Writeback && o.wb {
		return nil, usage("--writeback and --wb-cache are two caches for one thing: choose one")
	}
	if o.fs.Unchecked && o.mount.AllowOther {
		return nil, usage("--no-default-permissions is for a mount of one user's own: not with --allow-other")
	}
	return o, nil
}

// usage is a mistake on the command line.
type usage string

func (u usage) Error() string { return string(u) }

// shorts reads args[i], one-letter options, and returns the index of the last
// argument it used.
func (o *options) shorts(args []string, i int) (int, error) {
	for a := args[i][1:]; a != ""; a = a[1:] {
		if a[0] == 'o' {
			list := a[1:]
			if list == "" {
				if i++; i == len(args) {
					return i, usage("-o needs a value (NAME[=VALUE],...)")
				}
				list = args[i]
			}
			return i, o.list(list)
		}
		name := ""
		for n := range longs {
			if longs[n].short == a[:1] {
				name = longs[n].name
			}
		}
		if name == "" {
			return i, usage("unknown option -" + a[:1])
		}
		if err := o.apply(name, "", "-"+a[:1]); err != nil {
			return i, err
		}
	}
	return i, nil
}

// list reads what follows -o: words and NAME=VALUE, with commas between, and a
// backslash before a comma or backslash that is meant.
func (o *options) list(s string) error {
	var word []byte
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != ',' {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			word = append(word, s[i])
			continue
		}
		if len(word) > 0 {
			if err := o.word(string(word)); err != nil {
				return err
			}
		}
		word = word[:0]
	}
	return nil
}

// word is one word after -o.
func (o *options) word(w string) error {
	for i := range mountFlags {
		if f := &mountFlags[i]; f.name == w {
			o.mount.Flags = o.mount.Flags&^f.clear | f.set
			return nil
		}
	}
	for _, s := range forOthers {
		if s == w {
			return nil
		}
	}
	name, val, has := cut(w, '=')
	switch {
	case strings.HasPrefix(w, "x-"), strings.HasPrefix(w, "X-"), has && (name == "comment" || name == "user"):
		return nil
	case w == "remount":
		return usage("-o remount: done by the kernel alone, use mount -i -o remount,...")
	}
	long := hyphens(name)
	arg, known := takes(long)
	switch {
	case !known:
		return usage("unknown option -o " + name)
	case arg == "" && has:
		return usage("-o " + name + " takes no value")
	case arg != "" && !has:
		return usage("-o " + name + " needs a value (" + arg + ")")
	}
	return o.apply(long, val, "-o "+name)
}

// takes returns what kind of value a long option takes, "" for none.
func takes(name string) (arg string, known bool) {
	for i := range longs {
		if longs[i].name == name {
			return longs[i].arg, true
		}
	}
	return "", false
}

// apply does what one option says. as is how the user wrote it.
func (o *options) apply(name, val, as string) error {
	bad := func(want string) error { return usage(as + ": '" + val + "' is not " + want) }
	switch name {
	case "help":
		o.help = true
	case "version":
		o.version = true
	case "foreground":
		o.foreground = true
	case "debug":
		o.debug, o.foreground = true, true
	case "readonly":
		o.mount.Flags |= unix.MS_RDONLY
	case "allow-other":
		o.mount.AllowOther = true
	case "default-permissions":
		o.mount.DefaultPermissions, o.fs.Unchecked = true, false
	case "no-default-permissions":
		o.mount.DefaultPermissions, o.fs.Unchecked = false, true
	case "local-locks":
		o.fs.LocalLocks = true
	case "auto-unmount":
		o.mount.AutoUnmount = true
	case "writeback", "writeback-cache":
		o.fs.Writeback = true
	case "nopassthrough":
		o.fs.NoPassthrough = true
	case "direct-io":
		o.fs.DirectIO = true
	case "single-thread":
		o.channel.Threads, o.channel.IdleThreads = 1, 1
	case "io-uring":
		o.channel.Transport = conn.TransportURing
	case "transport":
		switch val {
		case "dev":
			o.channel.Transport = conn.TransportDev
		case "uring":
			o.channel.Transport = conn.TransportURing
		case "auto":
			o.channel.Transport = conn.TransportAuto
		default:
			return bad("auto, dev or uring")
		}
	case "zero-copy":
		switch val {
		case "off":
			o.channel.ZeroCopy = conn.ZeroCopyOff
		case "auto":
			o.channel.ZeroCopy = conn.ZeroCopyAuto
		case "on":
			o.channel.ZeroCopy = conn.ZeroCopyOn
		default:
			return bad("auto, on or off")
		}
	case "clone-fd":
		o.channel.Clone = true
	case "log-file", "fsname", "subtype":
		if val == "" {
			return usage(as + ": the name is empty")
		}
		switch name {
		case "log-file":
			o.logFile = val
		case "fsname":
			o.mount.FSName = val
		default:
			o.mount.Subtype = val
		}
	case "cache":
		switch val {
		case "never":
			o.fs.Cache = passfs.CacheNever
		case "metadata":
			o.fs.Cache = passfs.CacheMetadata
		case "auto":
			o.fs.Cache = passfs.CacheAuto
		case "always":
			o.fs.Cache = passfs.CacheAlways
		default:
			return bad("never, metadata, auto or always")
		}
	case "parallel-direct-writes":
		switch val {
		case "auto":
			o.fs.Parallel = passfs.ParallelAuto
		case "always":
			o.fs.Parallel = passfs.ParallelAlways
		case "never":
			o.fs.Parallel = passfs.ParallelNever
		default:
			return bad("auto, always or never")
		}
	case "wb-cache":
		o.wb, o.fs.LazyClose = val != "off", val == "lazy"
		if val != "off" && val != "on" && val != "lazy" {
			return bad("off, on or lazy")
		}
	case "xattr":
		switch val {
		case "passthrough":
			o.fs.Xattr = passfs.XattrPassthrough
		case "noattr":
			o.fs.Xattr = passfs.XattrNoAttr
		case "nosys":
			o.fs.Xattr = passfs.XattrNoSys
		default:
			return bad("passthrough, noattr or nosys")
		}
	case "entry-timeout", "attr-timeout", "negative-timeout", "wb-cache-age":
		d, ok := seconds(val)
		if !ok {
			return bad("a number of seconds")
		}
		switch name {
		case "entry-timeout":
			o.fs.EntryTimeout = d
		case "attr-timeout":
			o.fs.AttrTimeout = d
		case "wb-cache-age":
			o.cache.Age = max(d, 1)
		default:
			o.fs.NegativeTimeout = d
		}
	default:
		return o.number(name, val, bad)
	}
	return nil
}

// number applies the options whose value is a whole number.
func (o *options) number(name, val string, bad func(string) error) error {
	least, most, want := uint64(1), uint64(65535), "a number from 1 to 65535"
	digits, unit := val, uint64(1)
	switch name {
	case "num-threads", "io-uring-q-depth":
		most, want = 1024, "a number from 1 to 1024"
	case "max-read", "max-write", "wb-cache-size":
		least, most, want = 4096, 64<<20, "a size from 4096 to 64M"
		if name == "wb-cache-size" {
			least, most, want = 1<<20, 1<<30, "a size from 1M to 1024M"
		}
		if n := len(val) - 1; n >= 0 {
			switch val[n] {
			case 'k', 'K':
				digits, unit = val[:n], 1<<10
			case 'm', 'M':
				digits, unit = val[:n], 1<<20
			}
		}
	case "rlimit-nofile":
		least, most, want = 64, 1<<30, "a number from 64 to 1073741824"
	case "max-ratio":
		most, want = 100, "a number from 1 to 100"
	case "strict-limit":
		least, most, want = 0, 1, "0 or 1"
	case "read-ahead-kb":
		least, most, want = 0, 1<<20, "a number from 0 to 1048576"
	}
	n, ok := decimal(digits)
	if n *= unit; !ok || n < least || n > most {
		return bad(want)
	}
	switch name {
	case "num-threads":
		o.channel.Threads = int(n)
	case "io-uring-q-depth":
		o.channel.RingDepth = int(n)
	case "max-read":
		o.mount.MaxRead = uint32(n)
	case "max-write":
		o.channel.MaxWrite = uint32(n)
	case "wb-cache-size":
		o.cache.Bytes = int(n)
	case "max-background":
		o.channel.MaxBackground = uint16(n)
	case "congestion-threshold":
		o.channel.CongestionThreshold = uint16(n)
	case "rlimit-nofile":
		o.nofile = n
	case "max-ratio":
		o.bdi[0] = val
	case "strict-limit":
		o.bdi[1] = val
	case "read-ahead-kb":
		o.bdi[2] = val
	}
	return nil
}

// seconds reads a decimal number such as 1, 0.5 or .25. strconv.ParseFloat would
// be 30 KB of program.
func seconds(s string) (clock.Nanos, bool) {
	whole, frac, _ := cut(s, '.')
	if whole+frac == "" || len(frac) > 9 {
		return 0, false
	}
	n, ok1 := decimal("0" + whole)
	f, ok2 := decimal((frac + "000000000")[:9])
	return clock.Nanos(n)*clock.Second + clock.Nanos(f), ok1 && ok2
}

// hyphens puts a hyphen for each underscore.
func hyphens(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}
