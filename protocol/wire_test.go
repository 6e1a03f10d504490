package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// message is one recorded message, in the host's byte order.
type message struct {
	file    string
	line    int
	request bool
	raw     []byte
	op      Opcode
	size0   bool // the reply of a GETXATTR or LISTXATTR of Size 0
}

// recorded is what all recordings were negotiated to, as far as it decides
// layouts: none has SETXATTR_EXT. go-fuse answers INIT with minor 28.
var recorded = Params{Minor: 28}

const recordedMessages = 1907

// recordings loads ../tests/testdata/wire. They were made on x86-64; on a
// big-endian machine each is turned round by the descriptions of its structs,
// so that the same messages prove the code there.
func recordings(t testing.TB) []message {
	t.Helper()
	files, err := filepath.Glob("../tests/testdata/wire/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	var all []message
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		type asked struct {
			op    Opcode
			size0 bool
		}
		open := map[uint64]asked{}
		for i, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			var j struct {
				Dir, Hex string
				Ret      int
			}
			if err := json.Unmarshal([]byte(l), &j); err != nil {
				t.Fatal(f, i+1, err)
			}
			raw, err := hex.DecodeString(j.Hex)
			if err != nil {
				t.Fatal(f, i+1, err)
			}
			m := message{file: filepath.Base(f), line: i + 1, request: j.Dir == "req", raw: raw}
			if m.request {
				swapRequest(raw)
				h := ViewOf[InHeader](raw)
				m.op = h.Opcode
				a := asked{op: m.op}
				if m.op == OpGetxattr || m.op == OpListxattr {
					a.size0 = load32(raw[40:]) == 0
				}
				open[h.Unique] = a
			} else {
				swap(kOutHeader, raw)
				a, ok := open[ViewOf[OutHeader](raw).Unique]
				if !ok {
					t.Fatalf("%s:%d: a reply to nothing", f, i+1)
				}
				m.op, m.size0 = a.op, a.size0
				swapReply(&m)
			}
			all = append(all, m)
		}
	}
	if len(all) != recordedMessages {
		t.Fatalf("%d messages, want %d", len(all), recordedMessages)
	}
	return all
}

func bigEndian() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 0
}

// swap turns the little-endian struct at the start of b into host order.
func swap(k kind, b []byte) {
	if !bigEndian() {
		return
	}
	for d := describe[k]; d != ""; {
		var f field
		f, d = nextField(d)
		w := f.width()
		n := 1
		if f.reserved() {
			n = f.count
		}
		for ; n > 0 && len(b) >= w; n-- {
			if f.typ == '{' {
				swap(nested(f.key), b[:w])
			} else {
				for i, j := 0, w-1; i < j; i, j = i+1, j-1 {
					b[i], b[j] = b[j], b[i]
				}
			}
			b = b[w:]
		}
	}
}

func swapRequest(b []byte) {
	swap(kInHeader, b)
	op := ViewOf[InHeader](b).Opcode
	i := info(op)
	b = b[40:]
	if i.in == kNone {
		return
	}
	n := min(inSize(op, i.in, &recorded), len(b))
	swap(i.in, b[:n])
	if op == OpBatchForget {
		for b = b[n:]; len(b) > 0; b = b[16:] {
			swap(kForgetOne, b[:16])
		}
	}
}

func swapReply(m *message) {
	i := info(m.op)
	b := m.raw[16:]
	out := i.out
	if m.size0 {
		out = kGetxattrOut
	}
	for _, k := range []kind{out, i.out2} {
		if k != kNone && len(b) > 0 {
			n := int(structSize[k])
			swap(k, b[:n])
			b = b[n:]
		}
	}
	if k, at := kDirent, 16; m.op == OpReaddir || m.op == OpReaddirplus {
		if m.op == OpReaddirplus {
			k, at = kDirentplus, 144
		}
		for size := int(structSize[k]); len(b) >= size; {
			swap(k, b[:size])
			b = b[(size+int(load32(b[at:]))+7)&^7:]
		}
	}
}

