package protocol

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCorpora writes testdata/fuzz anew with -update (on a little-endian
// machine), and checks that each target has seeds, at most 30 of them.
func TestCorpora(t *testing.T) {
	targets := []string{"FuzzRequest", "FuzzRing", "FuzzReply", "FuzzNotify", "FuzzDirents", "FuzzExt"}
	if *update && !bigEndian() {
		count := map[string]int{}
		seed := func(target string, args ...any) {
			s := "go test fuzz v1\n"
			for _, a := range args {
				switch a := a.(type) {
				case []byte:
					s += fmt.Sprintf("[]byte(%q)\n", a)
				default:
					s += fmt.Sprintf("%T(%v)\n", a, a)
				}
			}
			dir := filepath.Join("testdata/fuzz", target)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, fmt.Sprintf("seed-%02d", count[target]))
			if count[target]++; count[target] > 30 {
				return
			}
			if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[[2]int]bool{}
		ring := func(r *Request) []byte {
			h := new(UringReqHeader)
			p := r.PutRing(h, nil)
			return append(BytesOf(h), p...)
		}
		p := &Params{Flags: InitSetxattrExt | InitSecurityCtx | InitCreateSuppGroup}
		for _, op := range []Opcode{OpCreate, OpSymlink, OpSetxattr, OpRemovemapping, OpNotifyReply, OpIoctl, 54} {
			b := sampleRequest(op, p)
			var r Request
			if err := r.Decode(b, p); err != nil {
				t.Fatal(err)
			}
			seed("FuzzRequest", b, uint32(46), uint64(p.Flags))
			seed("FuzzRing", ring(&r), uint32(46), uint64(p.Flags))
			if r.Ext != nil {
				seed("FuzzExt", []byte(r.Ext), []byte("security.x"), []byte("value"), uint32(5))
			}
		}
		for _, op := range []Opcode{OpMknod, OpCreate, OpWrite} {
			p := &Params{Minor: 8}
			seed("FuzzRequest", sampleRequest(op, p), uint32(8), uint64(0))
			seed("FuzzReply", uint32(op), sampleReply(op, p), uint32(8), false)
		}
		for c := NotifyPoll; c <= NotifyPrune+1; c++ {
			seed("FuzzNotify", sampleNotify(c))
		}
		ext := AppendSecurity(nil, nil, nil)
		e := ExtHeader{Size: 12, Type: 40}
		seed("FuzzExt", append(append(ext, BytesOf(&e)...), 1, 2, 3, 4, 0, 0, 0, 0), []byte{}, []byte{}, uint32(0))
		seed("FuzzExt", AppendSuppGroup(nil, 9)[:12], []byte("n"), []byte{}, uint32(1))
		for _, m := range recordings(t) {
			dir := 0
			if m.request {
				dir = 1
			}
			if k := [2]int{int(m.op), dir}; seen[k] || len(m.raw) > 1200 {
				continue
			} else {
				seen[k] = true
			}
			var r Request
			switch {
			case m.request:
				seed("FuzzRequest", m.raw, uint32(0), uint64(0))
				if err := r.Decode(m.raw, &recorded); err != nil {
					t.Fatal(err)
				}
				seed("FuzzRing", ring(&r), uint32(0), uint64(0))
			default:
				seed("FuzzReply", uint32(m.op), m.raw, uint32(0), m.size0)
			}
			if !m.request && (m.op == OpReaddir || m.op == OpReaddirplus) {
				seed("FuzzDirents", m.raw[16:], m.op == OpReaddirplus)
			}
		}
		seed("FuzzDirents", sampleReply(OpReaddir, nil)[16:], false)
		seed("FuzzDirents", sampleReply(OpReaddirplus, nil)[16:], true)
	}
	for _, target := range targets {
		l, err := filepath.Glob("testdata/fuzz/" + target + "/*")
		if err != nil || len(l) < 4 || len(l) > 30 {
			t.Errorf("%s has %d seeds, want 4 to 30: %v", target, len(l), err)
		}
	}
}
