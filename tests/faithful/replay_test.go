package faithful

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/fusewire/fusewire/conn/conntest"
	"github.com/fusewire/fusewire/protocol"
	"golang.org/x/sys/unix"
)

// TestReplayInit: conntest offers in INIT what Linux 6.18 offered when the
// traffic in testdata was recorded, field by field but for the passthrough and
// io_uring flags, which conntest does not have.
func TestReplayInit(t *testing.T) {
	for _, name := range []string{"lf-hp", "lf-hp-passthrough", "lf-ll-writeback", "gofuse"} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open("../testdata/wire/" + name + ".jsonl")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := bufio.NewScanner(f)
			s.Buffer(nil, 1<<22)
			var req, rep []byte
			for s.Scan() && rep == nil {
				var m struct{ Dir, Hex string }
				if err := json.Unmarshal(s.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				b, err := hex.DecodeString(m.Hex)
				if err != nil {
					t.Fatal(err)
				}
				if m.Dir == "req" && req == nil {
					req = b
				} else if m.Dir == "rep" {
					rep = b
				}
			}
			if len(req) < 104 || binary.LittleEndian.Uint32(req[4:]) != uint32(protocol.OpInit) {
				t.Fatalf("the recording does not begin with INIT: %x", req)
			}
			got := make(chan []byte, 1)
			k, _ := conntest.NewSocket(func(fd int) error {
				d, err := unix.Dup(fd)
				if err != nil {
					return err
				}
				go func() {
					defer close(got)
					defer unix.Close(d)
					b := make([]byte, 1<<16)
					n, err := unix.Read(d, b)
					if err != nil || n < 40 {
						return
					}
					got <- b[:n:n]
					out := make([]byte, 16) // refused: the request is what counts
					binary.NativeEndian.PutUint32(out, 16)
					e := -int32(unix.EPROTO)
					binary.NativeEndian.PutUint32(out[4:], uint32(e))
					copy(out[8:], b[8:16])
					unix.Write(d, out)
				}()
				return nil
			}, nil)
			if k != nil {
				t.Error("INIT was not refused")
			}
			sent := <-got
			if len(sent) != len(req) {
				t.Fatalf("conntest sends %d bytes, Linux sent %d", len(sent), len(req))
			}
			for off := 0; off < len(req); off += 4 {
				// All fields that are not 0 have 32 bits: recordings are little-endian.
				a, b := binary.NativeEndian.Uint32(sent[off:]), binary.LittleEndian.Uint32(req[off:])
				switch off {
				case 8, 12, 32: // unique and pid are of the moment
					continue
				case 52, 56: // flags, flags2
					b &^= uint32(uint64(protocol.InitPassthrough|protocol.InitOverIOUring) >> (8 * (off - 52)))
				}
				if a != b {
					t.Errorf("at byte %d conntest sends %#x, Linux sent %#x", off, a, b)
				}
			}
		})
	}
}

// replayed are the differences that may be between a recording and its replay, each
// with its reason. A rule that meets none fails the test.
var replayed = []struct {
	side, in string // "conntest", "Linux"; recordings it is confined to
	match    string
	why      string
}{
	{"", "lf-hp$", `^SETATTR .*\(valid=(MTIME\|)?(FH\|)?CTIME `, "whether a write falls into another tick of the clock than the one before it decides if there are times to flush"},
	{"", "", `^RELEASE .* flags=0x8[08]00 `, "sync(1) clears O_NONBLOCK by fcntl(2), which a Client has not"},
	{"", "", `^(BATCH_)?FORGET `, "how many are sent together depends on when the server reads"},
	{"Linux", "ll|gofuse|pass", `^LOOKUP unique=0 nodeid=1 `, "of no interest to the script: names that the recorder's shell and df(1) found elsewhere, some at other times"},
	{"conntest", "gofuse|pass", `^(READ|WRITE) |^GETATTR .*\(getattr_flags=FH `, "the kernel passed data on by itself, which conntest does not; the answers are made up"},
	{"Linux", "gofuse|pass", `^GETATTR .*fh=0x0\)$`, "attributes are looked at anew after data was passed on (fs/fuse/passthrough.c: fuse_passthrough_end_write)"},
}

// TestReplay has conntest send what was recorded of four servers.
func TestReplay(t *testing.T) {
	used := make([]bool, len(replayed))
	for _, name := range []string{"lf-hp", "lf-hp-passthrough", "lf-ll-writeback", "gofuse"} {
		t.Run(name, func(t *testing.T) {
			extra, missing := replay(t, name, func(c *conntest.Client, p *player) {
				(&shell{t, c, p}).run()
			})
			for _, side := range []struct {
				name string
				sent []string
			}{{"conntest", extra}, {"Linux", missing}} {
			next:
				for _, s := range side.sent {
					for i, r := range replayed {
						if (r.side == "" || r.side == side.name) && regexp.MustCompile(r.in).MatchString(name) && regexp.MustCompile(r.match).MatchString(s) {
							used[i] = true
							continue next
						}
					}
					t.Errorf("%s alone: %s", side.name, s)
				}
			}
		})
	}
	for i, r := range replayed {
		if !used[i] {
			t.Errorf("there is no such difference: %s", r.why)
		}
	}
}