// TestRecordings decodes, prints and encodes again every recorded message.
func TestRecordings(t *testing.T) {
	ops := map[Opcode]bool{}
	for _, m := range recordings(t) {
		text, again, err := m.cycle()
		if err != nil {
			t.Fatalf("%s:%d: %v\n%x", m.file, m.line, err, m.raw)
		}
		if !bytes.Equal(again, m.raw) {
			t.Errorf("%s:%d: %s\n got %x\nwant %x", m.file, m.line, m.op, again, m.raw)
		}
		if !strings.HasPrefix(text, m.op.String()+" unique=") || strings.ContainsAny(text, "\n\r") {
			t.Errorf("%s:%d: %q", m.file, m.line, text)
		}
		ops[m.op] = true
	}
	if len(ops) != 41 {
		t.Errorf("%d opcodes, want 41", len(ops))
	}
}

// cycle decodes, prints and encodes a message.
func (m *message) cycle() (text string, again []byte, err error) {
	if m.request {
		var r Request
		if err := r.Decode(m.raw, &recorded); err != nil {
			return "", nil, err
		}
		return string(r.AppendText(nil)), r.Append(nil), nil
	}
	r := Reply{SizeOnly: m.size0}
	if err := r.Decode(m.op, m.raw, &recorded); err != nil {
		return "", nil, err
	}
	return string(r.AppendText(nil)), r.Append(nil), nil
}

// TestRecordingsRing sends every recorded message through a ring's buffers.
func TestRecordingsRing(t *testing.T) {
	hdr := new(UringReqHeader)
	var payload []byte
	for _, m := range recordings(t) {
		*hdr = UringReqHeader{}
		for i := range hdr.OpIn {
			hdr.OpIn[i] = 0xa5 // what was there before
		}
		var again []byte
		var err error
		if m.request {
			var a, b Request
			if err := a.Decode(m.raw, &recorded); err != nil {
				t.Fatal(err)
			}
			payload = a.PutRing(hdr, payload)
			err = b.DecodeRing(hdr, payload, &recorded)
			if err == nil {
				again = b.Append(nil)
			}
		} else {
			a := Reply{SizeOnly: m.size0}
			b := Reply{SizeOnly: m.size0}
			if err := a.Decode(m.op, m.raw, &recorded); err != nil {
				t.Fatal(err)
			}
			payload = a.PutRing(hdr, payload)
			err = b.DecodeRing(m.op, hdr, payload, &recorded)
			if err == nil {
				again = b.Append(nil)
			}
		}
		if m.op == OpInit && m.request { // never on a ring, where it would always be whole
			continue
		}
		if err != nil || !bytes.Equal(again, m.raw) {
			t.Errorf("%s:%d: %s: %v\n got %x\nwant %x", m.file, m.line, m.op, err, again, m.raw)
		}
	}
}

// TestRecordingsCut takes bytes off the end of every recorded message, and
// expects an error or, for what has no fixed length, an identity. In either case
// nothing is read behind the end (the buffer ends before a guard page).
func TestRecordingsCut(t *testing.T) {
	place := guarded(t)
	for _, m := range recordings(t) {
		for _, n := range []int{1, 2, 7, 8, 9, 16, 24, 40} {
			if n > len(m.raw) {
				continue
			}
			b := place(m.raw[:len(m.raw)-n])
			if len(b) < 4 {
				continue
			}
			*(*uint32)(unsafe.Pointer(&b[0])) = uint32(len(b))
			c := m
			c.raw = b
			_, again, err := c.cycle()
			if err == nil && !bytes.Equal(again, b) {
				t.Fatalf("%s:%d: less %d: %s\n got %x\nwant %x", m.file, m.line, n, m.op, again, b)
			}
			if i := info(m.op); err == nil && m.request && i.tail != tailAny {
				t.Fatalf("%s:%d: less %d: %s: no error", m.file, m.line, n, m.op)
			}
		}
	}
}
