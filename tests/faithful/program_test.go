package faithful

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// op is one operation of a program. What a field means is the kind's business.
type op struct {
	Kind  string
	A, B  string // paths, names, contents
	Slot  int    // of the open file
	Flags int
	Mode  uint32
	Off   int64
	N     int
}

func (o *op) String() string {
	var b strings.Builder
	b.WriteString(o.Kind)
	if o.A != "" {
		fmt.Fprintf(&b, " %q", o.A)
	}
	if o.B != "" {
		fmt.Fprintf(&b, " %q", o.B)
	}
	fmt.Fprintf(&b, " slot=%d flags=%#x mode=%#o off=%d n=%d", o.Slot, o.Flags, o.Mode, o.Off, o.N)
	return b.String()
}

const slots = 4

// program is a random program.
func program(m *mode, seed uint64, length int) []op {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 1)), mode: m}
	for range length {
		g.step()
	}
	for s := range slots {
		g.add(op{Kind: "close", Slot: s}, op{Kind: "closedir", Slot: s})
	}
	return g.ops
}

type generator struct {
	rng  *rand.Rand
	mode *mode
	ops  []op
}

func (g *generator) add(l ...op) { g.ops = append(g.ops, l...) }

func (g *generator) name() string { return string(rune('a' + g.rng.IntN(4))) }

func (g *generator) path() string {
	s := ""
	for range 1 + g.rng.IntN(5)/2 {
		s += "/" + g.name()
	}
	return s
}

// size is a length or an offset: few bytes, near a page or a request, or many.
func (g *generator) size() int64 {
	n := int64(0)
	switch g.rng.IntN(4) {
	case 0:
		return int64(g.rng.IntN(300))
	case 1:
		n = int64(1+g.rng.IntN(6)) * 4096
	case 2:
		n = int64(1+g.rng.IntN(2)) * maxWrite
	case 3:
		return int64(g.rng.IntN(3 * maxWrite))
	}
	if g.rng.IntN(2) == 0 {
		n += int64(g.rng.IntN(9) - 4)
	}
	return max(n, 0)
}

func pick[T any](g *generator, l ...T) T { return l[g.rng.IntN(len(l))] }

func (g *generator) step() {
	slot := g.rng.IntN(slots)
	kinds := []string{
		"mkdir", "mkdir", "rmdir", "unlink", "unlink", "rename", "rename", "symlink", "link", "link", "mknod",
		"open", "open", "open", "open", "open", "close", "close", "read", "read", "read", "write", "write", "write", "pread", "pread", "pwrite", "pwrite", "pwrite",
		"seek", "ftruncate", "truncate", "chmod", "chown", "utimes", "stat", "stat", "lstat", "fstat", "fsync", "readlink",
		"setxattr", "getxattr", "listxattr", "removexattr", "opendir", "opendir", "getdents", "getdents", "getdents", "seekdir", "closedir", "fsyncdir",
		"inval-inode", "expire-entry", "list",
	}
	kinds = slices.DeleteFunc(kinds, func(s string) bool { return slices.Contains(g.mode.without, s) })
	o := op{Kind: pick(g, kinds...), Slot: slot, A: g.path()}
	switch o.Kind {
	case "mkdir":
		o.Mode = pick[uint32](g, 0o755, 0o700)
	case "rename":
		o.B = g.path()
		o.Flags = pick(g, 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE)
	case "link":
		o.B = g.path()
	case "symlink":
		o.B = o.A
		o.A = pick(g, "a", "b/c", "../a", "nowhere")
	case "mknod":
		o.Mode = pick[uint32](g, unix.S_IFREG|0o644, unix.S_IFSOCK|0o777, unix.S_IFCHR|0o600)
		if o.Mode&unix.S_IFMT == unix.S_IFCHR {
			o.N = 0x103
		}
	case "open":
		o.Flags = pick(g, unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDWR)
		o.Flags |= pick(g, 0, unix.O_CREAT, unix.O_CREAT, unix.O_CREAT|unix.O_EXCL)
		o.Flags |= pick(g, 0, 0, 0, unix.O_TRUNC) | pick(g, 0, 0, 0, 0, unix.O_APPEND) | pick(g, 0, 0, 0, 0, 0, unix.O_NOFOLLOW)
		if g.mode.direct {
			o.Flags |= pick(g, 0, unix.O_DIRECT)
		}
		o.Mode = 0o644
	case "read", "write":
		o.N = int(g.size())
	case "pread", "pwrite":
		o.N, o.Off = int(g.size()), g.size()
	case "seek":
		o.Off = g.size()
	case "ftruncate", "truncate":
		o.Off = g.size()
	case "chmod":
		o.Mode = pick[uint32](g, 0o644, 0o600, 0o755)
	case "chown":
		o.N, o.Flags = pick(g, -1, 0, 1000), pick(g, -1, 0, 1000)
	case "utimes":
		o.Off, o.N = int64(1000+g.rng.IntN(100)), 2000+g.rng.IntN(100)
	case "fsync":
		o.Flags = g.rng.IntN(2)
	case "setxattr":
		o.B = pick(g, "user.a", "user.b", "trusted.c")
		o.N = g.rng.IntN(100)
		o.Flags = pick(g, 0, 0, unix.XATTR_CREATE, unix.XATTR_REPLACE)
	case "getxattr", "removexattr":
		o.B = pick(g, "user.a", "user.b", "trusted.c")
		o.N = pick(g, 0, 10, 200)
	case "listxattr":
		o.N = pick(g, 0, 10, 200, 70000)
	case "getdents":
		o.N = pick(g, 4096, 8192, 20000)
	case "seekdir":
		o.Off = int64(g.rng.IntN(5))
	}
	g.add(o)
}
