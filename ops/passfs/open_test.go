package passfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fusewire/fusewire/protocol"
)

func TestOpenFlags(t *testing.T) {
	fs := &FS{}
	const keep = unix.O_RDWR | unix.O_TRUNC | unix.O_NOATIME
	all := uint32(0xffffffff) &^ (unix.O_ACCMODE &^ unix.O_RDWR)
	if got := fs.openFlags(all); got != keep {
		t.Errorf("%#x, want %#x", got, keep)
	}
}

// TestOpenModes is what the kernel is told about its cache.
func TestOpenModes(t *testing.T) {
	const d = protocol.FopenDirectIO | protocol.FopenParallelDirectWrites
	const k = protocol.FopenKeepCache
	for _, c := range []struct {
		mode                  CacheMode
		direct                bool
		first, again, changed uint32
	}{
		{CacheNever, false, d, d, d},
		{CacheMetadata, false, d, d, d},
		{CacheAuto, false, 0, k, 0},
		{CacheAlways, false, k, k, k},
		{CacheAlways, true, d, d, d},
	} {
		o := DefaultOptions()
		o.Cache, o.DirectIO = c.mode, c.direct
		w, id := fileWire(t, &o, "old")
		time.Sleep(time.Duration(settled) + 20*time.Millisecond)
		opened := func(want uint32, what string) {
			t.Helper()
			out, e := w.open(id, unix.O_RDONLY)
			if e != 0 {
				t.Fatal(e)
			}
			if out.OpenFlags != want {
				t.Errorf("mode %d, %s: flags %#x, want %#x", c.mode, what, out.OpenFlags, want)
			}
			w.release(id, out.Fh, false)
		}
		opened(c.first, "first")
		opened(c.again, "again")
		if err := os.WriteFile(filepath.Join(w.dir, "f"), []byte("new"), 0o644); err != nil {
			t.Fatal(err)
		}
		opened(c.changed, "changed")
	}
}

// TestOpenNoflush: which closes need no FLUSH.
func TestOpenNoflush(t *testing.T) {
	for _, local := range []bool{false, true} {
		o := DefaultOptions()
		o.LocalLocks = local
		w, id := fileWire(t, &o, "data")
		for flags, want := range map[uint32]bool{unix.O_RDONLY: local, unix.O_WRONLY: local && w.fs.root.mnt.quiet} {
			out, e := w.open(id, flags)
			if e != 0 {
				t.Fatal(e)
			}
			if got := out.OpenFlags&protocol.FopenNoflush != 0; got != want {
				t.Errorf("local locks %t, open %#x: NOFLUSH is %t", local, flags, got)
			}
			w.release(id, out.Fh, false)
		}
		for _, quiet := range []bool{false, true} {
			i := &inode{mnt: &mount{quiet: quiet}}
			for flags, want := range map[uint32]bool{unix.O_RDONLY: local, unix.O_WRONLY: local && quiet, unix.O_RDWR: local && quiet} {
				fs := &FS{opt: o}
				if fs.noflush(i, flags) != want {
					t.Errorf("local locks %t, quiet %t, open %#x: not %t", local, quiet, flags, want)
				}
				if fs.writeback = true; fs.noflush(i, flags) {
					t.Error("with write-back") // the kernel writes what it holds before FLUSH
				}
			}
		}
		if locks := protocol.InitPosixLocks | protocol.InitFlockLocks; w.fs.Want()&locks != 0 == local {
			t.Errorf("local locks %t: wanted flags %v", local, w.fs.Want()&locks)
		}
	}
}

// TestOpenParallel: which direct writes may run side by side.
func TestOpenParallel(t *testing.T) {
	const one = protocol.FopenDirectIO
	const par = one | protocol.FopenParallelDirectWrites
	for _, c := range []struct {
		cache         CacheMode
		parallel      ParallelMode
		plain, direct uint32 // opened without O_DIRECT and with
	}{
		{CacheNever, ParallelAuto, par, par},
		{CacheNever, ParallelAlways, par, par},
		{CacheNever, ParallelNever, one, one},
		{CacheAlways, ParallelAuto, protocol.FopenKeepCache, protocol.FopenKeepCache},
		{CacheAlways, ParallelAlways, protocol.FopenKeepCache, par},
		{CacheAlways, ParallelNever, protocol.FopenKeepCache, protocol.FopenKeepCache},
	} {
		o := DefaultOptions()
		o.Cache, o.Parallel = c.cache, c.parallel
		w, id := fileWire(t, &o, "data")
		for flags, want := range map[uint32]uint32{unix.O_RDWR: c.plain, unix.O_RDWR | unix.O_DIRECT: c.direct} {
			out, e := w.open(id, flags)
			if e != 0 {
				t.Fatal(e)
			}
			if out.OpenFlags != want {
				t.Errorf("cache %d, parallel %d, open %#x: flags %#x, want %#x", c.cache, c.parallel, flags, out.OpenFlags, want)
			}
			w.release(id, out.Fh, false)
		}
	}
	// not with O_DIRECT where that leaves stale pages
	fs, err := New(unix.AT_FDCWD, &Options{Parallel: ParallelAlways})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Done()
	for _, f := range []protocol.InitFlags{0, protocol.InitDirectIOAllowMmap} {
		if err := fs.Init(nil, nil, &protocol.InitOut{Flags2: uint32(f >> 32)}); err != nil {
			t.Fatal(err)
		}
		if fs.mmapsDirect != (f != 0) {
			t.Errorf("flags %#x: %v", f, fs.mmapsDirect)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	w, id := fileWire(t, nil, "data")
	mkdir(t, w.dir, "d")
	if err := unix.Mkfifo(filepath.Join(w.dir, "p"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(w.dir, "l")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]unix.Errno{"d": unix.EISDIR, "p": unix.ENXIO, "l": unix.ELOOP} {
		if _, e := w.open(w.mustLookup(1, name).Nodeid, unix.O_RDONLY); e != want {
			t.Errorf("open %s: %v, want %v", name, e, want)
		}
	}
	fh := w.mustOpen(id, unix.O_WRONLY|unix.O_TRUNC)
	if s := content(t, w.dir, "f"); s != "" {
		t.Errorf("O_TRUNC left %q", s)
	}
	w.release(id, fh, false)
}

// TestAsyncDio: where O_APPEND is the source's business the parts of one write
// must not be sent side by side.
func TestAsyncDio(t *testing.T) {
	for _, o := range []Options{{}, {Cache: CacheAlways}, {Cache: CacheNever}, {Cache: CacheMetadata}, {DirectIO: true}} {
		fs := &FS{opt: o, root: &inode{mnt: &mount{}}}
		want := !o.DirectIO && (o.Cache == CacheAuto || o.Cache == CacheAlways)
		if got := fs.Want()&protocol.InitAsyncDio != 0; got != want {
			t.Errorf("%+v: %v", o, got)
		}
	}
}
