package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fusewire/fusewire/conn"
	"github.com/fusewire/fusewire/ops/passfs"
	"github.com/fusewire/fusewire/sg/clock"
	"golang.org/x/sys/unix"
)

// defaults is what "SRC MNT" alone means.
func defaults() *options {
	o := &options{src: "SRC", mnt: "MNT", fs: passfs.DefaultOptions()}
	o.mount = conn.MountOptions{FSName: "SRC", Subtype: "passthrough", DefaultPermissions: true, Flags: unix.MS_NOSUID | unix.MS_NODEV}
	return o
}

func TestParse(t *testing.T) {
	const both = "SRC MNT "
	for _, c := range []struct {
		args string // split at spaces
		want func(o *options)
	}{
		{"SRC MNT", func(*options) {}},
		{"-- SRC MNT", func(*options) {}},
		{"SRC -f MNT", func(o *options) { o.foreground = true }},
		{"-f -- SRC -odd", func(o *options) { o.foreground, o.mnt = true, "-odd" }},
		{both + "-", nil},
		{both + "--foreground", func(o *options) { o.foreground = true }},
		{both + "-d", func(o *options) { o.debug, o.foreground = true, true }},
		{both + "--debug", func(o *options) { o.debug, o.foreground = true, true }},
		{both + "-o debug", func(o *options) { o.debug, o.foreground = true, true }},
		{both + "-s", func(o *options) { o.channel.Threads, o.channel.IdleThreads = 1, 1 }},
		{both + "-fs", func(o *options) { o.foreground = true; o.channel.Threads, o.channel.IdleThreads = 1, 1 }},
		{both + "--single-thread", func(o *options) { o.channel.Threads, o.channel.IdleThreads = 1, 1 }},
		{both + "-oallow_other", func(o *options) { o.mount.AllowOther = true }},
		{both + "-fo allow_other", func(o *options) { o.foreground, o.mount.AllowOther = true, true }},
		{both + "--allow-other", func(o *options) { o.mount.AllowOther = true }},
		{both + "-o default_permissions", func(*options) {}},
		{both + "--default-permissions", func(*options) {}},
		{both + "-o auto_unmount", func(o *options) { o.mount.AutoUnmount = true }},
		{both + "--auto-unmount", func(o *options) { o.mount.AutoUnmount = true }},
		{both + "--log-file l", func(o *options) { o.logFile = "l" }},
		{both + "-o log_file=l", func(o *options) { o.logFile = "l" }},
		{both + "--fsname=n --subtype=", nil},
		{both + "-o fsname=a=b,subtype=s", func(o *options) { o.mount.FSName, o.mount.Subtype = "a=b", "s" }},
		{both + `-o fsname=a\,b\\c,ro`, func(o *options) {
			o.mount.FSName = `a,b\c`
			o.mount.Flags |= unix.MS_RDONLY
			o.fs.ReadOnly = true
		}},
		{both + "--readonly", func(o *options) { o.mount.Flags |= unix.MS_RDONLY; o.fs.ReadOnly = true }},
		{both + "-o ro", func(o *options) { o.mount.Flags |= unix.MS_RDONLY; o.fs.ReadOnly = true }},
		{both + "-o ro,rw", func(*options) {}},
		{both + "--cache=never", func(o *options) { o.fs.Cache = passfs.CacheNever }},
		{both + "--cache metadata", func(o *options) { o.fs.Cache = passfs.CacheMetadata }},
		{both + "-o cache=always", func(o *options) { o.fs.Cache = passfs.CacheAlways }},
		{both + "--cache=never --cache=auto", func(*options) {}},
		{both + "--entry-timeout 1", func(o *options) { o.fs.EntryTimeout = clock.Nanos(time.Second) }},
		{both + "--attr-timeout=0.25", func(o *options) { o.fs.AttrTimeout = clock.Nanos(250 * time.Millisecond) }},
		{both + "-o negative_timeout=.5,attr_timeout=0,entry_timeout=2.", func(o *options) {
			o.fs.NegativeTimeout, o.fs.AttrTimeout, o.fs.EntryTimeout = clock.Nanos(500*time.Millisecond), clock.Nanos(0), clock.Nanos(2*time.Second)
		}},
		{both + "--writeback", func(o *options) { o.fs.Writeback = true }},
		{both + "--wb-cache=on --wb-cache-size=8M --wb-cache-age=0.5", func(o *options) {
			o.wb, o.cache.Bytes, o.cache.Age = true, 8<<20, clock.Nanos(500*time.Millisecond)
		}},
		{both + "-o wb_cache=lazy,wb_cache_age=0", func(o *options) { o.wb, o.fs.LazyClose, o.cache.Age = true, true, clock.Nanos(1) }},
		{both + "--wb-cache=lazy --wb-cache=off", func(o *options) {}},
		{both + "--nopassthrough", func(o *options) { o.fs.NoPassthrough = true }},
		{both + "-o nopassthrough", func(o *options) { o.fs.NoPassthrough = true }},
		{both + "-o writeback_cache", func(o *options) { o.fs.Writeback = true }},
		{both + "-o writeback,cache=always", func(o *options) { o.fs.Writeback, o.fs.Cache = true, passfs.CacheAlways }},
		{both + "--direct-io", func(o *options) { o.fs.DirectIO = true }},
		{both + "-o direct_io", func(o *options) { o.fs.DirectIO = true }},
		{both + "--parallel-direct-writes=always", func(o *options) { o.fs.Parallel = passfs.ParallelAlways }},
		{both + "-o parallel_direct_writes=never", func(o *options) { o.fs.Parallel = passfs.ParallelNever }},
		{both + "--parallel-direct-writes=never --parallel-direct-writes=auto", func(*options) {}},
		{both + "--xattr=noattr", func(o *options) { o.fs.Xattr = passfs.XattrNoAttr }},
		{both + "--xattr nosys", func(o *options) { o.fs.Xattr = passfs.XattrNoSys }},
		{both + "-o xattr=passthrough", func(*options) {}},
		{both + "--num-threads=4", func(o *options) { o.channel.Threads = 4 }},
		{both + "--local-locks", func(o *options) { o.fs.LocalLocks = true }},
		{both + "-o local_locks", func(o *options) { o.fs.LocalLocks = true }},
		{both + "--no-default-permissions", func(o *options) { o.mount.DefaultPermissions, o.fs.Unchecked = false, true }},
		{both + "-o no_default_permissions,default_permissions", func(*options) {}},
		{both + "--no-default-permissions --allow-other", nil},
		{both + "--transport=uring", func(o *options) { o.channel.Transport = conn.TransportURing }},
		{both + "--transport auto", func(o *options) { o.channel.Transport = conn.TransportAuto }},
		{both + "--transport=uring --transport=dev", func(o *options) {}},
		{both + "-o io_uring,io_uring_q_depth=4", func(o *options) {
			o.channel.Transport, o.channel.RingDepth = conn.TransportURing, 4
		}},
		{both + "--zero-copy=on", func(o *options) { o.channel.ZeroCopy = conn.ZeroCopyOn }},
		{both + "-o zero_copy=auto", func(o *options) { o.channel.ZeroCopy = conn.ZeroCopyAuto }},
		{both + "--zero-copy auto --zero-copy=off", func(*options) {}},
		{both + "--clone-fd", func(o *options) { o.channel.Clone = true }},
		{both + "-o clone_fd", func(o *options) { o.channel.Clone = true }},
		{both + "-o max_read=65536", func(o *options) { o.mount.MaxRead = 65536 }},
		{both + "--max-read 64k --max-write=2M", func(o *options) { o.mount.MaxRead, o.channel.MaxWrite = 65536, 2<<20 }},
		{both + "--max-background=20 --congestion-threshold=15", func(o *options) { o.channel.MaxBackground, o.channel.CongestionThreshold = 20, 15 }},
		{both + "--max-ratio=40 --strict-limit 0 --read-ahead-kb=1024", func(o *options) { o.bdi = [...]string{"40", "0", "1024"} }},
		{both + "-o max_ratio=100,strict_limit=1,read_ahead_kb=0", func(o *options) { o.bdi = [...]string{"100", "1", "0"} }},
		{both + "--max-ratio=0", nil},
		{both + "--max-ratio=101", nil},
		{both + "--strict-limit=2", nil},
		{both + "--read-ahead-kb=x", nil},
		{both + "--rlimit-nofile=1024", func(o *options) { o.nofile = 1024 }},
		// as mount.fuse3 calls it for a line of /etc/fstab
		{both + "-o rw,nosuid,nodev,dev,suid,noatime,x-systemd.automount,X-mount.mkdir,_netdev,nofail,noauto,auto,user,users,user=joe,nouser,owner,group,defaults,comment=x", func(o *options) {
			o.mount.Flags = unix.MS_NOATIME
		}},
		{both + "-o noexec,sync,dirsync,nodiratime,strictatime,lazytime,nosymfollow,relatime,silent,", func(o *options) {
			o.mount.Flags |= unix.MS_NOEXEC | unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC | unix.MS_NODIRATIME | unix.MS_STRICTATIME |
				unix.MS_LAZYTIME | unix.MS_NOSYMFOLLOW | unix.MS_RELATIME | unix.MS_SILENT
		}},
		{both + "-o noexec,sync,noatime,nodiratime,strictatime,lazytime,nosymfollow,relatime,silent,exec,async,atime,diratime,nostrictatime,nolazytime,symfollow,norelatime,loud", func(*options) {}},
	} {
		got, err := parse(strings.Split(c.args, " "))
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: accepted", c.args)
			}
			continue
		}
		want := defaults()
		c.want(want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", c.args, err, got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "SRC and MNT are missing",
		"-f":                              "SRC and MNT are missing",
		"a":                               "MNT is missing",
		"a b c":                           "too many arguments: c",
		"--nonsense a b":                  "unknown option --nonsense",
		"--nonsense=1 a b":                "unknown option --nonsense",
		"--entry_timeout=1 a b":           "unknown option --entry_timeout",
		"-x a b":                          "unknown option -x",
		"-fx a b":                         "unknown option -x",
		"-o nonsense a b":                 "unknown option -o nonsense",
		"-o nonsense=1 a b":               "unknown option -o nonsense",
		"-o remount,ro a b":               "-o remount: done by the kernel alone, use mount -i -o remount,...",
		"a b -o":                          "-o needs a value (NAME[=VALUE],...)",
		"a b --cache":                     "--cache needs a value (MODE)",
		"-o cache a b":                    "-o cache needs a value (MODE)",
		"--cache=some a b":                "--cache: 'some' is not never, metadata, auto or always",
		"-o cache= a b":                   "-o cache: '' is not never, metadata, auto or always",
		"--xattr=some a b":                "--xattr: 'some' is not passthrough, noattr or nosys",
		"--foreground=1 a b":              "--foreground takes no value",
		"-o allow_other=1 a b":            "-o allow_other takes no value",
		"-o ro=1 a b":                     "unknown option -o ro",
		"--entry-timeout=x a b":           "--entry-timeout: 'x' is not a number of seconds",
		"--attr-timeout=-1 a b":           "--attr-timeout: '-1' is not a number of seconds",
		"--attr-timeout=1.+1 a b":         "--attr-timeout: '1.+1' is not a number of seconds",
		"-o negative_timeout=. a b":       "-o negative_timeout: '.' is not a number of seconds",
		"--entry-timeout=9999999999 a b":  "--entry-timeout: '9999999999' is not a number of seconds",
		"--transport=ring a b":            "--transport: 'ring' is not auto, dev or uring",
		"--io-uring-q-depth=2000 a b":     "--io-uring-q-depth: '2000' is not a number from 1 to 1024",
		"--num-threads=0 a b":             "--num-threads: '0' is not a number from 1 to 1024",
		"--num-threads=1025 a b":          "--num-threads: '1025' is not a number from 1 to 1024",
		"--num-threads=1k a b":            "--num-threads: '1k' is not a number from 1 to 1024",
		"--max-background=65536 a b":      "--max-background: '65536' is not a number from 1 to 65535",
		"--congestion-threshold=0 a b":    "--congestion-threshold: '0' is not a number from 1 to 65535",
		"--max-write=4095 a b":            "--max-write: '4095' is not a size from 4096 to 64M",
		"--max-write=65M a b":             "--max-write: '65M' is not a size from 4096 to 64M",
		"--max-write=4294967295M a b":     "--max-write: '4294967295M' is not a size from 4096 to 64M",
		"--max-read= a b":                 "--max-read: '' is not a size from 4096 to 64M",
		"-o max_read=k a b":               "-o max_read: 'k' is not a size from 4096 to 64M",
		"--parallel-direct-writes=on a b": "--parallel-direct-writes: 'on' is not auto, always or never",
		"--rlimit-nofile=10 a b":          "--rlimit-nofile: '10' is not a number from 64 to 1073741824",
		"--fsname= a b":                   "--fsname: the name is empty",
		"-o subtype= a b":                 "-o subtype: the name is empty",
		"a b --log-file=":                 "--log-file: the name is empty",
		"--writeback a b --direct-io":     "--writeback needs the page cache: not with --direct-io, --cache=never or --cache=metadata",
		"--wb-cache=on --writeback a b":   "--writeback and --wb-cache are two caches for one thing: choose one",
		"--wb-cache=of a b":               "--wb-cache: 'of' is not off, on or lazy",
		"--wb-cache-size=8M a b":          "--wb-cache-size and --wb-cache-age need --wb-cache",
		"--wb-cache-size=8K a b":          "--wb-cache-size: '8K' is not a size from 1M to 1024M",
		"--writeback a b --cache=never":   "--writeback needs the page cache: not with --direct-io, --cache=never or --cache=metadata",
		"--max-background=9 a b --congestion-threshold=10": "--congestion-threshold is above --max-background",
	} {
		o, err := parse(strings.Fields(args))
		if err == nil || err.Error() != want {
			t.Errorf("%q: got %v (%+v), want %q", args, err, o, want)
		}
	}
}

