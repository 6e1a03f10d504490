package passfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/fusewire/fusewire/aio"
	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"github.com/fusewire/fusewire/wb"
)

// modelMode is a way to mount. Each differs in what the kernel caches, asks for
// or may send.
type modelMode struct {
	name   string
	o      Options
	ko     conntest.Options
	byName bool // a source without file handles
	long   bool // 10000 operations in every run
	cache  *wb.Config
}

func modelModes() []modelMode {
	flags := func(off protocol.InitFlags) conntest.Options {
		return conntest.Options{Flags: conntest.AllFlags &^ off}
	}
	const noplus = protocol.InitDoReaddirplus | protocol.InitReaddirplusAuto
	l := []modelMode{
		{name: "auto", long: true},
		{name: "writeback", o: Options{Writeback: true}, long: true},
		{name: "never", o: Options{Cache: CacheNever}},
		{name: "metadata", o: Options{Cache: CacheMetadata}},
		{name: "always", o: Options{Cache: CacheAlways}},
		{name: "direct", o: Options{DirectIO: true}},
		{name: "direct-always", o: Options{Cache: CacheAlways, DirectIO: true, Parallel: ParallelNever}},
		{name: "parallel", o: Options{Parallel: ParallelAlways}},
		{name: "writeback-always", o: Options{Cache: CacheAlways, Writeback: true}},
		{name: "writeback-never", o: Options{Cache: CacheNever, Writeback: true}},
		{name: "writeback-direct", o: Options{DirectIO: true, Writeback: true}},
		{name: "writeback-fewfds", o: Options{MaxFDs: 16, Writeback: true}},
		{name: "fewfds", o: Options{MaxFDs: 16}},
		{name: "fewfds-byname", o: Options{MaxFDs: 16}, byName: true},
		{name: "fewfds-byname-always", o: Options{MaxFDs: 16, Cache: CacheAlways}, byName: true},
		{name: "always-noplus", o: Options{Cache: CacheAlways}, ko: flags(noplus | protocol.InitParallelDirops)},
		{name: "plus", ko: flags(protocol.InitReaddirplusAuto)},
		{name: "never-plus", o: Options{Cache: CacheNever}, ko: flags(protocol.InitReaddirplusAuto)},
		{name: "small", o: Options{DirectIO: true}, ko: conntest.Options{MaxPages: 1, MaxRead: 4096}},
		{name: "writeback-small", o: Options{Writeback: true}, ko: conntest.Options{MaxPages: 2, MaxRead: 4096}},
	}
	// Everything through an engine, and only what has to wait.
	engine := func(slow bool) Options {
		return Options{Slow: slow, Engine: aio.New(aio.NewWorkers(2), aio.Config{})}
	}
	l = append(l, modelMode{name: "engine", o: engine(false)}, modelMode{name: "engine-slow", o: engine(true)},
		modelMode{name: "engine-writeback", o: func() Options { o := engine(true); o.Writeback = true; return o }()})
	// A write-back cache of our own: with room, and with next to none; what waits
	// for the source, and what is not closed.
	tight := &wb.Config{Bytes: 12 << 14, FileBytes: 5 << 14, MaxWrite: 3 << 14, Files: 3, Age: 5 * time.Millisecond}
	roomy := &wb.Config{Age: 20 * time.Millisecond}
	l = append(l, modelMode{name: "wb", cache: roomy},
		modelMode{name: "wb-lazy", cache: roomy, o: Options{LazyClose: true}},
		modelMode{name: "wb-tight", cache: tight},
		modelMode{name: "wb-tight-lazy", cache: tight, o: Options{LazyClose: true}},
		modelMode{name: "wb-never", cache: tight, o: Options{LazyClose: true, Cache: CacheNever}},
		modelMode{name: "wb-direct", cache: roomy, o: Options{DirectIO: true}},
		modelMode{name: "wb-parallel", cache: tight, o: Options{LazyClose: true, Parallel: ParallelAlways}},
		modelMode{name: "wb-always-fewfds", cache: tight, o: Options{LazyClose: true, Cache: CacheAlways, MaxFDs: 16}})
	// Versions that added, or lack, something the server sees of a program.
	for _, minor := range []uint32{12, 13, 15, 18, 20, 21, 23, 28, 31, 33, 36, 38, 40, 43, 46} {
		m := modelMode{name: fmt.Sprint("minor", minor), ko: conntest.Options{Minor: minor}}
		m.o.Writeback = minor%2 == 1 // offered from 7.23 on
		l = append(l, m)
	}
	return l
}

// TestModel runs random programs on passfs under a kernel and on a model, in
// each mode.
func TestModel(t *testing.T) {
	for _, mode := range modelModes() {
		t.Run(mode.name, func(t *testing.T) {
			if mode.o.DirectIO || mode.o.Cache == CacheNever || mode.o.Cache == CacheMetadata {
				needPwritev2(t) // O_APPEND past the page cache
			}
			t.Parallel() // most of the time is waiting for the other side
			randomly(t, 1, func(t *testing.T, rng *rand.Rand) {
				steps := 250
				if mode.byName {
					steps = 1500 // until more is known than descriptors are for
				}
				if mode.long || mode.cache != nil || os.Getenv("FUSEWIRE_LONG") != "" {
					steps = 10000
				}
				if testing.Short() {
					steps /= 4
				}
				o := mode.o
				o.EntryTimeout, o.AttrTimeout, o.NegativeTimeout = ByMode, ByMode, ByMode
				if mode.cache != nil {
					w, err := wb.New(wb.NewThreads(4, nil), *mode.cache)
					if err != nil {
						t.Fatal(err)
					}
					o.WriteCache = w
					t.Cleanup(func() { // after the unmount
						if s := w.Stats(); s.Memory != 0 || s.Files != 0 || s.Lost != 0 || s.Failed != 0 || s.Writes == 0 && !testing.Short() {
							t.Errorf("the cache is left with %+v", s)
						}
					})
				}
				dir := t.TempDir()
				fs, k := kernelAt(t, dir, &o, mode.ko)
				if mode.byName {
					byName(fs)
				}
				p := newProgram(t, rng, k, dir)
				for range steps {
					p.step()
					if v := k.Violations(); len(v) > 0 {
						p.fail("%v", v[0])
					}
				}
				p.tree("", p.m.root, false)
				for i, f := range p.files {
					p.same(f.f.Close(), 0, "close %d", i)
				}
				p.tree("", p.m.root, true)
				balanced(t, fs, k)
			})
		})
	}
}