// TestEveryOption holds the table and the code that acts on it together.
func TestEveryOption(t *testing.T) {
	values := map[string]string{"MODE": "", "FILE": "f", "NAME": "n", "SECONDS": "1", "N": "100", "BYTES": "2097152", "PERCENT": "40", "KIB": "1024", "0|1": "0"}
	modes := map[string]string{"cache": "never", "xattr": "nosys", "parallel-direct-writes": "never", "transport": "uring", "zero-copy": "on", "wb-cache": "on"}
	same := []string{"default-permissions"} // on without being asked
	for _, l := range longs {
		v, ok := values[l.arg]
		if l.arg == "MODE" {
			v = modes[l.name]
		} else if l.arg != "" && !ok {
			t.Fatalf("--%s: no value for %s", l.name, l.arg)
		}
		o := defaults()
		if err := o.apply(l.name, v, "--"+l.name); err != nil {
			t.Errorf("--%s=%s: %v", l.name, v, err)
		}
		if slices.Contains(same, l.name) == !reflect.DeepEqual(o, defaults()) {
			t.Errorf("--%s=%s changes nothing", l.name, v)
		}
		if !strings.Contains(string(helpText()), "--"+l.name) || l.help == "" {
			t.Errorf("--%s is not in the help", l.name)
		}
	}
	for _, f := range mountFlags {
		if !strings.Contains(string(helpText()), " "+f.name+" ") && !strings.Contains(string(helpText()), " "+f.name+"\n") {
			t.Errorf("%s is not in the help", f.name)
		}
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[string]clock.Nanos{"0": 0, "1": 1e9, "1.5": 15e8, ".000000001": 1, "3600": 3600e9, "2147483647": 2147483647e9, "1.999999999": 1999999999} {
		if got, ok := seconds(s); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", s, got, ok, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"-h", "--nonsense"}, {"a", "--help"}, {"-fh"}} {
		if o, err := parse(args); err != nil || !o.help {
			t.Errorf("%q: %v", args, err)
		}
	}
	for line := range strings.Lines(string(helpText())) {
		if len(line) > 101 || strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("%d columns, or space at the end: %q", len(line)-1, line)
		}
	}
}
